import { decodePayload, type EncodedPayload, Encoding } from "@heddle/wire";
import type { ChunkOutcome, ChunkState } from "./chunk-state.ts";
import { LOOP_ITEMS } from "./limits.ts";
import type { LoopInput, LoopResult, LoopResults, LoopSpan, OddResult } from "./tight-loop.ts";

/** Where the loop left off at a result that it is not for: that of the item before place `next`. */
export interface LeftOff {
  readonly next: number;
  readonly result: unknown;
}

/** Items that a loop can make by itself. */
interface LoopSource extends Pick<LoopSpan, "start" | "first" | "step"> {
  readonly input: LoopInput;
}

/**
 * Runs the items from place `from` on in the function's own loop. Undefined when it has none, and nothing was run then. `results`: a
 * buffer for numbers, LOOP_ITEMS long.
 */
export function runInOwnLoop(
  state: ChunkState,
  from: number,
  buffer: Float64Array,
): ChunkOutcome | LeftOff | undefined {
  const { input, origin, loops } = state.task;
  const source = sourceOf(input, state.firstOffset, state.length);
  const own = source === undefined ? undefined : loops.own(origin, source.input);
  if (source === undefined || own === undefined) return undefined;
  const { fn, task } = state.task;
  const { firstIndex, firstOffset, length, results, pace } = state;
  const values = valuesFor(own.result, buffer);
  const odd: OddResult = { value: undefined };
  for (let at = from; at < length; ) {
    if (firstOffset + at >= pace.border && pace.givesBack(firstOffset + at, results.size)) return state.part();
    const until = Math.min(length, at + LOOP_ITEMS, at + results.room, pace.border - firstOffset);
    const inputs =
      source.input === "listed" ? decodePayload(input, { offset: firstOffset + at, count: until - at }) : [];
    const span = {
      task,
      firstIndex,
      from: at,
      until,
      start: source.start,
      first: source.first,
      step: source.step,
      inputs,
    };
    const end = ended(() => own.loop(fn, span, values, odd), task, firstIndex);
    try {
      results.addAll(values, end.at - at);
    } catch (error) {
      return state.refused(error, "result");
    }
    if (end.type === "threw") return state.threw(end.error);
    if (end.at < until) {
      loops.gaveOther(origin);
      return { next: end.at + 1, result: odd.value };
    }
    at = until;
  }
  return state.all();
}

type LoopEnd =
  | { readonly type: "ended"; readonly at: number }
  | { readonly type: "threw"; readonly at: number; readonly error: unknown };

function ended(run: () => number, task: { readonly index: number }, firstIndex: number): LoopEnd {
  try {
    return { type: "ended", at: run() };
  } catch (error) {
    return { type: "threw", at: task.index - firstIndex, error };
  }
}

function valuesFor(result: LoopResult, buffer: Float64Array): LoopResults {
  return result === "number" ? buffer : [];
}

/** Undefined for items that have to be decoded one by one. */
function sourceOf({ encoding, bytes }: EncodedPayload, offset: number, length: number): LoopSource | undefined {
  if (encoding === Encoding.I32 || encoding === Encoding.F64) return { input: "listed", start: 0, first: 0, step: 0 };
  if (encoding !== Encoding.RANGE) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [start, step, before] = [view.getFloat64(0, true), view.getFloat64(8, true), view.getFloat64(16, true)];
  const first = before + offset;
  const base = start + first * step;
  const last = start + (first + length - 1) * step;
  if (isWhole(base) && isWhole(last) && isWhole(step)) return { input: "whole", start: base, first: 0, step };
  return { input: "real", start, first, step };
}

/** Of 32 bits; -0 is not. */
function isWhole(value: number): boolean {
  return (value | 0) === value && !Object.is(value, -0);
}
