import type { Effect, Input, JobKey } from "@heddle/core-scheduler";
import type { Millis, Random } from "@heddle/kernel";
import { ITEM_BYTES } from "./scheduler-resumes.ts";

type InputOf<T extends Input["type"]> = Extract<Input, { readonly type: T }>;

/** What a consumer needs of the world around it. */
interface ConsumerWorld {
  after(delayMs: Millis, run: () => void): void;
  take(job: JobKey, bytes: number): void;
}

interface Unread {
  readonly ordered: boolean;
  /** Of each item of each chunk: the bytes that are taken with it, or undefined while it has no answer. */
  readonly chunks: (number | undefined)[][];
  /** The next item to take, when in order. */
  chunk: number;
  item: number;
}

/** Who reads the results of jobs with a bound of unread bytes: those of ordered ones item by item, those of others as they come. */
export class Consumers {
  readonly #world: ConsumerWorld;
  readonly #random: Random;
  readonly #jobs = new Map<JobKey, Unread>();

  constructor(world: ConsumerWorld, random: Random) {
    this.#world = world;
    this.#random = random;
  }

  opened({ job, ordered }: InputOf<"job-opened">): void {
    this.#jobs.set(job, { ordered, chunks: [], chunk: 0, item: 0 });
  }

  /** What is settled it has had from the beginning: it reads that when all before it is there. */
  offered({ job, chunk, count, settled = [] }: InputOf<"chunk-offered">): void {
    const unread = this.#jobs.get(job);
    if (unread === undefined || unread.chunks[chunk] !== undefined) return;
    const items = new Array<number | undefined>(count).fill(undefined);
    unread.chunks[chunk] = items;
    for (const span of settled) {
      const isConsumed = unread.ordered && chunk === 0 && span.offset === 0;
      items.fill(isConsumed ? 0 : ITEM_BYTES, span.offset, span.offset + span.count);
      if (!unread.ordered) this.#take(job, span.count * ITEM_BYTES);
    }
    if (unread.ordered) this.#takeInOrder(job, unread);
  }

  /** Takes what was delivered or failed by an answer that brought `bytes`: with the last of its items. */
  heard(effect: Extract<Effect, { readonly type: "deliver-span" | "fail-item" }>, bytes: number): void {
    const { job, chunk, offset } = effect;
    const unread = this.#jobs.get(job);
    const items = unread?.chunks[chunk];
    if (unread === undefined || items === undefined) return;
    if (effect.type === "fail-item") items[offset] = 0;
    else {
      items.fill(0, offset, offset + effect.count);
      items[offset + effect.count - 1] = bytes;
      if (!unread.ordered) this.#take(job, bytes);
    }
    if (unread.ordered) this.#takeInOrder(job, unread);
  }

  #takeInOrder(job: JobKey, unread: Unread): void {
    for (let items = unread.chunks[unread.chunk]; items !== undefined; items = unread.chunks[unread.chunk]) {
      for (; unread.item < items.length; unread.item++) {
        const bytes = items[unread.item];
        if (bytes === undefined) return;
        this.#take(job, bytes);
      }
      unread.chunk++;
      unread.item = 0;
    }
  }

  #take(job: JobKey, bytes: number): void {
    if (bytes > 0) this.#world.after(this.#random.int(200), () => this.#world.take(job, bytes));
  }
}

/** Bytes of the values that came with an input. */
export function bytesOf(input: Input): number {
  return input.type === "chunk-finished" && "bytes" in input.outcome ? input.outcome.bytes : 0;
}
