/** Longest wait for a server that does not answer, unless `unavailableTimeoutMs` says otherwise. Then UnavailableError. */
export const UNAVAILABLE_TIMEOUT_MS = 60_000;
/** Longest wait for the first answer of a server, so that a wrong address is heard of soon. Then UnavailableError. */
export const FIRST_CONNECT_TIMEOUT_MS = 10_000;
/** Longest wait for the answer to a question about the fabric. Then TimeoutError. */
export const QUESTION_TIMEOUT_MS = 10_000;
/** Characters in the name of a pool or a call. More is a RangeError. */
export const NAME_LENGTH_MAX = 200;
/** Inputs of one map: its results must fit an array. More is a RangeError. */
export const MAP_ITEMS_MAX = 2 ** 32 - 2;
/** Code and captured values that are kept for the next call though no open job uses them. Above either, those used longest ago are withdrawn. */
export const IDLE_ARTIFACTS_MAX = 1_000;
/** Their bytes. */
export const IDLE_ARTIFACT_BYTES_MAX = 64 * 1024 * 1024;
