/** Values that follow what they were set for through promises and timers. */
export interface AsyncScope<T> {
  /** Calls `run`; it and what it begins get `value`. */
  readonly run: <R>(value: T, run: () => R) => R;
  /** The value of what runs now, if it has one. */
  readonly get: () => T | undefined;
}
