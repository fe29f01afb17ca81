import { OWN_LOOP_ITEMS } from "./limits.ts";
import { type Fold, type Loop, type LoopInput, LoopMaker, type LoopResult } from "./tight-loop.ts";

/** What is known of a function. */
interface Known {
  /** Items that it ran, up to OWN_LOOP_ITEMS. */
  items: number;
  /** What its results are: "other" once there was one that no loop is for. */
  result: LoopResult | "other" | undefined;
  /** Blocks that it folded. */
  blocks: number;
}

/** Which functions are worth a loop of their own: those that ran often and give nothing but numbers, or nothing but booleans. */
export class FunctionLoops {
  readonly #maker = new LoopMaker();
  /** By what stands for the function's text. */
  readonly #known = new WeakMap<object, Known>();

  /** Items that the function should run in the common loop before it gets its own; Infinity when it gets none. */
  itemsBefore(origin: object): number {
    const known = this.#of(origin);
    return known.result === "other" ? Number.POSITIVE_INFINITY : OWN_LOOP_ITEMS - known.items;
  }

  /** It ran so many items in the common loop, and the last gave this. */
  ran(origin: object, items: number, last: unknown): void {
    if (items === 0) return;
    const known = this.#of(origin);
    known.items = Math.min(OWN_LOOP_ITEMS, known.items + items);
    this.#gave(known, last);
  }

  /** It gave something that its loop is not for. */
  gave(origin: object, odd: unknown): void {
    this.#gave(this.#of(origin), odd);
  }

  /** Its own loop, and what that gives. */
  own(origin: object, input: LoopInput): { readonly loop: Loop; readonly result: LoopResult } | undefined {
    const { items, result } = this.#of(origin);
    if (items < OWN_LOOP_ITEMS || result === undefined || result === "other") return undefined;
    const loop = this.#maker.loop(origin, input, result);
    return loop === undefined ? undefined : { loop, result };
  }

  /** The loop in which it folds a block, from its second block on. */
  ownFold(origin: object): Fold | undefined {
    return this.#of(origin).blocks++ === 0 ? undefined : this.#maker.fold(origin);
  }

  #gave(known: Known, value: unknown): void {
    const kind = kindOf(value);
    if (known.result === undefined || known.result === kind) known.result = kind;
    else known.result = isNumber(known.result) && isNumber(kind) ? "number" : "other";
  }

  #of(origin: object): Known {
    let known = this.#known.get(origin);
    if (known === undefined) {
      known = { items: 0, result: undefined, blocks: 0 };
      this.#known.set(origin, known);
    }
    return known;
  }
}

function kindOf(value: unknown): LoopResult | "other" {
  if (typeof value === "boolean") return "boolean";
  if (typeof value !== "number") return "other";
  return (value | 0) === value && !Object.is(value, -0) ? "whole" : "number";
}

function isNumber(kind: LoopResult | "other"): boolean {
  return kind === "whole" || kind === "number";
}
