import {
  type BackoffPolicy,
  backoffMs,
  ClosedError,
  type Environment,
  type HeddleError,
  heddleError,
  type Millis,
  mintId,
  ProtocolError,
  StateError,
  UnavailableError,
  unreachable,
} from "@heddle/kernel";
import {
  dialSession,
  isRefusal,
  type LeaseTerms,
  type RpcClient,
  type Session,
  type SessionEnd,
  type Version,
} from "@heddle/port-rpc";
import {
  type EncodedPayload,
  Encoding,
  type OperateRequestEntry,
  type OperateResponseEntry,
  objectsOperate,
  PayloadAssembler,
  type SessionOpened,
  splitPayload,
} from "@heddle/wire";
import { CLOSED_OWNERS_MAX, MANAGER_ANSWER_MS, MANAGER_LINKLESS_MS } from "../limits.ts";
import type { LocateManager } from "./manager-address.ts";
import type { ObjectsTransport, OutgoingOperations, TransportListener } from "./transport.ts";

/** What reaching the manager takes. */
export interface ManagerStreamOptions {
  readonly env: Environment;
  readonly client: RpcClient;
  readonly version: Version;
  /** The coordinator's, for people. */
  readonly address: string;
  readonly locate: LocateManager;
  /** Wanted lease. */
  readonly ttlMs: number;
  /** Who this is, for people. */
  readonly description: string;
}

const RETRY: BackoffPolicy = { firstMs: 50, maxMs: 2_000 };

/**
 * A leased session with the manager, over one stream session after the other. When a stream is lost the next is dialled at once, then with pauses; it goes on with the session, or
 * opens it with the same nonce when that was not answered. When the coordinator, or the last of the manager's addresses, refuses a session that was never open, there is none; one that was is
 * gone on with as soon as it is let in again: certificates and tokens may be new on one side before the other. Also used by agents, for many owners.
 */
export class ManagerStream implements ObjectsTransport {
  readonly #options: ManagerStreamOptions;
  /** The session that is open or being opened; undefined when there is none. */
  #life: SessionLife | undefined;

  constructor(options: ManagerStreamOptions) {
    this.#options = options;
  }

  get address(): string {
    return this.#options.address;
  }

  open(listener: TransportListener): void {
    if (this.#life?.isOver === false) return;
    this.#life = new SessionLife(this.#options, listener);
    this.#life.begin();
  }

  send(operations: OutgoingOperations): void {
    this.#life?.send(operations);
  }

  /** An owner is gone: what it holds is free, what it waits for is dropped. Said again on the next stream when this one is lost. */
  closeOwner(owner: number): void {
    this.#life?.closeOwner(owner);
  }

  /** Says who an owner of the open session is, for operators: on this stream and the next ones, until it is gone. */
  describeOwner(owner: number, description: string): void {
    this.#life?.describeOwner(owner, description);
  }

  async close(): Promise<void> {
    const life = this.#life;
    this.#life = undefined;
    await life?.close();
  }
}

/** What becomes of the dials of a stream session. */
interface Fate {
  isGivenUp: boolean;
  /** Why the last one came to nothing, until there is a link. */
  failure: unknown;
}

/** A stream session of one leased session. */
interface Stream {
  readonly session: Session<OperateRequestEntry>;
  readonly fate: Fate;
  readonly addresses: readonly string[];
  readonly assembler: PayloadAssembler<number>;
  lastPartStream: number;
  /** When the first link was up: not before that was the session asked for. */
  linkedMs: Millis | undefined;
  /** When the session was opened on it. */
  openedMs: Millis | undefined;
}

/** One leased session, from its opening to its end. */
class SessionLife {
  isOver = false;
  readonly #options: ManagerStreamOptions;
  readonly #listener: TransportListener;
  readonly #nonce: string;
  /** Its number, once it is known. */
  #number: number | undefined;
  #addresses: readonly string[] = [];
  /** Which of the addresses is tried. */
  #at = 0;
  #stream: Stream | undefined;
  /** Attempts in a row that came to nothing. */
  #failures = 0;
  /** Set while a pause or the wait for a link is under way. */
  #timer: Disposable | undefined;
  /** Where the session was opened: a pause of that address is waited for before another is tried. */
  readonly #proven = new Set<string>();
  /** Owners that were said to be gone, the newest last: on streams that may not have carried it. Size <= CLOSED_OWNERS_MAX. */
  readonly #closedOwners = new Set<number>();
  /** Who the owners are that live, for people. */
  readonly #owners = new Map<number, string>();

  constructor(options: ManagerStreamOptions, listener: TransportListener) {
    this.#options = options;
    this.#listener = listener;
    this.#nonce = mintId(options.env.random);
  }

  begin(): void {
    void this.#locate();
  }

