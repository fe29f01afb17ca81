export { type BatchRun, batchRun } from "./batch-run.ts";
export { bootClock, systemClock } from "./clock.ts";
export { systemEnvironment } from "./environment.ts";
export { type FileBlobsOptions, fileBlobs } from "./file-blobs.ts";
export { fileSpill } from "./file-spill.ts";
export {
  environmentVariable,
  type HostFacts,
  hostFacts,
  onProcessEnd,
  processHolds,
  temporaryDirectory,
} from "./host.ts";
export { type LeaseClient, type LeaseThreadOptions, serveLeaseThread, threadLeases } from "./lease-thread.ts";
export {
  findLocalToken,
  type KeptToken,
  type LocalTokensOptions,
  localTokenDirectory,
  localTokens,
} from "./local-tokens.ts";
export { type LogLevel, type LogOptions, logLevels, stderrLogger } from "./log.ts";
export { ownNodeName } from "./node-name.ts";
export { systemRandom } from "./random.ts";
export { compileCacheDirectory, privateDirectory, runtimeDirectory } from "./runtime-directory.ts";
export { availableSlots, type CoreFacts, type ReadText, readCgroupQuota, slotsFrom } from "./slots.ts";
export { openTerminal, type Terminal } from "./terminal.ts";
