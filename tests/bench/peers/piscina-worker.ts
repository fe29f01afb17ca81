import { move } from "piscina";
import { typedCubes as cubesOf, type Slice } from "../chunk-tasks.ts";

export { cubes, objects, one, primes, samples } from "../chunk-tasks.ts";

/** Moved to the caller, not copied: what piscina has for it. */
export const typedCubes = (slice: Slice): unknown => move(cubesOf(slice));
