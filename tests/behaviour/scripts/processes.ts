/** Starts processes that work for ever, one of which starts another and one of which is deaf to SIGTERM, and waits for them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Process, wait } from "heddle";
import { computes, deaf, isWatched, sleeps } from "../process-tasks.ts";

const directory = mkdtempSync(join(tmpdir(), "process-test-"));
process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
const all = [
  new Process({ target: sleeps }),
  new Process({ target: computes, daemon: true }),
  new Process({ target: isWatched, args: [directory, false] }),
  new Process({ target: deaf }),
];
for (const one of all) await one.start();
console.log("started");
await wait(all);
