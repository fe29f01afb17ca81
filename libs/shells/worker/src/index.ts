export * from "./limits.ts";
export { type AgentLink, runWorker, type WorkerOptions } from "./worker.ts";
