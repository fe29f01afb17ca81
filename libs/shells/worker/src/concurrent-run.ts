import type { PayloadItems } from "@heddle/wire";
import { type ChunkOutcome, type ChunkState, tupleOf } from "./chunk-state.ts";
import { type ItemFailure, userFailure } from "./failures.ts";
import { MissingPart } from "./missing.ts";
import { isThenable } from "./results.ts";

/** Runs up to `concurrency` items at a time where they return promises. Results are in order, whatever order they come in. */
export function runConcurrently(state: ChunkState, items: PayloadItems): Promise<ChunkOutcome> {
  return new ConcurrentRun(state, items).run();
}

class ConcurrentRun {
  readonly #state: ChunkState;
  readonly #items: PayloadItems;
  /** Slots of marks that are free; the lowest one is taken first. */
  readonly #freeSlots: number[];
  /** Place of the next item to begin. */
  #next = 0;
  #underWay = 0;
  /** Values of items behind one that is still under way, by place. Size < concurrency. */
  readonly #early = new Map<number, unknown>();
  /** The failure with the lowest place. Nothing begins any more. */
  #failure: { readonly at: number; readonly failure: ItemFailure } | undefined;
  #isGivenBack = false;
  #someEnded = Promise.withResolvers<void>();

  constructor(state: ChunkState, items: PayloadItems) {
    this.#state = state;
    this.#items = items;
    this.#freeSlots = Array.from({ length: state.task.concurrency }, (_, at) => state.task.concurrency - 1 - at);
  }

  async run(): Promise<ChunkOutcome> {
    const { concurrency } = this.#state.task;
    while (this.#mayBegin() || this.#underWay > 0) {
      while (this.#mayBegin() && this.#underWay < concurrency) {
        const coming = this.#begin();
        if (coming !== undefined) await coming;
      }
      if (this.#underWay > 0) await this.#someEnded.promise;
      this.#someEnded = Promise.withResolvers();
    }
    if (this.#failure !== undefined) return this.#state.failed(this.#failure.failure);
    return this.#next < this.#state.length ? this.#state.part() : this.#state.all();
  }

  #mayBegin(): boolean {
    if (this.#failure !== undefined || this.#isGivenBack || this.#next === this.#state.length) return false;
    const { pace, results, firstOffset } = this.#state;
    if (this.#next > 0 && pace.givesBack(firstOffset + this.#next, results.size)) this.#isGivenBack = true;
    return !this.#isGivenBack;
  }

  /** Begins the next item; a promise while its functions are fetched. */
  #begin(): Promise<void> | undefined {
    const at = this.#next++;
    let item: unknown;
    try {
      item = this.#items.next();
    } catch (error) {
      if (error instanceof MissingPart) return this.#fetchAndCall(at);
      return this.#refused(at, error);
    }
    return this.#call(item, at);
  }

  async #fetchAndCall(at: number): Promise<void> {
    let item: unknown;
    try {
      item = await this.#state.fetched(this.#items, at);
    } catch (error) {
      return this.#refused(at, error);
    }
    if (this.#failure === undefined) this.#call(item, at);
  }

  #call(item: unknown, at: number): undefined {
    const { task, firstIndex, firstOffset } = this.#state;
    const { fn, spread, marks } = task;
    const index = firstIndex + at;
    const slot = this.#freeSlots.pop() ?? 0;
    marks?.mark(firstOffset + at, slot);
    let result: unknown;
    try {
      result = task.task.runScoped(index, () => (spread ? fn(...tupleOf(item, index)) : fn(item)));
      if (isThenable(result)) {
        this.#underWay++;
        void Promise.resolve(result).then(
          (value) => this.#ended(slot, () => this.#keep(at, value)),
          (error: unknown) => this.#ended(slot, () => this.#threw(at, error)),
        );
        return;
      }
    } catch (error) {
      this.#free(slot);
      return this.#threw(at, error);
    }
    this.#free(slot);
    this.#keep(at, result);
  }

  #ended(slot: number, take: () => void): void {
    this.#underWay--;
    this.#free(slot);
    take();
    this.#someEnded.resolve();
  }

  #free(slot: number): void {
    this.#state.task.marks?.unmark(slot);
    this.#freeSlots.push(slot);
  }

  /** Values go where they belong as soon as all before them are there. */
  #keep(at: number, value: unknown): void {
    const { results } = this.#state;
    this.#early.set(at, value);
    for (let next = results.completed; this.#early.has(next) && !this.#failsBefore(next); next = results.completed) {
      const early = this.#early.get(next);
      this.#early.delete(next);
      try {
        results.add(early);
      } catch (error) {
        const failedAt = results.completed;
        this.#fail(failedAt, this.#state.failureOf(error, "result", this.#state.firstOffset + failedAt));
        return;
      }
    }
  }

  #failsBefore(at: number): boolean {
    return this.#failure !== undefined && this.#failure.at <= at;
  }

  #threw(at: number, error: unknown): undefined {
    this.#fail(at, userFailure(this.#state.firstOffset + at, error));
  }

  #refused(at: number, error: unknown): undefined {
    this.#fail(at, this.#state.failureOf(error, "argument", this.#state.firstOffset + at));
  }

  #fail(at: number, failure: ItemFailure): void {
    if (!this.#failsBefore(at)) this.#failure = { at, failure };
  }
}
