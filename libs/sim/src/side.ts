import { Fifo, type HeddleError, LimitError, MESSAGE_BYTES_MAX, ProtocolError } from "@heddle/kernel";
import type { Link, LinkEnd, MessageCodec } from "@heddle/port-rpc";
import type { Connection } from "./connection.ts";
import type { Life } from "./life.ts";

/** Bytes that a side may have sent and its peer not read. Above: `send` answers false and messages wait at the sender. */
const LINK_WINDOW_BYTES = 64 * 1024;
/** Longest time that closing waits for the peer to take what was sent; then the link is reset. */
const CLOSE_MS = 2_000;

/** What travels between the two sides. */
export type Packet =
  /** First of the accepting side: the stream is open. */
  | { readonly type: "accepted" }
  | { readonly type: "message"; readonly bytes: Uint8Array }
  /** Everything was sent. */
  | { readonly type: "end" }
  | { readonly type: "end-seen" }
  /** The peer has read so much more. */
  | { readonly type: "window"; readonly bytes: number }
  /** The connection is gone. */
  | { readonly type: "reset"; readonly cause: HeddleError };

/** A side, whatever it speaks. */
export interface AnySide {
  readonly life: Life;
  /** Nothing of this side is under way: it is over and all it sent is taken or lost. */
  readonly isSettled: boolean;
  /** A packet of the peer's. */
  arrive(packet: Packet): void;
  /** The link is over for this side, now: unread messages are dropped. */
  finish(end: LinkEnd): void;
}

/** What a side is made of. */
export interface Endpoint<Out, In> {
  readonly life: Life;
  readonly out: MessageCodec<Out>;
  readonly in: MessageCodec<In>;
}

/** One end of a connection. */
export class Side<Out, In> implements Link<Out, In>, AnySide {
  readonly life: Life;
  readonly peer: string;
  readonly closed: Promise<LinkEnd>;
  readonly incoming: AsyncIterable<In>;
  readonly #connection: Connection;
  readonly #endpoint: Endpoint<Out, In>;
  /** Encoded, waiting for the window. */
  readonly #outbox = new Fifo<Uint8Array>();
  /** Arrived, not read. */
  readonly #inbox = new Fifo<{ readonly message: In; readonly size: number }>();
  readonly #drainWaiters = new Set<() => void>();
  readonly #readers: (() => void)[] = [];
  #settleClosed: (end: LinkEnd) => void = () => undefined;
  #settleFlushed: () => void = () => undefined;
  /** Resolves when the peer has everything, or never will. Set by the first close. */
  #flushed: Promise<void> | undefined;
  #end: LinkEnd | undefined;
  /** Sent, not known to be read. */
  #unreadByPeer = 0;
  /** Read, not told to the peer. */
  #readSince = 0;
  #receivedBytes = 0;
  /** The peer sends no more; the link is over once the inbox is read. */
  #peerEnded = false;
  #endSent = false;
  #flushSettled = false;
  #opened: (() => void) | undefined;

