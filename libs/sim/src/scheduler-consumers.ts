import type { Effect, Input, JobKey } from "@heddle/core-scheduler";
import type { Millis, Random } from "@heddle/kernel";

type InputOf<T extends Input["type"]> = Extract<Input, { readonly type: T }>;

/** What a consumer needs of the world around it. */
interface ConsumerWorld {
  after(delayMs: Millis, run: () => void): void;
  take(job: JobKey, bytes: number): void;
}

interface Unread {
  readonly ordered: boolean;
  /** It takes a chunk's results only when those of the next are there, too. */
  readonly looksAhead: boolean;
  /** Items of each chunk without an answer, and bytes that came and are not taken. */
  readonly open: number[];
  readonly bytes: number[];
  /** Chunks taken so far, when in order. */
  taken: number;
}

/** Who reads the results of jobs with a bound of unread bytes: those of ordered ones chunk by chunk, those of others as they come. */
export class Consumers {
  readonly #world: ConsumerWorld;
  readonly #random: Random;
  readonly #jobs = new Map<JobKey, Unread>();

  constructor(world: ConsumerWorld, random: Random) {
    this.#world = world;
    this.#random = random;
  }

  opened({ job, ordered }: InputOf<"job-opened">): void {
    const looksAhead = ordered && this.#random.float() < 0.5;
    this.#jobs.set(job, { ordered, looksAhead, open: [], bytes: [], taken: 0 });
  }

  offered({ job, chunk, count }: InputOf<"chunk-offered">): void {
    const unread = this.#jobs.get(job);
    if (unread === undefined) return;
    unread.open[chunk] ??= count;
    unread.bytes[chunk] ??= 0;
  }

  /** Takes what was delivered or failed by an answer that brought `bytes`. */
  heard(effect: Extract<Effect, { readonly type: "deliver-span" | "fail-item" }>, bytes: number): void {
    const { job, chunk } = effect;
    const unread = this.#jobs.get(job);
    if (unread === undefined) return;
    const isDelivery = effect.type === "deliver-span";
    unread.open[chunk] = (unread.open[chunk] ?? 0) - (isDelivery ? effect.count : 1);
    if (isDelivery && unread.ordered) unread.bytes[chunk] = (unread.bytes[chunk] ?? 0) + bytes;
    else if (isDelivery) this.#take(job, bytes);
    if (unread.ordered) this.#takeInOrder(job, unread);
  }

  #takeInOrder(job: JobKey, unread: Unread): void {
    const { open, bytes, looksAhead } = unread;
    const ahead = looksAhead ? 1 : 0;
    while (open[unread.taken] === 0 && (ahead === 0 || open[unread.taken + 1] === 0)) {
      this.#take(job, bytes[unread.taken] ?? 0);
      unread.taken++;
    }
  }

  #take(job: JobKey, bytes: number): void {
    if (bytes > 0) this.#world.after(this.#random.int(200), () => this.#world.take(job, bytes));
  }
}
