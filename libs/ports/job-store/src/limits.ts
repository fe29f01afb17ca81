/** Bounds of every job store. */

/** What is said of jobs that ended, kept or not. Beyond: the oldest go, and nobody is told. */
export const HISTORY_MAX = 1_000;
