export { memoryJobStore } from "@heddle/port-job-store";
export { access, descriptorSetUrl } from "@heddle/wire";
export { CoordinatorShell } from "./coordinator.ts";
export {
  CALLER_CLIENTS_MAX,
  CALLER_MANAGER_STREAMS_MAX,
  CLIENT_OUTPUT_BACKLOG_BYTES,
  CLIENT_POOLS_MAX,
  CLIENT_RESULT_BACKLOG_BYTES,
  CLIENTS_MAX,
  ENDED_JOB_AGE_MS,
  ENDED_JOBS_MAX,
  KEPT_BYTES_MAX,
  MANAGER_STREAMS_MAX,
  NODES_MAX,
  SPILL_BYTES_MAX,
} from "./limits.ts";
export type { ManagerPlace } from "./manager-relay.ts";
export type { CoordinatorOptions } from "./options.ts";
