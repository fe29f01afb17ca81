import type { AnyFunction } from "@heddle/port-shipper";

/** What a loop gives to the function: whole numbers of a range, other numbers of a range, or what is in a list. */
export type LoopInput = "whole" | "real" | "listed";
/** What all results of a loop are: whole numbers of 32 bits, any numbers, or booleans. */
export type LoopResult = "whole" | "number" | "boolean";

/** What a loop runs over: items `from` up to `until` - 1, counted in the chunk's span. */
export interface LoopSpan {
  /** Told of the item that runs: `firstIndex` and its place. After a throw it says which one threw. */
  readonly task: { index: number };
  readonly firstIndex: number;
  readonly from: number;
  readonly until: number;
  /** Of a range: its items are start + (first + place) * step; `first` is 0 for whole ones. */
  readonly start: number;
  readonly first: number;
  readonly step: number;
  /** Of a list: the items from `from` on. */
  readonly inputs: readonly unknown[];
}

/** Where a loop puts results, the one of `from` first. */
export type LoopResults = Int32Array | Float64Array | boolean[];

/** The first result of another kind; it belongs to the item where the loop ended. */
export interface OddResult {
  value: unknown;
}

/** Runs the function over a span and returns where it ended: `until`, or the item with an odd result. Throws what the function throws. */
export type Loop = (fn: AnyFunction, span: LoopSpan, results: LoopResults, odd: OddResult) => number;

/** Folds so many values, the first with the second and so on; gives up where `combine` gives no number, and returns where. */
export type Fold = (combine: AnyFunction, values: ArrayLike<number>, count: number, end: FoldEnd) => void;

/** Where a fold ended: `folded` has the values up to `next` - 1 in it. */
export interface FoldEnd {
  folded: unknown;
  next: number;
}

/**
 * Loops that were made for one function each. V8 optimises a loop for what it has seen it call: one that has called a few functions calls
 * each of them as a stranger, one of its own inlines it, and is as fast as the loop that the user would write. So each is compiled from
 * text anew; a number in a comment keeps V8 from finding that it has that text already.
 */
export class LoopMaker {
  readonly #loops = new WeakMap<object, Map<string, unknown>>();
  #made = 0;
  /** The process may forbid code made of text (--disallow-code-generation-from-strings). */
  #isForbidden = false;

  /** The function's loop; undefined when none can be made. `origin`: the same for functions of the same text. */
  loop(origin: object, input: LoopInput, result: LoopResult): Loop | undefined {
    return this.#of(origin, `${input} ${result}`, () => loopText(input, result)) as Loop | undefined;
  }

  /** The loop that folds with the function; undefined when none can be made. */
  fold(origin: object): Fold | undefined {
    return this.#of(origin, "fold", () => FOLD_TEXT) as Fold | undefined;
  }

  #of(origin: object, kind: string, text: () => string): unknown {
    let ofOrigin = this.#loops.get(origin);
    if (ofOrigin === undefined) {
      ofOrigin = new Map();
      this.#loops.set(origin, ofOrigin);
    }
    let loop = ofOrigin.get(kind);
    if (loop === undefined && !this.#isForbidden) {
      loop = this.#compile(text());
      ofOrigin.set(kind, loop);
    }
    return loop;
  }

  #compile(text: string): unknown {
    try {
      return new Function(`return ${text} // ${++this.#made}`)();
    } catch (error) {
      if (!(error instanceof EvalError)) throw error;
      this.#isForbidden = true;
      return undefined;
    }
  }
}

const IS_ODD: Readonly<Record<LoopResult, string>> = {
  whole: 'typeof result !== "number" || (result | 0) !== result || (result === 0 && 1 / result < 0)',
  number: 'typeof result !== "number"',
  boolean: 'typeof result !== "boolean"',
};

const ARGUMENTS: Readonly<Record<LoopInput, string>> = {
  whole: "(start + at * step) | 0",
  real: "start + (first + at) * step",
  listed: "inputs[at - from]",
};

function loopText(input: LoopInput, result: LoopResult): string {
  return `function (fn, span, results, odd) {
    const { task, firstIndex, from, until, start, first, step, inputs } = span;
    for (let at = from; at < until; at++) {
      task.index = firstIndex + at;
      const result = fn(${ARGUMENTS[input]});
      if (${IS_ODD[result]}) {
        odd.value = result;
        return at;
      }
      results[at - from] = result;
    }
    return until;
  }`;
}

const FOLD_TEXT = `function (combine, values, count, end) {
  let folded = values[0];
  let next = 1;
  while (next < count) {
    folded = combine(folded, values[next++]);
    if (typeof folded !== "number") break;
  }
  end.folded = folded;
  end.next = next;
}`;
