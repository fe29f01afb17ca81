import { Heap, type Millis } from "@heddle/kernel";
import type { Exclusion } from "./health.ts";
import type { Assignment, Drain, Job, Node, Span } from "./state.ts";

/** What is to happen at a time. */
export type Alarm =
  | { readonly type: "retry"; readonly span: Span }
  | { readonly type: "release-hold"; readonly node: Node }
  | { readonly type: "stop-drained"; readonly node: Node; readonly drain: Drain }
  | { readonly type: "readmit"; readonly node: Node; readonly exclusion: Exclusion }
  | { readonly type: "give-up-lacking"; readonly job: Job; readonly sinceMs: Millis }
  | { readonly type: "start-by"; readonly assignment: Assignment }
  | { readonly type: "hand-back" }
  | { readonly type: "back-up" };

interface Entry {
  readonly atMs: Millis;
  readonly sequence: number;
  readonly alarm: Alarm;
}

/** The alarms of the core and the one timer that its shell keeps for them. An alarm that no longer applies is ignored by who takes it. */
export class Timers {
  readonly #entries = new Heap<Entry>((a, b) => a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence));
  #sequence = 0;
  /** When the shell's timer will fire; undefined when it has none. */
  #armedMs: Millis | undefined;

  add(atMs: Millis, alarm: Alarm): void {
    this.#entries.push({ atMs, sequence: this.#sequence++, alarm });
  }

  /** Removes and returns the earliest alarm that is due, or undefined. */
  takeDue(nowMs: Millis): Alarm | undefined {
    if (this.#armedMs !== undefined && this.#armedMs <= nowMs) this.#armedMs = undefined;
    const next = this.#entries.peek();
    return next !== undefined && next.atMs <= nowMs ? this.#entries.pop()?.alarm : undefined;
  }

  /** The time for which the shell's timer must be set now, or undefined when it need not be touched. */
  arm(): Millis | undefined {
    const atMs = this.#entries.peek()?.atMs;
    if (atMs === undefined || (this.#armedMs !== undefined && this.#armedMs <= atMs)) return undefined;
    this.#armedMs = atMs;
    return atMs;
  }
}
