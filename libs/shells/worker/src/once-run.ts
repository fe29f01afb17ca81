import { StateError } from "@heddle/kernel";
import type { PayloadItems } from "@heddle/wire";
import { type ChunkOutcome, ChunkState, type ChunkTask } from "./chunk-state.ts";
import { type ItemFailure, userFailure } from "./failures.ts";
import { ONCE_AHEAD_BYTES } from "./limits.ts";
import { MissingPart } from "./missing.ts";
import { OutcomeResults } from "./outcome-results.ts";
import type { CollectedItems, EffectsConflicts, OnceJob } from "./shared-objects.ts";

/**
 * Runs items whose writes to shared objects count once, one after the other. What some of them have written is made to count, at one moment together with their values, before any of
 * these is told; items that have been through that before do not run: their values are those of then.
 */
export function runOnce(task: ChunkTask, once: OnceJob): Promise<ChunkOutcome> {
  return new OnceRun(task, once).run();
}

/** Items that ran, and do not count yet. */
interface Leg {
  readonly outcomes: readonly Uint8Array[];
  /** Of the item after them. */
  readonly failure?: ItemFailure;
  /** What follows is given back. */
  readonly isGivenBack?: boolean;
}

class OnceRun {
  readonly #results = new OutcomeResults();
  readonly #state: ChunkState;
  readonly #once: OnceJob;
  /** By place, what items have come to that are settled. */
  #known: readonly (Uint8Array | undefined)[] = [];
  /** Where inputs are read on, and the place of the next one there. */
  #reading: { readonly items: PayloadItems; next: number } | undefined;

  constructor(task: ChunkTask, once: OnceJob) {
    this.#state = new ChunkState(task, this.#results);
    this.#once = once;
  }

  async run(): Promise<ChunkOutcome> {
    const conflicts = this.#once.effects.conflicts();
    try {
      await this.#learn();
      return await this.#runAll(conflicts);
    } catch (error) {
      return this.#state.threw(error); // the manager was not there to be asked
    } finally {
      await conflicts[Symbol.asyncDispose]();
    }
  }

  async #runAll(conflicts: EffectsConflicts): Promise<ChunkOutcome> {
    const results = this.#results;
    while (results.completed < this.#state.length) {
      const known = this.#known[results.completed];
      const outcome = known === undefined ? await this.#leg(conflicts) : this.#keep([known]);
      if (outcome !== undefined) return outcome;
    }
    return this.#state.all();
  }

  /** Asks what is settled of the items from here on. */
  async #learn(): Promise<void> {
    const { firstIndex, length } = this.#state;
    const { completed } = this.#results;
    const { id, effects } = this.#once;
    const known = await effects.settled(id, firstIndex + completed, length - completed);
    this.#known = [...new Array<undefined>(completed), ...known];
  }

  /** Runs items as far as they are not settled, and makes what they wrote count. An outcome where the chunk ends with that. */
  async #leg(conflicts: EffectsConflicts): Promise<ChunkOutcome | undefined> {
    const from = this.#results.completed;
    const collected = this.#once.effects.collect(this.#once.id);
    const { outcomes, failure, isGivenBack = false } = await this.#runItems(collected, from);
    this.#state.unmark(); // none is running
    if (outcomes.length > 0) {
      const committed = await collected.commit(this.#state.firstIndex + from, outcomes);
      const full = this.#keep(committed.outcomes);
      if (full !== undefined) return full;
      if (committed.outcomes.length > 0) await conflicts.through();
      if (committed.end.type === "conflict") return await this.#again(conflicts, collected, committed.end.error);
      if (committed.end.type === "error") return await this.#failed(userFailure(this.#offset, committed.end.error));
    }
    if (failure !== undefined) return await this.#failed(failure);
    return isGivenBack && this.#results.completed < this.#state.length ? this.#state.part() : undefined;
  }

  async #again(
    conflicts: EffectsConflicts,
    collected: CollectedItems,
    conflict: unknown,
  ): Promise<ChunkOutcome | undefined> {
    try {
      await conflicts.next(collected, conflict);
    } catch (error) {
      return await this.#failed(userFailure(this.#offset, error));
    }
    await this.#learn(); // it may have met what another run of its own items did
    return undefined;
  }

  /** The next item has failed, unless another run of it was through meanwhile: then that counts. */
  async #failed(failure: ItemFailure): Promise<ChunkOutcome | undefined> {
    await this.#learn();
    return this.#known[this.#results.completed] === undefined ? this.#state.failed(failure) : undefined;
  }

  async #runItems(collected: CollectedItems, from: number): Promise<Leg> {
    const { length, firstOffset, pace } = this.#state;
    const outcomes: Uint8Array[] = [];
    let bytes = 0;
    for (let at = from; at < length && this.#known[at] === undefined; at++) {
      if (at > from && (collected.isMuch || bytes >= ONCE_AHEAD_BYTES)) break;
      if (at > 0 && pace.givesBack(firstOffset + at, this.#results.size + bytes))
        return { outcomes, isGivenBack: true };
      const ran = await this.#runItem(collected, at, bytes);
      if (!(ran instanceof Uint8Array)) return { outcomes, failure: ran };
      outcomes.push(ran);
      bytes += ran.length;
    }
    return { outcomes };
  }

  /** What an item comes to, encoded, or its failure: then nothing of it is left. `ahead`: bytes of those before it that do not count yet. */
  async #runItem(collected: CollectedItems, at: number, ahead: number): Promise<Uint8Array | ItemFailure> {
    const state = this.#state;
    const offset = state.firstOffset + at;
    let item: unknown;
    try {
      item = await this.#read(at);
    } catch (error) {
      return state.failureOf(error, "argument", offset);
    }
    let value: unknown;
    try {
      const { task } = state.task;
      value = await collected.run(() => task.runScoped(state.firstIndex + at, () => state.call(item, at)));
      await collected.close();
      await this.#once.flush();
    } catch (error) {
      collected.drop();
      return userFailure(offset, error);
    }
    try {
      const outcome = this.#results.encode(value, ahead);
      await this.#once.flush(); // handles in it are of objects that are there
      return outcome;
    } catch (error) {
      collected.drop();
      return state.failureOf(error, "result", offset);
    }
  }

  async #read(at: number): Promise<unknown> {
    const state = this.#state;
    if (this.#reading?.next !== at) this.#reading = { items: state.itemsFrom(at), next: at };
    const { items } = this.#reading;
    this.#reading.next = at + 1;
    try {
      return items.next();
    } catch (error) {
      if (!(error instanceof MissingPart)) throw error;
      return await state.fetched(items, at);
    }
  }

  /** An outcome when there is no room for one of them among the values of the chunk, or its item was answered by an error before. */
  #keep(outcomes: readonly Uint8Array[]): ChunkOutcome | undefined {
    try {
      for (const outcome of outcomes) {
        if (outcome.length === 0)
          return this.#state.threw(new StateError("the item was written off: its call has its error"));
        this.#results.keep(outcome);
      }
      return undefined;
    } catch (error) {
      return this.#state.refused(error, "result");
    }
  }

  get #offset(): number {
    return this.#state.firstOffset + this.#results.completed;
  }
}
