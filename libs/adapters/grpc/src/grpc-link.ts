import type { Http2Session } from "node:http2";
import { Fifo, HeddleError, type ProtocolError, UnavailableError } from "@heddle/kernel";
import { type Caller, type Link, type LinkEnd, type MessageCodec, Waiters } from "@heddle/port-rpc";
import { decode, encodeScattered, type Sendable } from "./bytes.ts";
import { END_TIMEOUT_MS, UNREAD_BYTES, UNREAD_MESSAGES, UNSENT_BYTES, UNSENT_MESSAGES } from "./limits.ts";

/** The part of a stream of byte buffers, in object mode, that a link uses. */
export interface ByteStream {
  on(event: "data", listener: (bytes: Buffer) => void): unknown;
  on(event: "end", listener: () => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  write(bytes: Sendable, taken: () => void): boolean;
  end(): unknown;
  pause(): unknown;
  resume(): unknown;
}

/** What the two sides of a gRPC stream do differently. */
export interface LinkSide<Out, In> {
  readonly peer: string;
  /** Who has dialled; at the accepting side alone. */
  readonly caller?: Caller;
  /** Nobody else reads it or listens to its errors. */
  readonly call: ByteStream;
  readonly outgoing: MessageCodec<Out>;
  readonly incoming: MessageCodec<In>;
  /** Tells the peer why the stream ends, as far as this side can; what was sent before may be lost. */
  readonly abort: (error: HeddleError) => void;
  /** Ends the stream at once, whatever waits. */
  readonly reset: () => void;
  /** The HTTP/2 connection that carries the stream; undefined while there is none. */
  readonly connection: () => Http2Session | undefined;
  /** Nothing may use that connection from now on. */
  readonly abandoned: () => void;
  /** Asked when no more messages come: why, if it is known not to be the peer's wish. */
  readonly breakage: () => HeddleError | undefined;
  /** The error that an 'error' event of the stream stands for. */
  readonly errorOf: (event: unknown) => HeddleError;
}

/**
 * A link over one gRPC stream. Bytes wait in `#unread` until the reader pulls them, and are decoded then;
 * what `send` hands over is counted until HTTP/2 has taken it, because grpc-js itself counts objects or not at all.
 */
export class GrpcLink<Out, In> implements Link<Out, In> {
  readonly peer: string;
  readonly caller?: Caller;
  readonly closed: Promise<LinkEnd>;
  readonly incoming: AsyncIterable<In>;
  readonly #side: LinkSide<Out, In>;
  readonly #call: ByteStream;
  readonly #close: (end: LinkEnd) => void;
  readonly #room = new Waiters();
  readonly #unread = new Fifo<Buffer>();
  #unreadBytes = 0;
  #unsentBytes = 0;
  #unsentMessages = 0;
  /** `send` says false, until half of what waits has gone. */
  #isFull = false;
  #receivedBytes = 0;
  #isPaused = false;
  /** The peer sends no more; what is unread may still be read. */
  #isEnding = false;
  #isOver = false;
  #reader: (() => void) | undefined;
  #disposing: Promise<void> | undefined;
  /** Resolves when gRPC is done with the stream. */
  readonly #finished: Promise<void>;
  readonly #finish: () => void;

