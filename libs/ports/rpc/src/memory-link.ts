import { Fifo } from "@heddle/kernel";
import { type Caller, thisUser } from "./caller.ts";
import { MEMORY_LINK_MESSAGES } from "./limits.ts";
import type { Link, LinkEnd } from "./link.ts";
import { Waiters } from "./waiters.ts";

/** One direction of a memory link: messages by reference, with an end. The only reader pulls from it. */
class Pipe<T> implements AsyncIterable<T> {
  readonly #messages = new Fifo<T>();
  readonly #room = new Waiters();
  #reader: ((result: IteratorResult<T>) => void) | undefined;
  /** No message follows those that wait. */
  #ended = false;
  /** Called once, when the reader has seen the end. */
  onDrainedEnd: () => void = () => undefined;

  push(message: T): boolean {
    if (this.#ended) return false;
    const reader = this.#reader;
    if (reader === undefined) this.#messages.push(message);
    else {
      this.#reader = undefined;
      reader({ done: false, value: message });
    }
    return this.#messages.size < MEMORY_LINK_MESSAGES;
  }

  async room(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    while (!this.#ended && this.#messages.size >= MEMORY_LINK_MESSAGES) await this.#room.wait(signal);
  }

  /** Ends the direction in order (what waits may still be read), or at once. */
  end(inOrder: boolean): void {
    this.#ended = true;
    if (!inOrder) this.#messages.clear();
    this.#room.wake();
    if (this.#messages.size === 0) this.#finish();
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return { next: () => this.#next() };
  }

  #next(): Promise<IteratorResult<T>> {
    if (this.#messages.size > 0) {
      const value = this.#messages.shift() as T;
      if (this.#messages.size === MEMORY_LINK_MESSAGES / 2) this.#room.wake();
      if (this.#ended && this.#messages.size === 0) this.#finish();
      return Promise.resolve({ done: false, value });
    }
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => {
      this.#reader = resolve;
    });
  }

  #finish(): void {
    this.#reader?.({ done: true, value: undefined });
    this.#reader = undefined;
    this.onDrainedEnd();
  }
}

/** Both ends of one stream in memory, and the power to break it. */
export interface MemoryLinkPair<Request, Response> {
  readonly dialer: Link<Request, Response>;
  readonly acceptor: Link<Response, Request>;
  /** Loses what is unread and ends both ends as broken. */
  readonly cut: (cause: unknown) => void;
  /** From now on messages vanish on the way, unnoticed, and so does an orderly end. */
  readonly blackhole: () => void;
  /** Resolves when both ends are over. */
  readonly over: Promise<void>;
}

/** Makes a connected pair. `dialerName` and `acceptorName` are what the other end sees as `peer`, `caller` is whom the acceptor knows the dialer as. */
export function memoryLinkPair<Request, Response>(
  dialerName: string,
  acceptorName: string,
  caller: Caller = thisUser,
): MemoryLinkPair<Request, Response> {
  const requests = new Pipe<Request>();
  const responses = new Pipe<Response>();
  const dialer = new MemoryLink<Request, Response>({ peer: acceptorName }, requests, responses);
  const acceptor = new MemoryLink<Response, Request>({ peer: dialerName, caller }, responses, requests);
  dialer.other = acceptor;
  acceptor.other = dialer;
  return {
    dialer,
    acceptor,
    cut: (cause) => {
      dialer.over({ reason: "broken", cause }, false);
    },
    blackhole: () => {
      dialer.isDeaf = true;
      acceptor.isDeaf = true;
    },
    over: Promise.all([dialer.closed, acceptor.closed]).then(() => undefined),
  };
}

class MemoryLink<Out, In> implements Link<Out, In> {
  readonly peer: string;
  readonly caller?: Caller;
  readonly receivedBytes = undefined;
  readonly closed: Promise<LinkEnd>;
  readonly #outgoing: Pipe<Out>;
  readonly #incoming: Pipe<In>;
  readonly #close: (end: LinkEnd) => void;
  #isOver = false;
  /** Set once by `memoryLinkPair`. */
  other: MemoryLink<In, Out> | undefined;
  /** What is sent vanishes. */
  isDeaf = false;

  constructor(end: Pick<Link<Out, In>, "peer" | "caller">, outgoing: Pipe<Out>, incoming: Pipe<In>) {
    this.peer = end.peer;
    if (end.caller !== undefined) this.caller = end.caller;
    this.#outgoing = outgoing;
    this.#incoming = incoming;
    const { promise, resolve } = Promise.withResolvers<LinkEnd>();
    this.closed = promise;
    this.#close = resolve;
    incoming.onDrainedEnd = () => this.over({ reason: "remote" }, false);
  }

  get incoming(): AsyncIterable<In> {
    return this.#incoming;
  }

  send(message: Out): boolean {
    if (this.#isOver) return false;
    return this.isDeaf ? true : this.#outgoing.push(message);
  }

  drained(signal?: AbortSignal): Promise<void> {
    return this.#outgoing.room(signal);
  }

  /** This end is over, and the other with it when it broke. What was sent may still be read when it ends in order. */
  over(end: LinkEnd, inOrder: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#close(end);
    if (end.reason === "broken") this.other?.over(end, false);
    this.#incoming.end(false);
    if (!this.isDeaf) this.#outgoing.end(inOrder);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.over({ reason: "local" }, true);
  }
}
