import { ClosedError, ITEM_BYTES_MAX, LimitError } from "@heddle/kernel";
import { type SharedDescription, shared } from "@heddle/wire";
import { described } from "../describe.ts";
import { checkOptionNames, checkWait } from "../options.ts";
import { isReady, type Waitable, waitable } from "../wait.ts";
import type { OperationReply } from "./channel.ts";
import { inTime } from "./event.ts";
import type { ObjectsHome } from "./home.ts";
import { whatIs } from "./names.ts";
import { checkWhole } from "./place.ts";
import { flag, nothing, SharedObject } from "./shared-object.ts";

/** Which end of which pipe a connection is. */
export interface PipeEnd {
  /** 0 or 1: of a pipe that is not duplex 0 receives and 1 sends. */
  readonly end: number;
  readonly duplex: boolean;
  /** The pipe's id. */
  readonly object: string;
  /** Whose create is sent before the first operation; undefined for one that came from elsewhere. */
  readonly pipe?: SharedObject;
}

/**
 * One end of a pipe. Messages arrive in the order in which they were sent, each as a whole, also an empty one. It can
 * be sent to tasks and processes: whoever receives it holds the end too, and the end is closed once all of them have
 * closed theirs or are over.
 */
export class Connection<T = unknown> extends SharedObject implements Waitable, AsyncDisposable {
  readonly #end: PipeEnd;
  #canRead: boolean;
  #isClosed = false;
  /** Under way: that the end is being sent. */
  #sending: Promise<void> | undefined;
  /** How often the manager knows that it is being sent, and it was not. */
  #spareSends = 0;

