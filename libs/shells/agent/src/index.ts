export { type AgentOptions, AgentShell } from "./agent.ts";
export { CODE_PLACE_KEEP_MS, OUTPUT_BACKLOG_BYTES, OUTPUT_BLOCK_BYTES, REDIAL_BACKOFF } from "./limits.ts";