  constructor(side: LinkSide<Out, In>) {
    this.#side = side;
    this.#call = side.call;
    this.peer = side.peer;
    if (side.caller !== undefined) this.caller = side.caller;
    const closed = Promise.withResolvers<LinkEnd>();
    this.closed = closed.promise;
    this.#close = closed.resolve;
    const finished = Promise.withResolvers<void>();
    this.#finished = finished.promise;
    this.#finish = finished.resolve;
    this.incoming = { [Symbol.asyncIterator]: () => ({ next: () => this.#next() }) };
    this.#call.on("data", (bytes: Buffer) => this.#arrived(bytes));
    this.#call.on("end", () => this.#ending());
    this.#call.on("error", (event) => this.#over({ reason: "broken", cause: side.errorOf(event) }));
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  get arrivedBytes(): number | undefined {
    const connection = this.#side.connection();
    return connection === undefined || connection.destroyed ? undefined : connection.socket.bytesRead;
  }

  /** Whatever else the connection carries breaks, too: it shares the fate. Nothing orderly would get through. */
  abandon(): void {
    const connection = this.#side.connection();
    this.#over({ reason: "broken", cause: new UnavailableError(`${this.peer}: the connection was given up`) });
    this.#side.abandoned();
    if (connection === undefined) this.#side.reset();
    else connection.destroy();
    this.#finish();
  }

  send(message: Out): boolean {
    if (this.#isOver) return false;
    let bytes: Sendable;
    try {
      bytes = encodeScattered(this.#side.outgoing, message);
    } catch (error) {
      if (!(error instanceof HeddleError)) throw error;
      this.fail(error);
      return false;
    }
    this.#unsentBytes += bytes.length;
    this.#unsentMessages++;
    this.#call.write(bytes, () => this.#sent(bytes.length));
    if (this.#unsentBytes >= UNSENT_BYTES || this.#unsentMessages >= UNSENT_MESSAGES) this.#isFull = true;
    return !this.#isFull;
  }

  async drained(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    while (!this.#isOver && this.#isFull) await this.#room.wait(signal);
  }

  /** gRPC is done with the stream: nothing more will come of it. */
  finished(): void {
    this.#finish();
  }

  /** The stream broke under the link. */
  broke(cause: HeddleError): void {
    this.#finish();
    this.#over({ reason: "broken", cause });
  }

  /** This side found something wrong: the peer is told, and the link is broken. */
  fail(cause: HeddleError): void {
    this.#over({ reason: "broken", cause });
    this.#side.abort(cause);
    void this.#finishedOrReset();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposing ??= this.#dispose();
    return this.#disposing;
  }

  async #dispose(): Promise<void> {
    if (this.#isOver) return;
    this.#over({ reason: "local" });
    this.#call.end();
    await this.#finishedOrReset();
  }

  async #finishedOrReset(): Promise<void> {
    const timer = setTimeout(() => {
      this.#side.reset();
      this.#finish();
    }, END_TIMEOUT_MS);
    await this.#finished;
    clearTimeout(timer);
  }

  #over(end: LinkEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#unread.clear();
    this.#unreadBytes = 0;
    this.#room.wake();
    this.#wakeReader();
    this.#close(end);
    this.#call.resume(); // what still comes is thrown away, so that the end can come
  }

  #sent(bytes: number): void {
    this.#unsentBytes -= bytes;
    this.#unsentMessages--;
    if (!this.#isFull || this.#unsentBytes > UNSENT_BYTES / 2 || this.#unsentMessages > UNSENT_MESSAGES / 2) return;
    this.#isFull = false;
    this.#room.wake();
  }

  #arrived(bytes: Buffer): void {
    if (this.#isOver) return;
    this.#unread.push(bytes);
    this.#unreadBytes += bytes.length;
    if (!this.#isPaused && (this.#unreadBytes >= UNREAD_BYTES || this.#unread.size >= UNREAD_MESSAGES)) {
      this.#isPaused = true;
      this.#call.pause();
    }
    this.#wakeReader();
  }

  #ending(): void {
    this.#isEnding = true;
    if (this.#unread.size === 0) this.#endedByPeer();
    this.#wakeReader();
  }

  #endedByPeer(): void {
    if (this.#isOver) return;
    const cause = this.#side.breakage();
    this.#over(cause === undefined ? { reason: "remote" } : { reason: "broken", cause });
    this.#call.end(); // the other half of the stream: a link ends as a whole
    void this.#finishedOrReset();
  }

  #wakeReader(): void {
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.();
  }

  async #next(): Promise<IteratorResult<In>> {
    while (this.#unread.size === 0 && !this.#isOver) {
      await new Promise<void>((resolve) => {
        this.#reader = resolve;
      });
    }
    const bytes = this.#unread.shift();
    if (bytes === undefined) return { done: true, value: undefined };
    this.#receivedBytes += bytes.length;
    this.#unreadBytes -= bytes.length;
    const message = this.#decode(bytes);
    if (message === undefined) return { done: true, value: undefined };
    if (this.#isEnding && this.#unread.size === 0) this.#endedByPeer();
    if (this.#isPaused && this.#unreadBytes < UNREAD_BYTES / 4 && this.#unread.size < UNREAD_MESSAGES / 4) {
      this.#isPaused = false;
      this.#call.resume();
    }
    return { done: false, value: message };
  }

  #decode(bytes: Buffer): In | undefined {
    try {
      return decode(this.#side.incoming, bytes, this.peer);
    } catch (error) {
      this.fail(error as ProtocolError);
      return undefined;
    }
  }
}
