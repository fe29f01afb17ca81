import { ClosedError, type Environment, mintId } from "@heddle/kernel";
import {
  decodeValue,
  type Shared,
  type SharedDescription,
  SharedReference,
  ValueEncoder,
  type ValueReaderHooks,
} from "@heddle/wire";
import type { CallEffects, ObjectsChannel, OperationReply, OperationRequest, WaitOptions } from "./channel.ts";
import type { Flows } from "./flows.ts";
import { Holdings } from "./holdings.ts";
import { type Failure, OperationPromise } from "./operation-promise.ts";
import { type Reviver, SharedObject } from "./shared-object.ts";
import { Unheard } from "./unheard.ts";
import { traitsOf } from "./verb-traits.ts";

/** What makes handles, by the kind of object. */
export type Kinds = Readonly<Record<string, Reviver>>;

/** What a home needs. */
export interface ObjectsHomeOptions {
  /** Opens the channel: called once, at the first operation. Throws ClosedError when there is none any more. */
  readonly channel: () => ObjectsChannel;
  /** Time for pauses between tries, chance for ids. */
  readonly env: Pick<Environment, "clock" | "random">;
  readonly kinds: Kinds;
  /** Keeps the caller's process alive until disposed, where only a timer is waited for. */
  readonly keepAlive: () => Disposable;
  /** Who asks for locks: the same for all homes of a process. */
  readonly flows: Flows;
  /** What takes the place of asking, for the code that runs now; nothing unless given. */
  readonly effects?: (() => CallEffects | undefined) | undefined;
  /** Called when it is closed. */
  readonly closed?: () => void;
}

/** Where the operations of handles go, and what reads and writes their values: one for each session with the manager. */
export class ObjectsHome {
  readonly env: Pick<Environment, "clock" | "random">;
  readonly keepAlive: () => Disposable;
  /** Who asks for locks. */
  readonly flows: Flows;
  /** What is held under the session. */
  readonly holdings = new Holdings();
  readonly #open: () => ObjectsChannel;
  readonly #kinds: Kinds;
  #channel: ObjectsChannel | undefined;
  /** Creates that operations asked now have to wait for: those of other sessions' objects that they name, and of named objects, which may be refused. */
  #awaited: Promise<unknown> | undefined;
  /** Ends those waits: what waited is asked now. */
  readonly #goOn = new Set<() => void>();
  /** Operations that had to wait so. */
  #asked: Promise<unknown> | undefined;
  #closing: Promise<void> | undefined;
  readonly #unheard = new Unheard();

  readonly #effects: (() => CallEffects | undefined) | undefined;
  readonly #closed: (() => void) | undefined;

  constructor({ channel, env, kinds, keepAlive, flows, effects, closed }: ObjectsHomeOptions) {
    this.#effects = effects;
    this.#closed = closed;
    this.#open = channel;
    this.env = env;
    this.#kinds = kinds;
    this.keepAlive = keepAlive;
    this.flows = flows;
  }