  send({ owner, acknowledged, batch, count }: OutgoingOperations): void {
    const stream = this.#stream;
    if (stream?.openedMs === undefined) return;
    const payload = { encoding: Encoding.UNSPECIFIED, count, bytes: batch };
    const { header, parts } = splitPayload(payload, () => ++stream.lastPartStream);
    const value = { owner, batch: header, acknowledged };
    stream.session.send({ kind: { $case: "operations", value } }, header.data.length);
    for (const part of parts) stream.session.send({ kind: { $case: "part", value: part } }, part.data.length);
  }

  describeOwner(owner: number, description: string): void {
    this.#owners.set(owner, description);
    const stream = this.#stream;
    if (stream?.openedMs !== undefined) describeTo(stream, owner, description);
  }

  closeOwner(owner: number): void {
    this.#owners.delete(owner);
    this.#closedOwners.add(owner);
    const [oldest] = this.#closedOwners;
    if (this.#closedOwners.size > CLOSED_OWNERS_MAX && oldest !== undefined) this.#closedOwners.delete(oldest);
    const stream = this.#stream;
    // in the lane of its operations: it must not overtake them
    if (stream?.openedMs !== undefined) stream.session.send({ kind: { $case: "closeOwner", value: { owner } } }, 0);
  }

  async close(): Promise<void> {
    if (this.isOver) return;
    const stream = this.#stream;
    this.#end();
    if (stream === undefined) return;
    stream.session.send({ kind: { $case: "closeSession", value: {} } }, 0);
    await stream.session.close();
  }

  #end(): void {
    this.isOver = true;
    this.#stream = undefined;
    this.#timer?.[Symbol.dispose]();
  }

  /** Asks where the manager is, and dials it. What is known of it from before will do when the coordinator is away. */
  async #locate(): Promise<void> {
    let addresses: readonly string[];
    try {
      addresses = await this.#options.locate();
    } catch (error) {
      if (this.isOver) return;
      if (error instanceof StateError || (this.#number === undefined && isRefusal(error))) return this.#failed(error);
      addresses = this.#addresses;
      if (addresses.length === 0 && error instanceof Error) this.#listener.linked(false, error.message);
    }
    if (this.isOver) return;
    this.#addresses = addresses;
    this.#at = 0;
    if (addresses.length === 0) this.#later(() => this.begin());
    else this.#dial();
  }

  #failed(error: Error): void {
    this.#end();
    this.#listener.failed(error);
  }

  #later(run: () => void): void {
    const { env } = this.#options;
    this.#failures++;
    this.#setTimer(backoffMs(RETRY, this.#failures, env.random), run);
  }

