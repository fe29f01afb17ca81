export { type AgentOptions, AgentShell } from "./agent.ts";
export * from "./limits.ts";
