import { fingerprint } from "./fingerprint.ts";
import type { Operation } from "./history.ts";

/**
 * The operations that are not placed yet, as a list of calls and returns in order of time (calls first where times are equal), of which operations are
 * taken out and put back, last out first in. Whatever was called before the first return in the list may come next.
 */
export class Pending {
  /** Neighbours of each event: 0 is both ends; the call of operation i is 2i + 1, its return 2i + 2. */
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  /** Whether an operation has a return. */
  readonly #returns: Uint8Array;
  /** Of an operation of unknown outcome the one called last before it that is just like it, else -1: as good at any place, so that it always goes first. */
  readonly #twin: Int32Array;
  readonly #isTaken: Uint8Array;
  /** How many returns come before each event. */
  readonly #returnsBefore: Int32Array;

  constructor(history: readonly Operation<unknown>[]) {
    this.#next = new Int32Array(2 * history.length + 1);
    this.#previous = new Int32Array(2 * history.length + 1);
    this.#returns = Uint8Array.from(history, ({ returnedAt }) => (returnedAt === undefined ? 0 : 1));
    this.#twin = twinsIn(history);
    this.#isTaken = new Uint8Array(history.length);
    this.#returnsBefore = new Int32Array(2 * history.length + 1);
    let [last, returns] = [0, 0];
    for (const event of eventsInOrder(history)) {
      this.#next[last] = event;
      this.#previous[event] = last;
      last = event;
      this.#returnsBefore[event] = event % 2 === 0 ? returns++ : returns;
    }
    this.#returnsBefore[0] = returns;
    this.#next[last] = 0;
    this.#previous[0] = last;
  }

  /** Operations that may come next, in the order of their calls. */
  candidates(): number[] {
    const found: number[] = [];
    for (let event = this.#after(0); event % 2 === 1; event = this.#after(event)) {
      const operation = (event - 1) / 2;
      const twin = this.#twin[operation] ?? -1;
      if (twin < 0 || this.#isTaken[twin] === 1) found.push(operation);
    }
    return found;
  }

  /** How many answered operations are out of the list before the first that is in it, in order of return. */
  settled(): number {
    let event = this.#after(0);
    while (event % 2 === 1) event = this.#after(event);
    return this.#returnsBefore[event] ?? 0;
  }

  take(operation: number): void {
    this.#isTaken[operation] = 1;
    this.#unlink(2 * operation + 1);
    if (this.#returns[operation] === 1) this.#unlink(2 * operation + 2);
  }

  /** Undoes the last `take` that was not undone. */
  putBack(operation: number): void {
    this.#isTaken[operation] = 0;
    if (this.#returns[operation] === 1) this.#link(2 * operation + 2);
    this.#link(2 * operation + 1);
  }

  #after(event: number): number {
    return this.#next[event] ?? 0;
  }

  #unlink(event: number): void {
    const [before, after] = [this.#previous[event] ?? 0, this.#after(event)];
    this.#next[before] = after;
    this.#previous[after] = before;
  }

  #link(event: number): void {
    this.#next[this.#previous[event] ?? 0] = event;
    this.#previous[this.#after(event)] = event;
  }
}

function twinsIn(history: readonly Operation<unknown>[]): Int32Array {
  const twins = new Int32Array(history.length).fill(-1);
  const latest = new Map<string, number>();
  const unknown = [...history.entries()].filter(([, { output }]) => output === undefined);
  for (const [index, { input }] of unknown.sort(([, a], [, b]) => a.invokedAt - b.invokedAt)) {
    const key = fingerprint(input);
    twins[index] = latest.get(key) ?? -1;
    latest.set(key, index);
  }
  return twins;
}

function eventsInOrder(history: readonly Operation<unknown>[]): number[] {
  const events: { readonly atMs: number; readonly event: number }[] = [];
  for (const [index, { invokedAt, returnedAt }] of history.entries()) {
    events.push({ atMs: invokedAt, event: 2 * index + 1 });
    if (returnedAt !== undefined) events.push({ atMs: returnedAt, event: 2 * index + 2 });
  }
  const order = (event: number): number => (event % 2 === 1 ? 0 : 1);
  events.sort((a, b) => a.atMs - b.atMs || order(a.event) - order(b.event) || a.event - b.event);
  return events.map(({ event }) => event);
}
