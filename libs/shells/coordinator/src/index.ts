export { type CoordinatorOptions, CoordinatorShell } from "./coordinator.ts";
export * from "./limits.ts";
