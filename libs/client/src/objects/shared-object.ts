import { LimitError, objectText, SerializationError } from "@heddle/kernel";
import { type Shared, type SharedDescription, shared, type VerbName } from "@heddle/wire";
import type { OperationHandle, OperationReply, OperationRequest, WaitOptions } from "./channel.ts";
import type { Content } from "./content.ts";
import type { ObjectsHome } from "./home.ts";
import { inspected, namedObject, whatIs } from "./names.ts";

/** What a handle is of. */
export interface SharedSpec {
  /** What the object is: "dict", "lock", ... */
  readonly kind: string;
  /** Its id, when it exists: the handle was made of a description. */
  readonly object?: string | undefined;
  /** Get or create the object of this name. Without one, and without an id, it is a new one. Throws TypeError or LimitError for what is no name. */
  readonly name?: string | undefined;
  /** What the manager is told beside the kind when it creates it, and whoever receives the handle: numbers, text, booleans. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** What it holds when this creates it. */
  readonly content?: Content | undefined;
}

/** Makes a handle of what is known of an object. */
export type Reviver = (home: ObjectsHome, description: SharedDescription) => SharedObject;

/**
 * What all handles of shared objects have in common. The object is made at the manager at the handle's first use; shipping the handle, or storing it in
 * another object, is a use.
 */
export abstract class SharedObject implements Shared, OperationHandle {
  readonly #home: ObjectsHome;
  readonly #spec: SharedSpec;
  readonly #object: string;
  /** Undefined until the create is sent, and for what exists. */
  #created: Promise<void> | undefined;
  /** The manager has made it, or it was there. */
  #isCreated: boolean;
  /** Whether the create made it: undefined before it is answered. */
  #isNew: boolean | undefined;
  /** The manager was not reached when it was to be made. */
  #wasUnreached = false;
  /** Why it was not made: more to the point than that operations do not find it. */
  #refusal: Error | undefined;

  constructor(home: ObjectsHome, spec: SharedSpec) {
    const { object, name } = spec;
    this.#home = home;
    this.#spec = spec;
    this.#object = object ?? (name === undefined ? home.mint() : namedObject(name));
    this.#isCreated = object !== undefined;
  }

  /** Its id at the manager: 32 hex digits, or "@" and its name. */
  get id(): string {
    return this.#object;
  }

