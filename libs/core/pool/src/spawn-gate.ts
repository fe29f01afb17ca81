import type { Millis } from "@heddle/kernel";
import { SPAWN_BACKOFF_FIRST_MS, SPAWN_BACKOFF_MAX_MS, SPAWN_FAILURES_MAX } from "./limits.ts";

/**
 * Whether a worker may be started now. Failures count in waves: workers that were started together and fail together
 * fail once. While the last attempt failed, one worker at a time is tried.
 */
export class SpawnGate {
  /** Failed waves since the last worker that got ready. */
  failures = 0;
  /** Number of the wave that workers started now belong to. */
  wave = 0;
  /** Nothing is started before this. */
  notBeforeMs: Millis = 0;

  allows(nowMs: Millis, spawning: number): boolean {
    return nowMs >= this.notBeforeMs && (this.failures === 0 || spawning === 0);
  }

  /** Too many failures in a row: what waits for a worker must not wait longer. */
  get hopeless(): boolean {
    return this.failures >= SPAWN_FAILURES_MAX;
  }

  succeeded(): void {
    this.failures = 0;
    this.notBeforeMs = 0;
  }

  /** A worker of `wave` could not be started. False when its wave is already counted. */
  failed(nowMs: Millis, wave: number): boolean {
    if (wave !== this.wave) return false;
    this.wave++;
    this.failures++;
    const doublings = Math.min(this.failures - 1, 30);
    this.notBeforeMs = nowMs + Math.min(SPAWN_BACKOFF_MAX_MS, SPAWN_BACKOFF_FIRST_MS * 2 ** doublings);
    return true;
  }
}
