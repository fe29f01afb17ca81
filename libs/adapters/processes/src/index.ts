export { openScope } from "./async-scope.ts";
export {
  DISPOSE_WAIT_MS,
  LINK_END_GRACE_MS,
  PIPE_END_WAIT_MS,
  REAPER_RESTARTS_MAX,
  RSS_SAMPLE_MS,
  SWEEP_PASSES_MAX,
  SWEEP_SLICE,
  WORKER_FRAME_BYTES_MAX,
  WORKER_FRAME_BYTES_TARGET,
  WORKER_LINK_BUFFER_BYTES,
  WORKER_UNSENT_BYTES_MAX,
} from "./limits.ts";
export { createProcessSpawner, type ProcessSpawnerOptions } from "./spawner.ts";
