import { type Environment, Fifo, HeddleError } from "@heddle/kernel";
import { type JobChange, JobStoreFullError } from "@heddle/port-job-store";
import { Waiters } from "@heddle/port-rpc";
import type { KeptSpace } from "./kept-space.ts";
import { KEPT_BATCH_BYTES_TARGET, KEPT_BATCH_CHANGES_MAX, KEPT_FULL_PAUSE_MS } from "./limits.ts";

/** How a job's writes are made, and who hears of them. */
export interface KeptWriterOptions {
  readonly env: Environment;
  readonly space: KeptSpace;
  /** What they are for, for the log. */
  readonly job: string;
  /** Where the disk is full, and no ended job can go for it: whether that is waited for, or is a refusal. */
  readonly waits: boolean;
  /** Set: these are those that go. */
  readonly isDropping?: true;
  /** Nothing of what was still to be written is. */
  readonly refused: (error: HeddleError) => void;
  /** Nothing is written before that. */
  readonly after?: Promise<void> | undefined;
  /** After each write, behind what was to be done for it. */
  readonly wrote?: () => void;
}

interface Item {
  readonly changes: readonly JobChange[];
  readonly bytes: number;
  readonly done: (() => void) | undefined;
}

/** The writes of one job, in order: what comes while one is under way leaves together in the next. */
export class KeptWriter {
  readonly #options: KeptWriterOptions;
  readonly #items = new Fifo<Item>();
  readonly #drained = new Waiters();
  #queuedBytes = 0;
  #isWriting = false;
  #isOver = false;

  constructor(options: KeptWriterOptions) {
    this.#options = options;
  }

  /** Bytes that are not on disk. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** It was abandoned. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Nothing waits to be written. */
  get isIdle(): boolean {
    return !this.#isWriting && this.#items.size === 0;
  }

  /** `changes`: made together. `bytes`: what they bring to the store, below 0 for what they free. `done`: they are on disk. */
  push(changes: JobChange | readonly JobChange[], bytes: number, done?: () => void): void {
    if (this.#isOver) return;
    this.#items.push({ changes: "type" in changes ? [changes] : changes, bytes, done });
    this.#queuedBytes += bytes;
    this.#options.space.changing(bytes);
    if (!this.#isWriting) void this.#run();
  }

  /** Resolves when something was written, or nothing will be any more. */
  progress(): Promise<void> {
    return this.#isOver ? Promise.resolve() : this.#drained.wait();
  }

  /** Resolves when what was given is on disk, or will not be. */
  async flushed(): Promise<void> {
    while (!this.isIdle) await this.#drained.wait();
  }

  /** What is not under way is not written. Nobody is told of what is. */
  abandon(): void {
    this.#isOver = true;
    this.#forget(this.#items.take(() => true));
    this.#drained.wake();
  }

  async #run(): Promise<void> {
    this.#isWriting = true;
    await this.#options.after;
    while (this.#items.size > 0) {
      const batch = this.#next();
      const refusal = await this.#write(batch);
      this.#forget(batch);
      if (this.#isOver) break;
      if (refusal !== undefined) {
        this.abandon();
        this.#options.refused(refusal);
        break;
      }
      for (const { done } of batch) done?.();
      this.#options.wrote?.();
      this.#drained.wake();
    }
    this.#isWriting = false;
    this.#drained.wake();
  }

  #next(): Item[] {
    const batch: Item[] = [];
    let bytes = 0;
    for (let item = this.#items.peek(); item !== undefined; item = this.#items.peek()) {
      if (batch.length === KEPT_BATCH_CHANGES_MAX) break;
      if (batch.length > 0 && bytes + item.bytes > KEPT_BATCH_BYTES_TARGET) break;
      batch.push(item);
      bytes += item.bytes;
      this.#items.shift();
    }
    return batch;
  }

  /** Undefined: they are on disk. */
  async #write(batch: readonly Item[]): Promise<HeddleError | undefined> {
    const { env, space, job, waits, isDropping = false } = this.#options;
    const bytes = batch.reduce((sum, item) => sum + item.bytes, 0);
    const changes = batch.flatMap((item) => item.changes);
    for (let isTold = false; ; isTold = true) {
      try {
        await space.write(changes, bytes);
        if (isTold) env.log.info("the store of jobs has room again", { job });
        return undefined;
      } catch (error) {
        if (!(error instanceof HeddleError)) throw error;
        if (!(error instanceof JobStoreFullError)) return error;
        const gone = isDropping ? undefined : space.makeRoom();
        if (gone === undefined && !waits) return error;
        if (!isTold) env.log.warn("the store of jobs is full: the job waits", { job, cause: error.message });
        await (gone ?? pause(env));
      }
      if (this.#isOver) return undefined;
    }
  }

  #forget(items: readonly Item[]): void {
    const bytes = items.reduce((sum, item) => sum + item.bytes, 0);
    this.#queuedBytes -= bytes;
    this.#options.space.changed(bytes);
  }
}

function pause({ clock }: Environment): Promise<void> {
  return new Promise((resolve) => clock.setTimer(clock.nowMs() + KEPT_FULL_PAUSE_MS, resolve));
}
