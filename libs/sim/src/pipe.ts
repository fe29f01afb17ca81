import type { Millis } from "@heddle/kernel";
import type { MessageCodec } from "@heddle/port-rpc";
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
