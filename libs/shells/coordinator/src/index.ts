export { descriptorSetUrl } from "@heddle/wire";
export { type CoordinatorOptions, CoordinatorShell } from "./coordinator.ts";
export * from "./limits.ts";
