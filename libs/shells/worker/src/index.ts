export { QUICK_CHUNK_MS, QUICK_CHUNKS_MIN, SUMMARY_BYTES_MAX, TURN_MS } from "./limits.ts";
export { type AgentLink, runWorker, type WorkerOptions } from "./worker.ts";
