import { type AsyncScope, StateError, seededRandom } from "@heddle/kernel";

export type { AsyncScope as TaskScope } from "@heddle/kernel";

/** What a task may know of itself. */
export interface TaskContext {
  /** Index of its item in the call's inputs. */
  readonly index: number;
  /** Which placement of the item it is, from 1: more than 1 when a worker or node died with it, it was given back unbegun, or it failed and is retried. */
  readonly attempt: number;
  /** Name of the node. */
  readonly node: string;
  /** Id of the job: of the call of map, apply, ... */
  readonly jobId: string;
  /**
   * Aborts shortly before the task's process is ended: the call was cancelled, the pool terminated, or the node is drained or comes to its end; its reason says which, where
   * that is known. A worker whose code has asked for it ends half a second after it is told to; one that never did ends at once. Where a node comes to its end or is being stopped, it aborts some
   * seconds before that, and what the task throws then is not its failure: its item runs again elsewhere.
   */
  readonly signal: AbortSignal;
  /** What the last attempt of the item said by `checkpoint`, a copy of it; undefined when there was none, or it did not arrive. */
  readonly restored: unknown;
  /**
   * Leaves `state`, as it is now, to the next attempt of the item, should this one be lost: it is that one's `restored`. The newest counts. Best effort: it reaches the coordinator a moment later, at most ten
   * times a second, keeps one for each chunk that runs, and goes with a coordinator that is started anew. Large ones (beyond some 64 KiB) leave when the task next awaits something. Throws
   * SerializationError for what cannot travel, LimitError above 1 MiB, and StateError once the item is over or where its call has `effects: "once"`.
   */
  checkpoint(state: unknown): void;
  /**
   * The next of the item's own random numbers, uniform in [0, 1). They depend on the call's seed and the item's index alone: the same
   * numbers come whatever node and chunk the item runs in, and again at a further attempt. An item has one sequence, however often it
   * asks for task().
   */
  random(): number;
}

/** What items of a chunk have in common. */
export interface TaskPlace {
  readonly node: string;
  readonly jobId: string;
  readonly attempt: number;
  readonly seedLow: number;
  readonly seedHigh: number;
  /** Of the chunk that runs. */
  readonly assignment: number;
  /** Index of the chunk's first item in the call's inputs. */
  readonly chunkIndex: number;
  /** What an attempt before has left of one of the items; undefined for nothing. */
  readonly restored: Restored | undefined;
  /** What it writes to shared objects counts once. */
  readonly isOnce: boolean;
}

interface Restored {
  /** Of the item in its chunk. */
  readonly offset: number;
  /** A new copy at each call. */
  readonly read: () => unknown;
}

/** What tasks ask of their worker. */
export interface TaskHost {
  /** Aborts when the process is about to end. */
  readonly stopSignal: () => AbortSignal;
  readonly openScope: () => AsyncScope<ScopedItem>;
  /** An item of the chunk has come to something. Throws for a state that cannot travel. */
  readonly checkpoint: (place: TaskPlace, index: number, state: unknown) => void;
}

/** An item that asked for its context. */
export interface ScopedItem {
  readonly place: TaskPlace;
  readonly index: number;
  /** Its random numbers, once it asked for one. */
  float: (() => number) | undefined;
}

/**
 * Which item runs now. Items of one worker run one after the other, so there is one at a time, and telling them apart costs an assignment
 * each; where several are under way at a time each has a scope. Code that outlives its item (a timer that nobody awaits) sees the item that
 * runs then, unless it was in a scope: to know its own it keeps what task() gave it, which never changes.
 */
export class CurrentTask {
  /** Set right before each item that runs alone. */
  index = 0;
  #place: TaskPlace | undefined;
  /** The item that asked last; undefined when none of this chunk did. */
  #asked: ScopedItem | undefined;
  #isScoped = false;
  #scope: AsyncScope<ScopedItem> | undefined;
  readonly #host: TaskHost;

  constructor(host: TaskHost) {
    this.#host = host;
  }

  /** A chunk begins. */
  begin(place: TaskPlace): void {
    this.#place = place;
    this.#asked = undefined;
    this.#isScoped = false;
  }

  /** It is over. */
  end(): void {
    this.#place = undefined;
  }

  /** Begins an item of several that are under way at a time. */
  runScoped<R>(index: number, run: () => R): R {
    const place = this.#place;
    if (place === undefined) return run();
    this.#isScoped = true;
    this.#scope ??= this.#host.openScope();
    return this.#scope.run({ place, index, float: undefined }, run);
  }

  /** Undefined when nothing runs. */
  get(): TaskContext | undefined {
    const item = this.#item();
    if (item === undefined) return undefined;
    const host = this.#host;
    const { attempt, node, jobId } = item.place;
    const isOver = (): boolean => this.#place !== item.place;
    return {
      index: item.index,
      attempt,
      node,
      jobId,
      get signal(): AbortSignal {
        return host.stopSignal();
      },
      get restored(): unknown {
        return restoredOf(item);
      },
      checkpoint: (state) => {
        if (isOver()) throw new StateError("checkpoint() was called when its item was over");
        host.checkpoint(item.place, item.index, state);
      },
      random: () => {
        item.float ??= randomOf(item);
        return item.float();
      },
    };
  }

  /** The same object as long as the same item runs; undefined when none does. */
  attempt(): object | undefined {
    return this.#item();
  }

  #item(): ScopedItem | undefined {
    const place = this.#place;
    if (place === undefined) return undefined;
    if (this.#isScoped) return this.#scope?.get();
    if (this.#asked?.index !== this.index) this.#asked = { place, index: this.index, float: undefined };
    return this.#asked;
  }
}

/** The index is the generator's seed and the job's seed its name: so no two items of a job have the same numbers. */
function randomOf({ index, place: { seedHigh, seedLow } }: ScopedItem): () => number {
  return seededRandom(index, `${seedHigh >>> 0} ${seedLow >>> 0}`).float;
}

function restoredOf({ index, place: { chunkIndex, restored } }: ScopedItem): unknown {
  return restored?.offset === index - chunkIndex ? restored.read() : undefined;
}
