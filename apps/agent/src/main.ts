import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import {
  checkedAddress,
  exitCodes,
  packageVersion,
  type RunningServer,
  runServer,
  type ServerInvocation,
  tlsFilesFor,
} from "@heddle/adapter-command";
import { createGrpcClient } from "@heddle/adapter-grpc";
import { httpFacts, openHttp } from "@heddle/adapter-http";
import { createProcessSpawner } from "@heddle/adapter-processes";
import {
  availableSlots,
  compileCacheDirectory,
  fileBlobs,
  findLocalToken,
  hostFacts,
  localTokenDirectory,
  ownNodeName,
  runtimeDirectory,
  systemEnvironment,
  temporaryDirectory,
} from "@heddle/adapter-system";
import { AgentShell } from "@heddle/shell-agent";
import { type AgentConfig, ARTIFACTS_BYTES_MAX, addressesOf, lifetimeOf, settings, workerEntry } from "./config.ts";

/** Runs an agent as this process. */
export function main(
  invocation: ServerInvocation = { args: process.argv.slice(2), parseFile: JSON.parse },
): Promise<never> {
  const summary =
    "Makes this machine a node of a fabric: runs the work that a coordinator gives it in worker processes.";
  return runServer({ name: "agent", summary, settings, start }, invocation);
}

async function start(config: AgentConfig): Promise<RunningServer> {
  await using scope = new AsyncDisposableStack();
  const env = systemEnvironment({ level: config.logLevel });
  const { pid, host, nodeMajor } = hostFacts();
  const dataDir = config.dataDir === undefined ? undefined : resolve(config.dataDir);
  const name = config.name ?? ownNodeName(dataDir);
  const slots = config.processes ?? availableSlots();
  const tls = tlsFilesFor("agent", config);
  const addresses = addressesOf(config).map((address) => checkedAddress(address, tls));
  const directory = dataDir ?? scope.use(temporaryDirectory("heddle-agent-")).path;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const blobs = scope.use(fileBlobs(join(directory, "artifacts"), { maxBytes: ARTIFACTS_BYTES_MAX }));
  const proof = { ...(tls === undefined ? {} : { tls }), findToken: findLocalToken, tokenPlace: localTokenDirectory() };
  const client = scope.use(createGrpcClient({ ...proof, log: env.log }));
  const stateFile = join(dataDir ?? runtimeDirectory(), `agent-${name}.json`);
  const spawner = scope.use(
    createProcessSpawner({
      workerEntry: workerEntry(),
      log: env.log,
      stateFile,
      compileCacheDir: compileCacheDirectory(),
    }),
  );
  const { promise: registered, resolve: onRegistered } = Promise.withResolvers<void>();
  let isStopping = false;
  const build = packageVersion(import.meta.url);
  const shell = new AgentShell({
    env,
    client,
    addresses,
    spawner,
    blobs,
    name,
    slots,
    labels: config.label,
    resources: config.resource,
    host,
    pid,
    build,
    nodeMajor,
    lifetimeMs: lifetimeOf(config, Date.now()),
    onLink: (up) => {
      if (!isStopping) env.log.info(up ? "coordinator in reach" : "coordinator out of reach");
      if (up) onRegistered();
    },
  });
  const http = scope.use(await openHttp(config.http, { server: "agent", build, watched: shell, log: env.log }));
  http?.serves(); // the shell knows whether it does
  const owned = scope.move();
  let endedExitCode: number = exitCodes.error;
  const ended = shell.ended.then((end) => {
    if (end.final === "denied") endedExitCode = exitCodes.denied;
    if (end.isOfAge === true) endedExitCode = exitCodes.ok;
    return endText(end);
  });
  const line = `agent ${name} serves ${addresses.join(",")} with ${slots} ${slots === 1 ? "process" : "processes"} (pid ${pid})`;
  return {
    log: env.log,
    serving: registered.then(() => ({ line, facts: { node: name, ...httpFacts(http), pid } })),
    ended,
    get endedExitCode() {
      return endedExitCode;
    },
    stop: () => {
      isStopping = true;
      return shell.drain(config.drainMs);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function endText({ refused = "the node was drained", final, isOfAge }: Awaited<AgentShell["ended"]>): string {
  if (isOfAge === true) return "its lifetime is over";
  return final === "denied" ? `no coordinator lets this agent in: ${refused}` : `replaced: ${refused}`;
}

if (import.meta.main) await main();
