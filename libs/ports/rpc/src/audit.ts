import type { Clock, Logger } from "@heddle/kernel";
import { AUDIT_LINES_MAX, AUDIT_SPAN_MS, AUDIT_TEXT_CHARS } from "./limits.ts";

/** Somebody who was turned away. */
export interface Refusal {
  /** Its address. */
  readonly peer: string;
  /** What it has proved to be, if anything. */
  readonly who?: string | undefined;
  /** The method that it asked for; undefined where it did not come so far. */
  readonly path?: string | undefined;
  readonly why: string;
}

/** What an audit works with. */
export interface AuditOptions {
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Writes one warning for each refusal, up to AUDIT_LINES_MAX in AUDIT_SPAN_MS; how many were left out is written when the span is over. So nobody who is refused fills a disk.
 */
export class Audit implements Disposable {
  readonly #clock: Clock;
  readonly #log: Logger;
  #lines = 0;
  #leftOut = 0;
  #spanEnd: Disposable | undefined;

  constructor({ clock, log }: AuditOptions) {
    this.#clock = clock;
    this.#log = log;
  }

  refused({ peer, who, path, why }: Refusal): void {
    this.#spanEnd ??= this.#clock.setTimer(this.#clock.nowMs() + AUDIT_SPAN_MS, () => this[Symbol.dispose]());
    if (this.#lines >= AUDIT_LINES_MAX) {
      this.#leftOut++;
      return;
    }
    this.#lines++;
    const cut = path?.slice(0, AUDIT_TEXT_CHARS);
    this.#log.warn("refused", { peer, who, path: cut, why: why.slice(0, AUDIT_TEXT_CHARS) });
  }

  /** Writes what was left out, and begins anew. */
  [Symbol.dispose](): void {
    this.#spanEnd?.[Symbol.dispose]();
    this.#spanEnd = undefined;
    if (this.#leftOut > 0) this.#log.warn("more were refused than were logged", { count: this.#leftOut });
    this.#lines = 0;
    this.#leftOut = 0;
  }
}
