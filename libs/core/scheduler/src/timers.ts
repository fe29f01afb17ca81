import type { Millis } from "@heddle/kernel";
import type { Exclusion } from "./health.ts";
import { type Ranked, Ranking } from "./ranking.ts";
import type { Drain, Job, Node, Span } from "./state.ts";

/** What is to happen at a time. */
export type Alarm =
  | { readonly type: "retry"; readonly span: Span }
  | { readonly type: "release-hold"; readonly node: Node }
  | { readonly type: "stop-drained"; readonly node: Node; readonly drain: Drain }
  | { readonly type: "readmit"; readonly node: Node; readonly exclusion: Exclusion }
  | { readonly type: "give-up-lacking"; readonly job: Job; readonly sinceMs: Millis }
  | { readonly type: "start-by"; readonly node: Node }
  | { readonly type: "hand-back" }
  | { readonly type: "back-up" };

/** An alarm that has not rung: what it is moved and removed by. */
export interface PendingAlarm extends Ranked {
  /** Written by the timers only. */
  atMs: Millis;
  readonly sequence: number;
  readonly alarm: Alarm;
}

/** The alarms of the core and the one timer that its shell keeps for them. An alarm that no longer applies is ignored by who takes it. */
export class Timers implements Iterable<PendingAlarm> {
  readonly #entries = new Ranking<PendingAlarm>(
    (a, b) => a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence),
  );
  #sequence = 0;
  /** When the shell's timer will fire; undefined when it has none. */
  #armedMs: Millis | undefined;

  add(atMs: Millis, alarm: Alarm): PendingAlarm {
    const pending: PendingAlarm = { atMs, sequence: this.#sequence++, alarm, rankAt: -1 };
    this.#entries.update(pending);
    return pending;
  }

  /** One that has not rung rings then. */
  move(pending: PendingAlarm, atMs: Millis): void {
    pending.atMs = atMs;
    this.#entries.update(pending);
  }

  /** Nobody waits for it any more. One that has rung stays away. */
  remove(pending: PendingAlarm): void {
    this.#entries.remove(pending);
  }

  /** All that have not rung, in no order. */
  [Symbol.iterator](): Iterator<PendingAlarm> {
    return this.#entries[Symbol.iterator]();
  }

  /** Removes and returns the earliest alarm that is due, or undefined. */
  takeDue(nowMs: Millis): Alarm | undefined {
    if (this.#armedMs !== undefined && this.#armedMs <= nowMs) this.#armedMs = undefined;
    const next = this.#entries.peek();
    if (next === undefined || next.atMs > nowMs) return undefined;
    this.#entries.remove(next);
    return next.alarm;
  }

  /** The time for which the shell's timer must be set now, or undefined when it need not be touched. */
  arm(): Millis | undefined {
    const atMs = this.#entries.peek()?.atMs;
    if (atMs === undefined || (this.#armedMs !== undefined && this.#armedMs <= atMs)) return undefined;
    this.#armedMs = atMs;
    return atMs;
  }
}
