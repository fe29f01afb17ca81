export * from "./limits.ts";
export { createProcessSpawner, type ProcessSpawnerOptions } from "./spawner.ts";
