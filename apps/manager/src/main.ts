import { rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  advertised,
  adviseOnAddress,
  exitCodes,
  packageVersion,
  type RunningServer,
  runServer,
  type ServerInvocation,
  tlsFilesFor,
} from "@heddle/adapter-command";
import { createGrpcServer, tryListen } from "@heddle/adapter-grpc";
import { httpFacts, openHttp } from "@heddle/adapter-http";
import { openSqliteJournal } from "@heddle/adapter-sqlite";
import { batchRun, hostFacts, localTokens, systemEnvironment, temporaryDirectory } from "@heddle/adapter-system";
import { access, descriptorSetUrl, ManagerShell, TTL_BOUNDS } from "@heddle/shell-manager";
import { type ManagerConfig, settings } from "./config.ts";

/** Runs a manager as this process. */
export function main(
  invocation: ServerInvocation = { args: process.argv.slice(2), parseFile: JSON.parse },
): Promise<never> {
  const summary = "Keeps shared objects and leased locks for the programs and tasks of a fabric.";
  return runServer({ name: "manager", summary, settings, start }, invocation);
}

async function start(config: ManagerConfig): Promise<RunningServer> {
  await using scope = new AsyncDisposableStack();
  const env = systemEnvironment({ level: config.logLevel });
  const tls = tlsFilesFor("manager", config);
  const doors = { ...(tls === undefined ? {} : { tls }), tokens: localTokens({ log: env.log }) };
  await tryListen(config.listen, doors).catch(adviseOnAddress); // before a journal is made or opened
  const directory = config.dataDir ?? scope.use(temporaryDirectory("heddle-manager-")).path;
  const { scratch } = config;
  // the coordinator, which may be ending, too, has files there
  if (scratch !== undefined)
    process.once("exit", () => rmSync(scratch, { recursive: true, force: true, maxRetries: 5 }));
  const journal = scope.use(
    await openSqliteJournal({ directory: join(directory, "journal"), log: env.log, owner: { batch: batchRun() } }),
  );
  const { pid, nodeMajor } = hostFacts();
  const { leaseMs, heartbeatMs, ttlMinMs: minMs = TTL_BOUNDS.minMs, ttlMaxMs: maxMs = TTL_BOUNDS.maxMs } = config;
  const build = packageVersion(import.meta.url);
  const shell = new ManagerShell({
    env,
    journal,
    build,
    nodeMajor,
    pid,
    ...(leaseMs === undefined ? {} : { leaseMs }),
    ...(heartbeatMs === undefined ? {} : { heartbeatMs }),
    ttl: { ...TTL_BOUNDS, minMs, maxMs },
  });
  const http = scope.use(await openHttp(config.http, { server: "manager", build, watched: shell, log: env.log }));
  await shell.start();
  const server = createGrpcServer({
    log: env.log,
    access,
    ...doors,
    descriptorSet: fileURLToPath(descriptorSetUrl),
    healthServices: ["heddle.v1.Objects", "heddle.v1.Sessions", "heddle.v1.ObjectsAdmin"],
  });
  const { address } = scope.use(await server.listen(config.listen, shell.routes).catch(adviseOnAddress));
  http?.serves();
  const owned = scope.move();
  return {
    log: env.log,
    serving: Promise.resolve({
      line: `manager serves at ${address} (pid ${pid})`,
      facts: { address: advertised(address, config.advertise), ...httpFacts(http), pid },
    }),
    ended: shell.failed.then(
      ({ message }) => `${message}\nnobody knows what is on disk until it is read again: start the manager anew`,
    ),
    endedExitCode: exitCodes.internal,
    stop: (until) => shell.stop(config.drainMs, until),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

if (import.meta.main) await main();