  constructor(connection: Connection, endpoint: Endpoint<Out, In>, peer: string) {
    this.#connection = connection;
    this.#endpoint = endpoint;
    this.life = endpoint.life;
    this.peer = peer;
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
    this.incoming = { [Symbol.asyncIterator]: () => ({ next: () => this.#next() }) };
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  get isSettled(): boolean {
    return !this.life.alive || (this.#end !== undefined && this.#flushSettled);
  }

  send(message: Out): boolean {
    if (this.#end !== undefined || this.#flushed !== undefined || !this.life.alive) return false;
    const bytes = this.#endpoint.out.encode(message).finish();
    if (bytes.length > MESSAGE_BYTES_MAX) {
      this.#fail(new LimitError("MESSAGE_BYTES_MAX", MESSAGE_BYTES_MAX, bytes.length));
      return false;
    }
    // A copy: generated encoders may hand out views of a buffer that they use again, and a wire never aliases.
    this.#outbox.push(bytes.slice());
    this.#flush();
    return this.#outbox.size === 0;
  }

  drained(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#outbox.size === 0 || this.#end !== undefined) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        signal?.removeEventListener("abort", aborted);
        resolve();
      };
      const aborted = (): void => {
        this.#drainWaiters.delete(settle);
        reject(signal?.reason);
      };
      this.#drainWaiters.add(settle);
      signal?.addEventListener("abort", aborted, { once: true });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#flushed === undefined && this.#end === undefined && this.life.alive) {
      this.#flushed = new Promise((resolve) => {
        this.#settleFlushed = resolve;
      });
      const timer = this.life.post(CLOSE_MS, "close timer", () => this.#connection.sever("the peer does not read"));
      void this.#flushed.then(() => timer[Symbol.dispose]());
      this.#over({ reason: "local" });
      this.#flush();
    }
    await this.#flushed;
  }

  /** Calls `opened` when the acceptor's answer arrives. For the dialing side. */
  whenOpened(opened: () => void): void {
    this.#opened = opened;
  }

  arrive(packet: Packet): void {
    switch (packet.type) {
      case "accepted":
        this.#opened?.();
        return;
      case "message":
        this.#receive(packet.bytes);
        return;
      case "window":
        this.#unreadByPeer -= packet.bytes;
        this.#flush();
        return;
      case "end":
        this.#connection.carry(this, { type: "end-seen" });
        this.#peerEnded = true;
        this.#endWhenRead();
        return;
      case "end-seen":
        this.#settleFlushed();
        this.#flushSettled = true;
        this.#connection.settled();
        return;
      case "reset":
        this.finish({ reason: "broken", cause: packet.cause });
        return;
    }
  }

  finish(end: LinkEnd): void {
    this.#outbox.clear();
    this.#settleFlushed();
    this.#flushSettled = true;
    this.#over(end);
    this.#connection.settled();
  }

  #over(end: LinkEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#inbox.clear();
    this.#settleClosed(end);
    for (const reader of this.#readers.splice(0)) reader();
    this.#wakeDrained();
  }

  #receive(bytes: Uint8Array): void {
    if (this.#end !== undefined) return;
    let message: In;
    try {
      message = this.#endpoint.in.decode(bytes);
    } catch (cause) {
      this.#fail(new ProtocolError(`${this.#connection.path}: a message cannot be read`, { cause }));
      return;
    }
    this.#inbox.push({ message, size: bytes.length });
    this.#readers.shift()?.();
  }

  async #next(): Promise<IteratorResult<In>> {
    while (this.#inbox.size === 0) {
      if (this.#end !== undefined) return { done: true, value: undefined };
      await new Promise<void>((resolve) => this.#readers.push(resolve));
    }
    const read = this.#inbox.shift();
    if (read === undefined) return { done: true, value: undefined };
    this.#receivedBytes += read.size;
    this.#readSince += read.size;
    if (this.#readSince >= LINK_WINDOW_BYTES / 2) {
      this.#connection.carry(this, { type: "window", bytes: this.#readSince });
      this.#readSince = 0;
    }
    this.#endWhenRead();
    return { done: false, value: read.message };
  }

  /** Sends what the window allows; the first message over it still goes, so that one of any size can. */
  #flush(): void {
    while (this.#outbox.size > 0 && this.#unreadByPeer < LINK_WINDOW_BYTES) {
      const bytes = this.#outbox.shift();
      if (bytes === undefined) break;
      this.#unreadByPeer += bytes.length;
      this.#connection.carry(this, { type: "message", bytes });
    }
    if (this.#outbox.size > 0) return;
    if (this.#flushed !== undefined && !this.#endSent) {
      this.#endSent = true;
      this.#connection.carry(this, { type: "end" });
    }
    this.#wakeDrained();
  }

  #endWhenRead(): void {
    if (this.#peerEnded && this.#inbox.size === 0) this.finish({ reason: "remote" });
  }

  #wakeDrained(): void {
    for (const waiter of this.#drainWaiters) waiter();
    this.#drainWaiters.clear();
  }

  #fail(cause: HeddleError): void {
    this.#connection.abort(this, cause);
  }
}
