import { decodePayload, type EncodedPayload, Encoding } from "@heddle/wire";
import type { ChunkOutcome, ChunkState } from "./chunk-state.ts";
import { LOOP_ITEMS } from "./limits.ts";
import type { Loop, LoopInput, LoopResult, LoopResults, LoopSpan, OddResult } from "./tight-loop.ts";

/** Where the loop left off at a result that it is not for: that of the item before place `next`. */
export interface LeftOff {
  readonly next: number;
  readonly result: unknown;
}

/** Items that a loop can make by itself. */
interface LoopSource extends Pick<LoopSpan, "start" | "first" | "step"> {
  readonly input: LoopInput;
}

/** Results on their way from a loop: chunks run one after the other, and none keeps them. */
const BUFFERS = { whole: new Int32Array(LOOP_ITEMS), number: new Float64Array(LOOP_ITEMS) } as const;

/**
 * Runs the items from place `from` on in the function's own loop, or in two: numbers may turn out not to be whole. Undefined when it has
 * none, and nothing was run then.
 */
export function runInOwnLoop(state: ChunkState, from: number): ChunkOutcome | LeftOff | undefined {
  const { task, firstOffset, length, results, pace } = state;
  const source = sourceOf(task.input, firstOffset, length);
  let own = source === undefined ? undefined : task.loops.own(task.origin, source.input);
  if (source === undefined || own === undefined) return undefined;
  let values: LoopResults = valuesFor(own.result);
  for (let at = from; at < length; ) {
    if (firstOffset + at >= pace.border && pace.givesBack(firstOffset + at, results.size)) return state.part();
    const until = Math.min(length, at + LOOP_ITEMS, at + results.room, pace.border - firstOffset);
    const end = ended(state, own.loop, spanOf(state, source, at, until), values);
    try {
      results.addAll(values, end.at - at);
      if (end.type === "odd" && typeof end.result === "number") results.addAll(Float64Array.of(end.result), 1);
    } catch (error) {
      return state.refused(error, "result");
    }
    if (end.type === "threw") return state.threw(end.error);
    at = end.at;
    if (end.type !== "odd") continue;
    task.loops.gave(task.origin, end.result);
    at++;
    own = task.loops.own(task.origin, source.input);
    if (own === undefined || typeof end.result !== "number") return { next: at, result: end.result };
    values = valuesFor(own.result);
  }
  return state.all();
}

type LoopEnd =
  | { readonly type: "ended"; readonly at: number }
  | { readonly type: "odd"; readonly at: number; readonly result: unknown }
  | { readonly type: "threw"; readonly at: number; readonly error: unknown };

function ended({ task, firstIndex }: ChunkState, loop: Loop, span: LoopSpan, values: LoopResults): LoopEnd {
  const odd: OddResult = { value: undefined };
  try {
    const at = loop(task.fn, span, values, odd);
    return at < span.until ? { type: "odd", at, result: odd.value } : { type: "ended", at };
  } catch (error) {
    return { type: "threw", at: task.task.index - firstIndex, error };
  }
}

function spanOf(
  { task, firstIndex, firstOffset }: ChunkState,
  source: LoopSource,
  from: number,
  until: number,
): LoopSpan {
  const { start, first, step } = source;
  const listed = { offset: firstOffset + from, count: until - from };
  const inputs = source.input === "listed" ? decodePayload(task.input, listed) : [];
  return { task: task.task, firstIndex, from, until, start, first, step, inputs };
}

function valuesFor(result: LoopResult): LoopResults {
  return result === "boolean" ? [] : BUFFERS[result];
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
