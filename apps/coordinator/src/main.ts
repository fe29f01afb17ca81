import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  advertised,
  adviseOnAddress,
  checkedAddress,
  exitCodes,
  packageVersion,
  type RunningServer,
  runServer,
  type ServerInvocation,
  tlsFilesFor,
} from "@heddle/adapter-command";
import { checkListen, createGrpcClient, createGrpcServer } from "@heddle/adapter-grpc";
import { httpFacts, openHttp } from "@heddle/adapter-http";
import { sqliteJobStore } from "@heddle/adapter-sqlite";
import {
  batchRun,
  fileBlobs,
  fileSpill,
  findLocalToken,
  hostFacts,
  localTokenDirectory,
  localTokens,
  systemEnvironment,
  temporaryDirectory,
} from "@heddle/adapter-system";
import type { Logger } from "@heddle/kernel";
import {
  access,
  type CoordinatorOptions,
  CoordinatorShell,
  descriptorSetUrl,
  memoryJobStore,
} from "@heddle/shell-coordinator";
import { ARTIFACTS_BYTES_MAX, type CoordinatorConfig, settings } from "./config.ts";

/** Runs a coordinator as this process. */
export function main(
  invocation: ServerInvocation = { args: process.argv.slice(2), parseFile: JSON.parse },
): Promise<never> {
  const summary = "Schedules the work of clients over the agents that attach to it.";
  return runServer({ name: "coordinator", summary, settings, start }, invocation);
}

async function start(config: CoordinatorConfig): Promise<RunningServer> {
  await using scope = new AsyncDisposableStack();
  const env = systemEnvironment({ level: config.logLevel });
  const files = tlsFilesFor("coordinator", config);
  const tls = files === undefined ? {} : { tls: files };
  const tokens = localTokens({ log: env.log });
  checkListen(config.listen, { ...tls, tokens }); // before anything is made
  if (config.dataDir === undefined && !config.ephemeral)
    env.log.warn("jobs that are kept end with this process, detached ones too: --data-dir DIR keeps them");
  const directory = config.dataDir ?? scope.use(temporaryDirectory("heddle-coordinator-")).path;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const storage = await openStorage(config, { directory, scope, log: env.log });
  const { pid, nodeMajor } = hostFacts();
  const { leaseMs, heartbeatMs, manager } = config;
  const build = packageVersion(import.meta.url);
  const shell = new CoordinatorShell({
    env,
    ...storage,
    keptBytesMax: config.keptBytes,
    spillBytesMax: config.spillBytes,
    timeOfDayMs: Date.now,
    build,
    nodeMajor,
    pid,
    unschedulableMs: config.unschedulableMs,
    ...(leaseMs === undefined ? {} : { leaseMs }),
    ...(heartbeatMs === undefined ? {} : { heartbeatMs }),
    ...(manager === undefined
      ? {}
      : {
          manager: {
            address: checkedAddress(manager, files),
            client: scope.use(
              createGrpcClient({ ...tls, findToken: findLocalToken, tokenPlace: localTokenDirectory(), log: env.log }),
            ),
          },
        }),
  });
  const http = scope.use(await openHttp(config.http, { server: "coordinator", build, watched: shell, log: env.log }));
  await shell.start();
  const server = createGrpcServer({
    log: env.log,
    access,
    ...tls,
    tokens,
    descriptorSet: fileURLToPath(descriptorSetUrl),
    healthServices: ["heddle.v1.Jobs", "heddle.v1.Nodes", "heddle.v1.Admin"],
  });
  const { address } = scope.use(await server.listen(config.listen, shell.routes).catch(adviseOnAddress));
  http?.serves();
  const owned = scope.move();
  return {
    log: env.log,
    serving: Promise.resolve({
      line: `coordinator serves at ${address} (pid ${pid})`,
      facts: { address: advertised(address, config.advertise), ...httpFacts(http), pid },
    }),
    ended: shell.failed.then(
      ({ message }) => `${message}\nnobody knows what is on disk until it is read again: start the coordinator anew`,
    ),
    endedExitCode: exitCodes.internal,
    stop: (until) => shell.stop(config.drainMs, until),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Shipped code, kept jobs, and results that wait: these where somebody has chosen the disk, for a temporary directory may be memory. */
async function openStorage(
  { dataDir, ephemeral, spillBytes }: CoordinatorConfig,
  where: { readonly directory: string; readonly scope: AsyncDisposableStack; readonly log: Logger },
): Promise<Pick<CoordinatorOptions, "blobs" | "jobs" | "spill">> {
  const { directory, scope, log } = where;
  const blobs = scope.use(fileBlobs(join(directory, "artifacts"), { maxBytes: ARTIFACTS_BYTES_MAX }));
  const jobs = scope.use(
    ephemeral ? memoryJobStore() : await sqliteJobStore(join(directory, "jobs"), { log, owner: { batch: batchRun() } }),
  );
  if (dataDir === undefined || ephemeral || spillBytes === 0) return { blobs, jobs };
  return { blobs, jobs, spill: await fileSpill(join(directory, "spill")) };
}

if (import.meta.main) await main();
