/** Milliseconds. Of a clock: monotonic, from an origin that means nothing. */
export type Millis = number;

/** Monotonic time and one-shot timers. Never a wall clock. */
export interface Clock {
  /** Now, never smaller than an earlier answer. */
  readonly nowMs: () => Millis;
  /** Runs `run` once at or after `atMs`, never inline. Disposing it before then forgets it. Timers do not keep a process alive. */
  readonly setTimer: (atMs: Millis, run: () => void) => Disposable;
}
