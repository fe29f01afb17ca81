import { type Environment, mintId } from "@heddle/kernel";
import {
  decodeValue,
  encodeValue,
  type Shared,
  type SharedDescription,
  SharedReference,
  type ValueReaderHooks,
  type ValueWriterHooks,
} from "@heddle/wire";
import type { ObjectsChannel, OperationReply, OperationRequest, WaitOptions } from "./channel.ts";
import { type Reviver, SharedObject } from "./shared-object.ts";

/** What makes handles, by the kind of object. */
export type Kinds = Readonly<Record<string, Reviver>>;

/** What a home needs. */
export interface ObjectsHomeOptions {
  /** Opens the channel: called once, at the first operation. Throws ClosedError when there is none any more. */
  readonly channel: () => ObjectsChannel;
  /** Time for pauses between tries, chance for ids. */
  readonly env: Pick<Environment, "clock" | "random">;
  readonly kinds: Kinds;
}

/** Where the operations of handles go, and what reads and writes their values: one for each session with the manager. */
export class ObjectsHome {
  readonly env: Pick<Environment, "clock" | "random">;
  readonly #open: () => ObjectsChannel;
  readonly #kinds: Kinds;
  #channel: ObjectsChannel | undefined;
  /** Creates of other sessions that operations asked now have to wait for: they name the objects. */
  #awaited: Promise<unknown> | undefined;

  constructor({ channel, env, kinds }: ObjectsHomeOptions) {
    this.#open = channel;
    this.env = env;
    this.#kinds = kinds;
  }

  /** The session's channel. */
  channel(): ObjectsChannel {
    this.#channel ??= this.#open();
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

  /** As the channel's, after what the operation's values refer to is known to the manager. */
  call<T>(request: OperationRequest, read: (reply: OperationReply) => T): Promise<T> {
    if (this.#awaited === undefined) return this.channel().call(request, read);
    return this.#awaited.then(() => this.channel().call(request, read));
  }

  /** As `call`, for what may wait. */
  wait<T>(request: OperationRequest, options: WaitOptions | undefined, read: (reply: OperationReply) => T): Promise<T> {
    if (this.#awaited === undefined) return this.channel().wait(request, options, read);
    return this.#awaited.then(() => this.channel().wait(request, options, read));
  }

  /** As the channel's: resolves at once when nothing was asked. */
  async flush(): Promise<void> {
    await this.#awaited;
    await this.#channel?.flush();
  }

  /** A value as bytes: handles inside travel as references. Throws SerializationError for what cannot travel and LimitError for what is too large. */
  encode(value: unknown): Uint8Array {
    return encodeValue(value, "value", this.#writer);
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

  readonly #writer: ValueWriterHooks = {
    reduceFunction: () => undefined,
    metShared: (handle) => this.#met(handle),
  };

  readonly #reader: ValueReaderHooks = {
    reviveFunction: () => {
      throw new TypeError("shared objects hold no functions");
    },
    reviveShared: (description) => this.revive(description),
  };

  /** Its create went out on another channel, so nothing orders it before what is asked here. */
  #met(handle: Shared): void {
    if (!(handle instanceof SharedObject) || handle.home === this || handle.isCreated) return;
    const others = Promise.allSettled([this.#awaited, handle.created]).then(() => {
      if (this.#awaited === others) this.#awaited = undefined;
    });
    this.#awaited = others;
  }
}
