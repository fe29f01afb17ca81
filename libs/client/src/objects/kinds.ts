import type { Kinds } from "./home.ts";

/** Every kind of shared object that handles are made of. */
export const KINDS: Kinds = {};