  #setTimer(ms: number, run: () => void): void {
    const { clock } = this.#options.env;
    this.#timer?.[Symbol.dispose]();
    this.#timer = clock.setTimer(clock.nowMs() + ms, run);
  }

  #dial(): void {
    const { env, version, description, ttlMs } = this.#options;
    const address = this.#addresses[this.#at] ?? "";
    const isPatient = this.#at + 1 >= this.#addresses.length || this.#proven.has(address);
    const fate: Fate = { isGivenUp: false, failure: undefined };
    const session = dialSession<OperateRequestEntry, OperateResponseEntry>({
      env,
      client: this.#clientOf(fate, isPatient ? undefined : () => this.#unanswered(stream)),
      method: objectsOperate,
      address,
      version,
      handler: {
        entries: (entries) => {
          for (const entry of entries) if (this.#stream === stream) this.#entry(stream, entry);
        },
        ended: (end) => {
          if (this.#stream === stream) this.#lost(stream, end);
        },
      },
      onLink: (up) => {
        if (this.#stream === stream) this.#linked(stream, up);
      },
    });
    const stream: Stream = {
      session,
      fate,
      addresses: this.#addresses,
      assembler: new PayloadAssembler(),
      lastPartStream: 0,
      linkedMs: undefined,
      openedMs: undefined,
    };
    this.#stream = stream;
    this.#setTimer(isPatient ? MANAGER_LINKLESS_MS : MANAGER_ANSWER_MS, () => this.#unanswered(stream));
    session.send(
      this.#number === undefined
        ? { kind: { $case: "openSession", value: { nonce: this.#nonce, ttlMs, description } } }
        : { kind: { $case: "attachSession", value: { session: this.#number, nonce: this.#nonce } } },
      0,
    );
  }

  /**
   * The client as one stream has it. A stream that was given up dials no more: what it still has to say would be heard in place of the present one. One that has an alternative is
   * given up as soon as it dials in vain.
   */
  #clientOf(fate: Fate, failed: (() => void) | undefined): RpcClient {
    const { client } = this.#options;
    return {
      dial: async (method, address, signal) => {
        if (fate.isGivenUp) throw new ClosedError("the stream was given up");
        try {
          return await client.dial(method, address, signal);
        } catch (error) {
          if (!signal.aborted) fate.failure = error;
          failed?.();
          throw error;
        }
      },
      call: (method, address, request, options) => client.call(method, address, request, options),
      [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
    };
  }

  #linked(stream: Stream, up: boolean): void {
    this.#timer?.[Symbol.dispose]();
    if (up) {
      stream.linkedMs ??= this.#options.env.clock.nowMs();
      stream.fate.failure = undefined;
    } else this.#setTimer(MANAGER_LINKLESS_MS, () => this.#unanswered(stream));
    this.#listener.linked(up, "");
  }

  /** Nobody is there: the next address, or all of them anew. */
  #unanswered(stream: Stream): void {
    if (this.#stream !== stream) return;
    const { failure } = stream.fate;
    this.#drop(stream, isRefusal(failure) ? failure.message : "nobody answers there");
    this.#next(failure);
  }

  /** The next address; at the end all of them anew, unless the last one refuses a session that there has never been. */
  #next(failure: unknown): void {
    if (++this.#at < this.#addresses.length) this.#dial();
    else if (this.#number === undefined && isRefusal(failure)) this.#failed(failure);
    else this.#later(() => this.begin());
  }

  /** A manager that was restarted is found where it was; one that ends stream after stream is given pauses. */
  #lost(stream: Stream, end: SessionEnd): void {
    const { clock } = this.#options.env;
    stream.fate.failure = errorOf(end) ?? stream.fate.failure;
    const { failure } = stream.fate;
    this.#drop(stream, wordsOf(end));
    if (end.reason === "goodbye" && end.goodbye.code === "closed")
      // for good: whoever comes back says "unavailable"
      return this.#failed(new UnavailableError(`the manager is gone: ${end.goodbye.message}`));
    if (stream.openedMs === undefined)
      return isRefusal(failure) ? this.#next(failure) : this.#later(() => this.begin());
    if (clock.nowMs() - stream.openedMs > RETRY.maxMs) this.#failures = 0;
    if (this.#failures === 0) this.#dial();
    else this.#later(() => this.#dial());
  }

  #drop(stream: Stream, why: string): void {
    const { env } = this.#options;
    env.log.debug("the stream to the manager is lost", { addresses: stream.addresses.join(" "), why });
    this.#stream = undefined;
    this.#timer?.[Symbol.dispose]();
    stream.fate.isGivenUp = true;
    void stream.session.close();
    const { failure } = stream.fate;
    this.#listener.linked(false, why, isRefusal(failure) ? failure : undefined);
    if (stream.openedMs !== undefined) this.#listener.interrupted(why);
  }

  #entry(stream: Stream, { kind }: OperateResponseEntry): void {
    switch (kind?.$case) {
      case "sessionOpened":
        return this.#opened(stream, kind.value);
      case "sessionEnded": {
        this.#end();
        void stream.session.close();
        return this.#listener.ended(kind.value);
      }
      case "replies": {
        const { owner, batch } = kind.value;
        if (batch === undefined) throw new ProtocolError("replies came without their batch");
        const payload = stream.assembler.open(batch, owner);
        return this.#replies(owner, payload);
      }
      case "revoked":
        return this.#listener.revoked(kind.value);
      case "part": {
        const completion = stream.assembler.add(kind.value);
        if (completion !== undefined) this.#replies(completion.tag, completion.payload);
        return;
      }
      case undefined:
        return; // a newer peer's entry that this build does not know
    }
  }

  #replies(owner: number, payload: EncodedPayload | undefined): void {
    if (payload !== undefined) this.#listener.replies(owner, payload.bytes);
  }

  #opened(stream: Stream, { session, ttlMs }: SessionOpened): void {
    if (stream.openedMs !== undefined) throw new ProtocolError("a session was opened twice on one stream");
    const address = this.#addresses[this.#at] ?? "";
    this.#number = session;
    this.#proven.add(address);
    stream.openedMs = this.#options.env.clock.nowMs();
    for (const owner of this.#closedOwners) stream.session.send({ kind: { $case: "closeOwner", value: { owner } } }, 0);
    for (const [owner, description] of this.#owners) describeTo(stream, owner, description);
    const terms: LeaseTerms = {
      session,
      nonce: this.#nonce,
      ttlMs,
      sinceMs: stream.linkedMs ?? Number.NEGATIVE_INFINITY,
      addresses: [address, ...this.#addresses.toSpliced(this.#at, 1)],
    };
    this.#listener.opened(terms);
  }
}

function describeTo({ session }: Stream, owner: number, description: string): void {
  session.send({ kind: { $case: "describeOwner", value: { owner, description } } }, 0);
}

/** What the peer said of it, where it did. */
function errorOf(end: SessionEnd): HeddleError | undefined {
  if (end.reason === "lost") return end.error;
  return end.reason === "goodbye" ? heddleError(end.goodbye.code, end.goodbye.message) : undefined;
}

function wordsOf(end: SessionEnd): string {
  switch (end.reason) {
    case "lost":
      return end.message;
    case "goodbye":
      return end.goodbye.message;
    case "expired":
      return "nothing was heard of it";
    case "closed":
      return "this side closed it";
    default:
      return unreachable(end);
  }
}
