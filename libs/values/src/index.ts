export { compareValues } from "./compare.ts";
export { equalValues } from "./equal.ts";
export type { Value } from "./value.ts";
