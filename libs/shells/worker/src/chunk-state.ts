import { ProtocolError } from "@heddle/kernel";
import type { AnyFunction } from "@heddle/port-shipper";
import { type EncodedPayload, type ItemSpan, type PayloadItems, payloadItems } from "@heddle/wire";
import { fabricFailure, type ItemFailure, isRefusal, userFailure } from "./failures.ts";
import type { FunctionLoops } from "./function-loops.ts";
import type { Functions } from "./functions.ts";
import { Pace } from "./pace.ts";
import { FoldedResults, type Folding, PlainResults, type Results } from "./results.ts";
import type { OnceJob } from "./shared-objects.ts";
import type { CurrentTask } from "./task-context.ts";

/** What came of running a chunk's items. */
export interface ChunkOutcome {
  /** Of the items that completed; folded, if the job folds. */
  readonly values: EncodedPayload;
  /** First items of the span that have their values. */
  readonly completed: number;
  readonly end: ChunkEnd;
}

/** How far a chunk came: to its end, to items that are given back, or to one that failed. */
export type ChunkEnd =
  | { readonly type: "all" }
  | { readonly type: "part" }
  | { readonly type: "failed"; readonly failure: ItemFailure };

/** What marks items that are about to run. */
export interface ItemMarks {
  /** Writes the mark of an item, by its offset in the chunk. */
  readonly mark: (offset: number, slot: number) => void;
  /** Takes back the mark of the slot. */
  readonly unmark: (slot: number) => void;
  /** Marks are taken back once nothing that they are of is under way; else the last one is left. */
  readonly areTakenBack: boolean;
}

export interface ChunkTask {
  readonly fn: AnyFunction;
  /** Stands for the function's text. */
  readonly origin: object;
  /** The items are argument tuples. */
  readonly spread: boolean;
  readonly input: EncodedPayload;
  /** The items to run; undefined for all. */
  readonly span: ItemSpan | undefined;
  readonly marks: ItemMarks | undefined;
  /** Index of the chunk's first item in the call's inputs. */
  readonly firstIndex: number;
  /** Items of a grain; 0 when the chunk is one. */
  readonly grain: number;
  /** Items that may be under way at a time, from 1. */
  readonly concurrency: number;
  /** Set when the job folds its results. */
  readonly folding: Folding | undefined;
  /** Told of each item. */
  readonly task: Pick<CurrentTask, "index" | "runScoped">;
  /** Where functions among the items come from. */
  readonly functions: Pick<Functions, "hooks" | "fetch" | "forget">;
  readonly loops: FunctionLoops;
  /** Set when what its items write counts once. */
  readonly once?: OnceJob | undefined;
  readonly nowMs: () => number;
}

/** A chunk that runs: what every way of running it needs. */
export class ChunkState {
  readonly task: ChunkTask;
  readonly results: Results;
  readonly pace: Pace;
  /** Items of the span. */
  readonly length: number;
  /** Offset in the chunk of the span's first item. */
  readonly firstOffset: number;
  /** Index in the call's inputs of that. */
  readonly firstIndex: number;

  /** `results`: where its values go, unless that is plain. */
  constructor(task: ChunkTask, results?: Results) {
    const { span, input, folding, grain, nowMs } = task;
    this.task = task;
    this.length = span?.count ?? input.count;
    this.firstOffset = span?.offset ?? 0;
    this.firstIndex = task.firstIndex + this.firstOffset;
    this.results =
      results ??
      (folding === undefined
        ? new PlainResults(this.length)
        : new FoldedResults(folding, this.firstIndex, this.length));
    this.pace = new Pace(nowMs, grain, this.firstOffset);
  }

  /** The items from place `at` of the span on. Throws SerializationError when the input is not what it claims. */
  itemsFrom(at: number): PayloadItems {
    const { input, span, functions } = this.task;
    if (at === 0) return payloadItems(input, span, functions.hooks);
    return payloadItems(input, { offset: this.firstOffset + at, count: this.length - at }, functions.hooks);
  }

  /** Runs the item at a place of the span, by itself. */
  call(item: unknown, at: number): unknown {
    const { fn, spread, task, marks } = this.task;
    marks?.mark(this.firstOffset + at, 0);
    task.index = this.firstIndex + at;
    return spread ? fn(...tupleOf(item, this.firstIndex + at)) : fn(item);
  }

  /** The item at a place whose functions have to be fetched first. */
  async fetched(items: PayloadItems, at: number): Promise<unknown> {
    const { input, functions } = this.task;
    const alone = { offset: this.firstOffset + at, count: 1 };
    try {
      await functions.fetch((hooks) => void payloadItems(input, alone, hooks).next());
      return items.next();
    } finally {
      functions.forget();
    }
  }

  /** Every item has its value. */
  all(): ChunkOutcome {
    return this.#outcome({ type: "all" });
  }

  /** What was not begun is given back. */
  part(): ChunkOutcome {
    return this.#outcome({ type: "part" });
  }

  /** The first item without a value threw. */
  threw(error: unknown): ChunkOutcome {
    return this.#outcome({ type: "failed", failure: userFailure(this.#offset, error) });
  }

  /** The first item without a value could not be read, or its result not be kept. */
  refused(error: unknown, side: "argument" | "result"): ChunkOutcome {
    return this.#outcome({ type: "failed", failure: this.failureOf(error, side, this.#offset) });
  }

  /** The first item without a value failed like this. */
  failed(failure: ItemFailure): ChunkOutcome {
    return this.#outcome({ type: "failed", failure });
  }

  /** What kept an item from being read, or its result from being kept. */
  failureOf(error: unknown, side: "argument" | "result", offset: number): ItemFailure {
    if (isRefusal(error) || (side === "argument" && error instanceof ProtocolError))
      return fabricFailure(offset, error, side);
    return userFailure(offset, error); // a getter of the user's own value threw, or what folds the results
  }

  /** No item is under way. */
  unmark(): void {
    const { marks } = this.task;
    if (marks?.areTakenBack === true) marks.unmark(0);
  }

  get #offset(): number {
    return this.firstOffset + this.results.completed;
  }

  #outcome(end: ChunkEnd): ChunkOutcome {
    this.unmark();
    const { completed } = this.results;
    try {
      return { values: this.results.finish(), completed, end };
    } catch (error) {
      const kept = this.results.completed;
      const failure = this.failureOf(error, "result", this.firstOffset + kept);
      return { values: this.results.finish(), completed: kept, end: { type: "failed", failure } };
    }
  }
}

/** The arguments of a starmap's item. */
export function tupleOf(item: unknown, index: number): readonly unknown[] {
  if (Array.isArray(item)) return item;
  throw new TypeError(`input ${index} of a starmap must be an array of arguments, got ${kindOf(item)}`);
}

function kindOf(item: unknown): string {
  if (item === null || item === undefined) return String(item);
  const type = typeof item;
  return `${type === "object" ? "an" : "a"} ${type}`;
}