  /** Holds the end from now on. */
  static revive(home: ObjectsHome, description: SharedDescription): Connection {
    const { object, end, duplex } = description;
    const connection = new Connection(home, { object, end: end === 1 ? 1 : 0, duplex: duplex === true });
    connection.call("pipe-hold", nothing, [], [connection.#end.end, RECEIVED]).catch(ignore); // each operation says so
    return connection;
  }

  /** Made by Pipe(). */
  constructor(home: ObjectsHome, end: PipeEnd) {
    super(home, { kind: "pipe", object: end.object });
    this.#end = end;
    this.#canRead = end.duplex || end.end === 0;
    home.holdings.addConnection(end.object, end.end);
  }

  /** It is open and may receive. */
  get readable(): boolean {
    return this.#canRead && !this.#isClosed;
  }

  /** It is open and may send. */
  get writable(): boolean {
    return this.#canWrite && !this.#isClosed;
  }

  /** It was closed. */
  get closed(): boolean {
    return this.#isClosed;
  }

  /**
   * Sends a value. Resolves when it is on its way: nobody need have received it. Rejects with SerializationError for
   * what cannot travel, LimitError above 64 MiB, ClosedError when either end is closed, and TypeError for an end that
   * only receives.
   */
  send(value: T): Promise<void> {
    return this.attempt("send", () => {
      this.#checkWrite("send");
      return this.call("pipe-send", nothing, [this.home.encode(value)], [this.#end.end, VALUE]);
    });
  }

  /** Sends bytes, as `send` does values. They are copied. */
  sendBytes(bytes: Uint8Array): Promise<void> {
    return this.attempt("sendBytes", () => {
      this.#checkWrite("sendBytes");
      if (!(bytes instanceof Uint8Array)) throw new TypeError(`bytes must be a Uint8Array, got ${described(bytes)}`);
      if (bytes.length > ITEM_BYTES_MAX) {
        const message = `ITEM_BYTES_MAX is ${ITEM_BYTES_MAX} bytes (64 MiB), these are ${bytes.length}: send them in several pieces`;
        throw new LimitError("ITEM_BYTES_MAX", ITEM_BYTES_MAX, bytes.length, message);
      }
      return this.call("pipe-send", nothing, [Uint8Array.from(bytes)], [this.#end.end, BYTES]);
    });
  }

  /**
   * Takes the next message; waits for one. What was sent as bytes comes as a Uint8Array. Rejects with EndOfStreamError
   * when none is left and the other end is closed, ClosedError when this end is, and TypeError for one that only sends.
   */
  recv(): Promise<T> {
    return this.#receive("recv", ({ values: [message = NONE], numbers: [kind] }) =>
      kind === BYTES ? (Uint8Array.from(message) as T) : (this.home.decode(message) as T),
    );
  }

  /**
   * Takes the next message as bytes, as `recv` does. What was sent as a value comes encoded. Rejects with LimitError
   * for one longer than `maxLength`: that message is lost, and the connection receives nothing more.
   */
  recvBytes(options: { readonly maxLength?: number | undefined } = {}): Promise<Uint8Array> {
    return this.attempt("recvBytes", () => {
      checkOptionNames("recvBytes", options, ["maxLength"]);
      const { maxLength } = options;
      if (maxLength !== undefined) checkWhole("maxLength", maxLength, 0);
      return this.#receive("recvBytes", ({ values: [message = NONE] }) => {
        if (maxLength !== undefined && message.length > maxLength) throw this.#tooLong(maxLength, message.length);
        return Uint8Array.from(message);
      });
    });
  }

  /**
   * Whether `recv` would not wait: for a message or the end of the stream. Waits for that as long as `timeoutMs`: 0 and
   * less, 0 unless given, not at all; Infinity for ever.
   */
  poll(timeoutMs = 0): Promise<boolean> {
    return inTime(
      this.attempt("poll", () => {
        checkWait("poll", { timeoutMs });
        this.#checkRead("poll");
        return this.callWaiting("pipe-poll", { timeoutMs }, flag, [], [1, this.#end.end]);
      }),
    );
  }

  /** Closes this handle; later calls but this reject with ClosedError. Resolves when the manager has heard it. */
  close(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    this.#isClosed = true;
    const { object, end } = this.#end;
    if (!this.home.holdings.removeConnection(object, end)) return Promise.resolve();
    return this.call("pipe-close", nothing, [], [end]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Resolves when there is something to receive, or the end of the stream; for `wait`. */
  [waitable](signal: AbortSignal): Promise<void> {
    return this.attempt("wait", () => {
      this.#checkRead("wait");
      return this.callWaiting("pipe-poll", { signal }, nothing, [], [1, this.#end.end]);
    });
  }

  [isReady](): Promise<boolean> {
    return this.poll();
  }

  /** Whoever receives it holds the end as well: until then it is held for them. Throws ClosedError. */
  override [shared](): SharedDescription {
    this.#checkOpen();
    const description = super[shared]();
    if (this.#spareSends > 0) this.#spareSends--;
    else this.#send();
    return description;
  }

  askedAgain(): void {
    this.#spareSends++;
  }

  override get created(): Promise<void> {
    this.use();
    return this.pending ?? Promise.resolve();
  }

  override get pending(): Promise<void> | undefined {
    return this.#sending ?? this.#end.pipe?.pending;
  }

  override get isCreated(): boolean {
    return this.#sending === undefined && (this.#end.pipe?.isCreated ?? true);
  }

  /** For people. */
  override get what(): string {
    return `end ${this.#end.end} of ${whatIs("pipe", this.id)}`;
  }

  protected override traits(): Readonly<Record<string, unknown>> {
    const { end, duplex } = this.#end;
    return { end, duplex };
  }

  protected override use(): void {
    this.#end.pipe?.[shared]();
  }

  #send(): void {
    const sending = this.call("pipe-hold", nothing, [], [this.#end.end, SENT]);
    this.#sending = sending;
    const sent = (): void => {
      if (this.#sending === sending) this.#sending = undefined;
    };
    sending.then(sent, sent);
  }

  get #canWrite(): boolean {
    return this.#end.duplex || this.#end.end === 1;
  }

  #receive<R>(what: string, read: (reply: OperationReply) => R): Promise<R> {
    return this.attempt(what, () => {
      this.#checkRead(what);
      return this.callWaiting("pipe-receive", undefined, read, [], [1, this.#end.end]);
    });
  }

  /** As in Python: what still can send goes on to do so. */
  #tooLong(maxLength: number, length: number): Error {
    this.#canRead = false;
    if (!this.#canWrite) this.close().catch(() => undefined); // the error says enough
    const message = `a message of ${length} bytes came where ${maxLength} were allowed: ${this.what} receives no more`;
    return new LimitError("maxLength", maxLength, length, message);
  }

  #checkRead(what: string): void {
    this.#checkOpen();
    if (!this.#canRead) throw new TypeError(`${what}() needs an end that receives: ${this.what} does not`);
  }

  #checkWrite(what: string): void {
    this.#checkOpen();
    if (!this.#canWrite) throw new TypeError(`${what}() needs an end that sends: ${this.what} only receives`);
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new ClosedError(`${this.what} is closed in this process: this handle of it was`);
  }
}

const ignore = (): void => undefined;
const VALUE = 0;
const BYTES = 1;
const RECEIVED = 0;
const SENT = 1;
const NONE = new Uint8Array();
