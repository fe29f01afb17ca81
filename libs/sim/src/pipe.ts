import { Fifo, type Millis } from "@heddle/kernel";
import type { Link, LinkEnd, MessageCodec } from "@heddle/port-rpc";
import type { Life } from "./life.ts";

/**
 * One direction between two processes of one machine: ordered, lossless, and what was written before the writer died still arrives.
 * Messages are really encoded and decoded.
 */
export class PipeLane<T> {
  readonly #codec: MessageCodec<T>;
  readonly #reader: Life;
  readonly #delayMs: () => Millis;
  #lastArrivalMs: Millis = 0;

  constructor(codec: MessageCodec<T>, reader: Life, delayMs: () => Millis) {
    this.#codec = codec;
    this.#reader = reader;
    this.#delayMs = delayMs;
  }

  /** Hands the message and its encoded size to `receive`, at the reader. */
  write(message: T, receive: (message: T, size: number) => void): void {
    const bytes = this.#codec.encode(message).finish().slice();
    this.after(`pipe ${bytes.length}`, () => receive(this.#codec.decode(bytes), bytes.length), bytes);
  }

  /** Runs `run` at the reader after everything that was written before. */
  after(what: string, run: () => void, bytes?: Uint8Array): void {
    const nowMs = this.#reader.worldMs;
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, nowMs + this.#delayMs());
    this.#reader.post(this.#lastArrivalMs - nowMs, what, run, bytes);
  }
}

/** Gathers what is written in one turn into one message. */
export class TurnBatch<T> {
  readonly #flush: (items: T[]) => void;
  #items: T[] = [];

  constructor(flush: (items: T[]) => void) {
    this.#flush = flush;
  }

  add(item: T): void {
    if (this.#items.push(item) === 1) queueMicrotask(() => this.#take());
  }

  #take(): void {
    const items = this.#items;
    this.#items = [];
    this.#flush(items);
  }
}

/** A worker's end of its pipe, in entries. `send` never asks to wait: the agent reads as fast as it can. */
export class PipeLink<Out, In> implements Link<Out, In> {
  readonly peer = "agent";
  readonly closed: Promise<LinkEnd>;
  readonly incoming: AsyncIterable<In>;
  readonly #write: (entry: Out) => void;
  readonly #unread = new Fifo<In>();
  #settleClosed: (end: LinkEnd) => void = () => undefined;
  #wake: (() => void) | undefined;
  #isOver = false;
  #receivedBytes = 0;

  constructor(write: (entry: Out) => void) {
    this.#write = write;
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
    this.incoming = { [Symbol.asyncIterator]: () => ({ next: () => this.#next() }) };
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  send(entry: Out): boolean {
    if (!this.#isOver) this.#write(entry);
    return !this.#isOver;
  }

  drained(signal?: AbortSignal): Promise<void> {
    return signal?.aborted ? Promise.reject(signal.reason) : Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    this.#settleClosed({ reason: "local" });
    this.#wake?.();
  }

  /** A frame of the agent's has arrived. */
  receive(entries: readonly In[], size: number): void {
    if (this.#isOver) return;
    this.#receivedBytes += size;
    for (const entry of entries) this.#unread.push(entry);
    this.#wake?.();
  }

  async #next(): Promise<IteratorResult<In>> {
    for (;;) {
      const value = this.#unread.shift();
      if (value !== undefined) return { done: false, value };
      if (this.#isOver) return { done: true, value: undefined };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
