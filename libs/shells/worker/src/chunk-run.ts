import { type EncodedPayload, Encoding, type PayloadItems } from "@heddle/wire";
import { type ChunkOutcome, ChunkState, type ChunkTask } from "./chunk-state.ts";
import { runConcurrently } from "./concurrent-run.ts";
import { OWN_LOOP_ITEMS_MIN } from "./limits.ts";
import { MissingPart } from "./missing.ts";
import { runOnce } from "./once-run.ts";
import { runInOwnLoop } from "./own-loop-run.ts";
import { isThenable } from "./results.ts";

/** What a chunk gives when not even its first item ran. */
export const NO_VALUES: EncodedPayload = { encoding: Encoding.MSGPACK, count: 0, bytes: new Uint8Array(0) };

/**
 * Runs the items of a chunk and stops at the first that fails. Gives the outcome at once where no item returns a promise: a function that
 * is not async costs no turn of the microtask queue.
 */
export function runItems(task: ChunkTask): ChunkOutcome | Promise<ChunkOutcome> {
  if (task.once !== undefined) return runOnce(task, task.once);
  const state = new ChunkState(task);
  let items: PayloadItems;
  try {
    items = state.itemsFrom(0);
  } catch (error) {
    return state.refused(error, "argument");
  }
  if (task.concurrency > 1) return runConcurrently(state, items);
  const isPlain = !task.spread && task.marks === undefined;
  return (isPlain ? runPlain(state, items) : runUntil(state, items, 0, state.length)) ?? state.all();
}

type Outcome = ChunkOutcome | Promise<ChunkOutcome>;

/** As far as the function is new in the common loop, then in its own. Undefined when every item has its value. */
function runPlain(state: ChunkState, items: PayloadItems): Outcome | undefined {
  const { loops, origin } = state.task;
  const before = Math.min(state.length, Math.max(0, loops.itemsBefore(origin)));
  if (before > 0) {
    const outcome = runUntil(state, items, 0, before);
    if (outcome !== undefined || before === state.length) return outcome;
  }
  const outcome = state.length - before < OWN_LOOP_ITEMS_MIN ? undefined : runInOwnLoop(state, before);
  if (outcome === undefined) return runUntil(state, items, before, state.length);
  if (!("next" in outcome)) return outcome;
  const { next, result } = outcome;
  const rest = state.itemsFrom(next);
  if (isThenable(result)) return runAsync(state, rest, next - 1, result);
  try {
    state.results.add(result);
  } catch (error) {
    return state.refused(error, "result");
  }
  return runUntil(state, rest, next, state.length);
}

/** Items from place `from` up to `until` - 1, one after the other. Undefined when each has its value. */
function runUntil(state: ChunkState, items: PayloadItems, from: number, until: number): Outcome | undefined {
  const { results, pace, firstOffset } = state;
  let border = pace.border - firstOffset;
  let result: unknown;
  for (let at = from; at < until; at++) {
    if (at === border) {
      if (pace.givesBack(firstOffset + at, results.size)) return state.part();
      border = pace.border - firstOffset;
    }
    let item: unknown;
    try {
      item = items.next();
    } catch (error) {
      return error instanceof MissingPart ? resume(state, items, at) : state.refused(error, "argument");
    }
    try {
      result = state.call(item, at);
      if (typeof result !== "number" && isThenable(result)) return runAsync(state, items, at, result);
    } catch (error) {
      return state.threw(error);
    }
    try {
      results.add(result);
    } catch (error) {
      return state.refused(error, "result");
    }
  }
  state.task.loops.ran(state.task.origin, until - from, result);
  return undefined;
}

/** `first`: what the item at place `begun` gave, which runs. */
async function runAsync(state: ChunkState, items: PayloadItems, begun: number, first: unknown): Promise<ChunkOutcome> {
  const { results, pace, firstOffset, length } = state;
  let pending: unknown = first;
  for (let at = begun; ; ) {
    let result: unknown;
    try {
      result = isThenable(pending) ? await pending : pending;
    } catch (error) {
      return state.threw(error);
    }
    try {
      results.add(result);
    } catch (error) {
      return state.refused(error, "result");
    }
    if (++at === length) return state.all();
    if (pace.givesBack(firstOffset + at, results.size)) return state.part();
    let item: unknown;
    try {
      item = items.next();
    } catch (error) {
      return error instanceof MissingPart ? resume(state, items, at) : state.refused(error, "argument");
    }
    try {
      pending = state.call(item, at);
    } catch (error) {
      return state.threw(error);
    }
  }
}

/** Goes on at an item whose functions have to be fetched first. */
async function resume(state: ChunkState, items: PayloadItems, at: number): Promise<ChunkOutcome> {
  const { marks } = state.task;
  if (marks?.areTakenBack === true) marks.unmark(0);
  let item: unknown;
  try {
    item = await state.fetched(items, at);
  } catch (error) {
    return state.refused(error, "argument");
  }
  let pending: unknown;
  try {
    pending = state.call(item, at);
  } catch (error) {
    return state.threw(error);
  }
  return runAsync(state, items, at, pending);
}