  /** The session's channel. Throws ClosedError once it was closed. */
  channel(): ObjectsChannel {
    if (this.#closing !== undefined) throw new ClosedError("the manager was closed");
    if (this.#channel === undefined) {
      this.#channel = this.#open();
      this.#channel.onRevoked((object, token, reason) => this.holdings.revoke(object, token, reason));
    }
    return this.#channel;
  }

  /** Whether something was asked of the manager. */
  get isOpen(): boolean {
    return this.#channel !== undefined;
  }

  /** An id for an object without a name. */
  mint(): string {
    return mintId(this.env.random);
  }

  /** As `live`; in a task whose writes count once, as its effects have it. */
  call<T>(request: OperationRequest, read: (reply: OperationReply) => T): Promise<T> {
    const effects = this.#effects?.();
    return effects === undefined ? this.live(request, read) : effects.call(this, request, read);
  }

  /** As the channel's `call`, once what the operation needs is known to the manager. */
  live<T>(request: OperationRequest, read: (reply: OperationReply) => T): Promise<T> {
    const channel = this.channel();
    if (this.#awaited === undefined) return channel.call(request, read);
    return this.#late(this.#awaited, request, () => channel.call(request, read));
  }

  /** As `call`, for what may wait. */
  wait<T>(request: OperationRequest, options: WaitOptions | undefined, read: (reply: OperationReply) => T): Promise<T> {
    const effects = this.#effects?.();
    if (effects !== undefined) throw effects.refusalOf(request.verb, request.object);
    const channel = this.channel();
    if (this.#awaited === undefined) return channel.wait(request, options, read);
    const ask = (): Promise<T> => channel.wait(request, options, read);
    return this.#late(this.#awaited, request, ask, traitsOf(request.verb).isPut);
  }

  /** What is asked from now on is asked once this is settled too. */
  awaitFirst(settled: Promise<unknown>): void {
    const { promise: awaited, resolve } = Promise.withResolvers<void>();
    const goOn = (): void => {
      this.#goOn.delete(goOn);
      if (this.#awaited === awaited) this.#awaited = undefined;
      resolve();
    };
    this.#goOn.add(goOn);
    void Promise.allSettled([this.#awaited, settled]).then(goOn);
    this.#awaited = awaited;
  }

  /** A promise that rejects as those of the channel do: nobody need look at it, `flush` says its error then. */
  refuse<T>(error: unknown): Promise<T> {
    const promise = new OperationPromise<T>();
    const failure: Failure = { make: () => error, isOurs: false };
    promise.fail(failure);
    this.#unheard.note(promise, failure);
    return promise;
  }

  /** As the channel's, and for what was not asked of it for its arguments' sake. Resolves at once when nothing was asked. */
  async flush(): Promise<void> {
    await this.#asked;
    await this.#channel?.flush();
    this.#unheard.raise();
  }

  /** There is nothing for `flush` to wait for, nor to tell. */
  get isQuiet(): boolean {
    return this.#asked === undefined && this.#unheard.isEmpty && (this.#channel === undefined || this.#channel.isQuiet);
  }

  /**
   * Ends the session, if there is one: `channel` throws ClosedError from now on. What was asked before is done first, as
   * far as the manager answers within OBJECTS_CLOSE_MS; what waits for others is not. Rejects, once the session is over,
   * with the first error of a write that nobody awaited. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** A value as bytes: handles inside travel as references. Throws SerializationError for what cannot travel and LimitError for what is too large. */
  encode(value: unknown): Uint8Array {
    return this.#encoder.encode(value);
  }

  /** The value, with live handles of this home for the references in it. */
  decode(bytes: Uint8Array): unknown {
    return decodeValue(bytes, "value", this.#reader);
  }

  /** A live handle; a reference that travels on as it came for a kind that this version does not know. Throws SerializationError for a description that cannot be. */
  revive(description: SharedDescription): SharedObject | SharedReference {
    const { kind } = description;
    const revive = Object.hasOwn(this.#kinds, kind) ? this.#kinds[kind] : undefined;
    return revive === undefined ? new SharedReference(description) : revive(this, description);
  }

  readonly #encoder = new ValueEncoder("value", {
    reduceFunction: () => undefined,
    metShared: (handle) => this.#met(handle),
  });

  readonly #reader: ValueReaderHooks = {
    reviveShared: (description) => this.revive(description),
  };

  async #close(): Promise<void> {
    try {
      await this.#channel?.close(this.#asked);
    } finally {
      for (const goOn of this.#goOn) goOn(); // nothing is asked any more: what still waited hears so
      await this.#asked;
      this.#closed?.();
    }
    this.#unheard.raise();
  }

  /** Asks once what is awaited is settled; before what is asked later. Not at all when the handle's object could not be made. */
  #late<T>(
    awaited: Promise<unknown>,
    { handle }: OperationRequest,
    ask: () => Promise<T>,
    isAwaitedByFlush = true,
  ): Promise<T> {
    const promise = new OperationPromise<T>();
    const fail = (error: unknown): void => {
      const failure: Failure = { make: () => error, isOurs: false };
      promise.fail(failure);
      this.#unheard.note(promise, failure);
    };
    const askIfMade = (): Promise<T> => {
      if (handle instanceof SharedObject && handle.refusal !== undefined) throw handle.refusal;
      if (handle instanceof SharedObject && handle.isUnmade) return handle.created.then(ask);
      return ask();
    };
    const asking = awaited.then(() => ({ answer: askIfMade() })); // in an object, for it may be long in coming
    const done = asking.then(({ answer }) => answer).then((value) => promise.fulfil(value), fail);
    const asked = Promise.all([this.#asked, isAwaitedByFlush ? done : asking.then(ignore, ignore)]).then(() => {
      if (this.#asked === asked) this.#asked = undefined;
    });
    this.#asked = asked;
    return promise;
  }

  /** Its create went out on another channel, so nothing orders it before what is asked here. */
  #met(handle: Shared): void {
    if (handle instanceof SharedObject && handle.home !== this && !handle.isCreated) this.awaitFirst(handle.created);
  }
}

const ignore = (): void => undefined;