  /** For messages: its kind, and its name or the beginning of its id. */
  get what(): string {
    return whatIs(this.#spec.kind, this.#object);
  }

  /** For people: its class, and its name or the beginning of its id. */
  toString(): string {
    return `${this.constructor.name} ${objectText(this.#object)}`;
  }

  /** What is logged of it. */
  [inspected](): string {
    return this.toString();
  }

  /** It is not what is in it: no JSON text holds that, and reading it takes time. */
  toJSON(): { readonly kind: string; readonly object: string } {
    return { kind: this.#spec.kind, object: this.#object };
  }

  /** Whose operations its own are among. */
  get home(): ObjectsHome {
    return this.#home;
  }

  /** A use: the create is sent if it was not. */
  [shared](): SharedDescription {
    this.use();
    return { ...this.traits(), kind: this.#spec.kind, object: this.#object };
  }

  /** Resolves when the manager has made it, with all that it holds from the beginning: at once when it has. Whoever ships the handle waits for it. */
  get created(): Promise<void> {
    try {
      this.use();
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#created ?? Promise.resolve();
  }

  /** What whoever ships the handle waits for: undefined once the manager is known to have the object. */
  get pending(): Promise<void> | undefined {
    return this.#isCreated ? undefined : this.#created;
  }

  /** Why the manager did not make it, if so. */
  get refusal(): Error | undefined {
    return this.#refusal;
  }

  /** The manager is known to have it. */
  get isCreated(): boolean {
    return this.#isCreated;
  }

  /** The manager was not reached when it was to be made, and has not made it since: what was asked behind that must not be asked before it is. */
  get isUnmade(): boolean {
    return this.#wasUnreached && !this.#isCreated;
  }

  /** Removes the object, for all that have handles of it: they, and what waits on it, get NotFoundError. Resolves to whether it was there. */
  destroy(): Promise<boolean> {
    const isFirst = this.#created === undefined;
    return this.call("destroy", (reply) => reply.numbers[0] === 1 && !(isFirst && this.#isNew === true));
  }

  /** The error of an operation that the manager refused. */
  explain(refusal: Error, _request: OperationRequest): Error {
    return this.#refusal ?? refusal;
  }

  /** What whoever receives a handle has to know beside kind and id. */
  protected traits(): Readonly<Record<string, unknown>> {
    return this.#spec.options ?? {};
  }

  /** Sends the create, once. What follows on the same channel finds the object. */
  protected use(): void {
    if (this.#refusal !== undefined) throw this.#refusal;
    if (this.#created !== undefined || this.#isCreated) return;
    const { kind, name, options, content } = this.#spec;
    const home = this.#home;
    const object = this.#object;
    const handle: OperationHandle = { explain: (refusal) => this.#refused(refusal) };
    const values = [home.encode({ ...options, kind }), ...(content?.first ?? [])];
    const sent: Promise<unknown>[] = [
      home.live({ verb: "create", object, values, handle }, (reply) => {
        this.#isNew = reply.numbers[0] === 1;
      }),
    ];
    for (const more of content?.rest ?? [])
      sent.push(home.live({ verb: more.verb, object, values: more.values, handle }, nothing));
    const created = Promise.all(sent).then(() => {
      this.#isCreated = true;
    });
    this.#created = created;
    const failed = (): void => {
      // the manager was not reached: the next use tries again, also that of who has just heard the same
      if (this.#refusal !== undefined || this.#created !== created) return;
      this.#created = undefined;
      this.#wasUnreached = true;
    };
    for (const each of sent) each.catch(failed);
    this.#created.catch(() => undefined); // each operation on it says so
    if (name !== undefined) home.awaitFirst(this.#created); // what is there may be of another kind, and is to be left alone then
  }

  #refused(refusal: Error): Error {
    this.#refusal ??= refusal;
    return refusal;
  }

  /** One operation; `read` makes of the reply what the promise resolves with. */
  protected call<T>(
    verb: VerbName,
    read: (reply: OperationReply) => T,
    values: readonly Uint8Array[] = NO_VALUES,
    numbers: readonly number[] = NO_NUMBERS,
  ): Promise<T> {
    return this.attempt(undefined, () => {
      this.use();
      return this.#home.call({ verb, object: this.#object, values, numbers, handle: this }, read);
    });
  }

  /** One operation that may wait: `numbers[0]` is set by the channel. */
  protected callWaiting<T>(
    verb: VerbName,
    options: WaitOptions | undefined,
    read: (reply: OperationReply) => T,
    values: readonly Uint8Array[] = NO_VALUES,
    numbers: readonly number[] = NO_NUMBERS,
  ): Promise<T> {
    return this.attempt(undefined, () => {
      this.use();
      return this.#home.wait({ verb, object: this.#object, values, numbers, handle: this }, options, read);
    });
  }

  /**
   * What `ask` throws the promise rejects with, told of that method for values that cannot travel or are too large: methods that give promises throw nothing. They are not `async`: such a promise would hide whether anybody awaits
   * what was asked, and be an unhandled rejection when nobody does.
   */
  protected attempt<T>(method: string | undefined, ask: () => Promise<T>): Promise<T> {
    try {
      return ask();
    } catch (error) {
      return this.#home.refuse(method === undefined ? error : toldOf(`${method} of ${this.what}`, error));
    }
  }
}

/** The same refusal of a value, with where it was given. */
function toldOf(where: string, error: unknown): unknown {
  if (error instanceof SerializationError) {
    const { message, path, side, cause } = error;
    return new SerializationError(`${where}: ${message}`, { path, side }, cause === undefined ? {} : { cause });
  }
  if (!(error instanceof LimitError)) return error;
  return new LimitError(error.limitName, error.limit, error.actual, `${where}: ${error.message}`);
}

const NO_VALUES: readonly Uint8Array[] = [];
const NO_NUMBERS: readonly number[] = [];

/** Reads a reply that says nothing. */
export const nothing = (): void => undefined;
/** Reads a reply of one number, 1 for true. */
export const flag = (reply: OperationReply): boolean => reply.numbers[0] === 1;
/** Reads a reply of one number. */
export const number = (reply: OperationReply): number => reply.numbers[0] ?? 0;
