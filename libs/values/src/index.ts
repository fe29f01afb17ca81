export { equalValues } from "./equal.ts";
export type { Value } from "./value.ts";
