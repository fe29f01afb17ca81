/** What a worker process runs: `heddle/worker`. It loads no gRPC and no bundler, and little else, so that workers start fast. */
import { openWorkerProcess } from "@heddle/adapter-processes/worker";
import { createFunctionLoader } from "@heddle/adapter-ship/loader";
import { systemEnvironment } from "@heddle/adapter-system/environment";
import { runWorker } from "@heddle/shell-worker";
import { insideUrl } from "./inside-entry.ts";
import { publishRuntime } from "./runtime.ts";

const loader = createFunctionLoader({ inside: { heddle: insideUrl } });
const loadInside = (): Promise<unknown> => import(insideUrl);
publishRuntime(runWorker({ ...openWorkerProcess(), loader, loadInside, env: systemEnvironment() }));
