import { Fifo } from "@heddle/kernel";
import { type EncodedPayload, type PayloadItems, payloadItems, type ValueReaderHooks } from "@heddle/wire";
import type { ResultSink } from "./result-sinks.ts";

/** One result as the consumer gets it. */
export type Taken =
  | { readonly type: "value"; readonly index: number; readonly value: unknown }
  | { readonly type: "error"; readonly index: number; readonly error: unknown };

/** Values of consecutive items, decoded when they are taken. */
interface Stretch {
  readonly type: "values";
  readonly index: number;
  readonly count: number;
  /** Read lazily: what comes of a consumer that never asks is never decoded. */
  readonly payload: EncodedPayload;
  items: PayloadItems | undefined;
  /** Why no more of them can be read: where one value is broken nobody knows where the next one begins. */
  broken: { readonly error: unknown } | undefined;
  /** Items taken so far. */
  taken: number;
}

type Arrived = Stretch | { readonly type: "failure"; readonly index: number; readonly error: unknown };

/** Results that wait for their consumer: in order of the inputs, or as they came. */
export class WaitingResults implements ResultSink {
  readonly #isOrdered: boolean;
  readonly #onArrived: (items: number, bytes: number) => void;
  readonly #hooks: ValueReaderHooks | undefined;
  readonly #onTaken: (items: number, bytes: number) => void;
  /** By the index of the first item; only when ordered. */
  readonly #byIndex = new Map<number, Arrived>();
  /** As they came; only when not ordered. */
  readonly #queue = new Fifo<Arrived>();
  #current: Arrived | undefined;
  /** Index of the next one to be taken, when ordered. */
  #nextIndex = 0;

  /** `onArrived`: so many items came, in so many bytes. `onTaken`: an item was taken, and with it the last of so many bytes. */
  constructor(options: {
    readonly isOrdered: boolean;
    readonly onArrived: (items: number, bytes: number) => void;
    readonly onTaken: (items: number, bytes: number) => void;
    readonly hooks?: ValueReaderHooks | undefined;
  }) {
    this.#hooks = options.hooks;
    this.#isOrdered = options.isOrdered;
    this.#onArrived = options.onArrived;
    this.#onTaken = options.onTaken;
  }

  values(index: number, count: number, payload: EncodedPayload): void {
    this.#add(
      { type: "values", index, count, payload, items: undefined, broken: undefined, taken: 0 },
      count,
      payload.bytes.byteLength,
    );
  }

  failed(index: number, error: unknown): void {
    this.#add({ type: "failure", index, error }, 1, 0);
  }

  /** The next one, or undefined when it is not there. A value that cannot be read is its item's error, and that of those that came with it after it. */
  take(): Taken | undefined {
    this.#current ??= this.#isOrdered ? this.#byIndex.get(this.#nextIndex) : this.#queue.shift();
    const current = this.#current;
    if (current === undefined) return undefined;
    if (current.type === "failure") {
      this.#done(current);
      this.#onTaken(1, 0);
      return { type: "error", index: current.index, error: current.error };
    }
    return this.#takeValue(current);
  }

  /** Nobody takes what is left. */
  clear(): void {
    this.#byIndex.clear();
    this.#queue.clear();
    this.#current = undefined;
  }

  #add(arrived: Arrived, items: number, bytes: number): void {
    if (this.#isOrdered) this.#byIndex.set(arrived.index, arrived);
    else this.#queue.push(arrived);
    this.#onArrived(items, bytes);
  }

  #takeValue(stretch: Stretch): Taken {
    const index = stretch.index + stretch.taken;
    stretch.taken++;
    this.#nextIndex = index + 1;
    const taken = this.#valueAt(stretch, index);
    const isLast = stretch.taken === stretch.count;
    if (isLast) this.#done(stretch);
    this.#onTaken(1, isLast ? stretch.payload.bytes.byteLength : 0);
    return taken;
  }

  #valueAt(stretch: Stretch, index: number): Taken {
    if (stretch.broken !== undefined) return { type: "error", index, ...stretch.broken };
    try {
      stretch.items ??= payloadItems(stretch.payload, undefined, this.#hooks);
      return { type: "value", index, value: stretch.items.next() };
    } catch (error) {
      stretch.broken = { error };
      return { type: "error", index, error };
    }
  }

  #done({ type, index }: Arrived): void {
    this.#current = undefined;
    if (type === "failure") this.#nextIndex = index + 1;
    this.#byIndex.delete(index);
  }
}
