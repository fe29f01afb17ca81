import { ClosedError, NotFoundError } from "@heddle/kernel";
import { described } from "../describe.ts";
import { checkOptionNames } from "../options.ts";
import { allSettled } from "./all-settled.ts";
import { Barrier, type BarrierOptions } from "./barrier.ts";
import type { Cell, Code } from "./codes.ts";
import { Condition, type ConditionOptions } from "./condition.ts";
import { fabricOf, type ObjectsFabric } from "./default-home.ts";
import { Dict } from "./dict.ts";
import type { Entries } from "./entries.ts";
import { Event, type EventOptions } from "./event.ts";
import type { ObjectsHome } from "./home.ts";
import type { Key } from "./keys.ts";
import { List } from "./list.ts";
import { Lock, type LockOptions } from "./lock.ts";
import { checkObjectName } from "./names.ts";
import { Namespace } from "./namespace.ts";
import { checkWhole, type Place } from "./place.ts";
import { JoinableQueue, Queue, type QueueOptions } from "./queue.ts";
import { RLock, type RLockOptions } from "./rlock.ts";
import { BoundedSemaphore, Semaphore, type SemaphoreOptions } from "./semaphore.ts";
import { SharedArray } from "./shared-array.ts";
import { runTransaction, type Transaction } from "./transaction.ts";
import { type CellOptions, Value } from "./value.ts";

/** Options of `new Manager()`. */
export interface ManagerOptions {
  /** Whose manager: a fabric from `connect()`. */
  readonly fabric?: ObjectsFabric;
  /** Whose manager: that of the coordinator at this address. HEDDLE_ADDRESS unless given, and without either that of the fabric embedded in this process; inside a task the task's own fabric. */
  readonly address?: string;
  /** Lease of what is held under it, in milliseconds, 2,000 to 300,000; 15,000 unless given. */
  readonly ttlMs?: number;
}

/** Options of a container. */
export interface NamedOptions {
  /** Get or create the object of this name, 1 byte to 1 KiB: it outlives its creator, and what it holds from the beginning counts only when this creates it. */
  readonly name?: string;
}

/** What of a type can be keys. Keys that are given are found without a bound on their type, which would make each "a" a type of its own. */
type KeyOf<K> = K extends Key ? K : never;

/**
 * A session with the manager of a fabric, as multiprocessing.Manager: makes shared objects. They are made at the manager at their first use, so factories are synchronous. Objects
 * without a name end with the session.
 */
export class Manager implements AsyncDisposable {
  readonly #home: ObjectsHome;
  readonly #fabric: ObjectsFabric;
  /** Of locks with leases of their own. */
  readonly #more: ObjectsHome[] = [];
  #closing: Promise<void> | undefined;

  /** Throws TypeError for both a fabric and an address and for what is no option, RangeError for a lease that cannot be. */
  constructor(options: ManagerOptions = {}) {
    checkOptionNames("a manager", options, ["fabric", "address", "ttlMs"]);
    const { ttlMs } = options;
    if (ttlMs !== undefined) checkWhole("ttlMs", ttlMs, TTL_MS_MIN, TTL_MS_MAX);
    this.#fabric = fabricOf(options);
    this.#home = this.#fabric.openObjects({ ttlMs });
  }

  /** A dict, of entries or of an object's fields. Throws TypeError, LimitError and SerializationError for entries or a name that cannot be. */
  dict<K extends Key = Key, V = unknown>(init?: undefined, options?: NamedOptions): Dict<K, V>;
  dict<K = Key, V = unknown>(init: Iterable<readonly [K, V]>, options?: NamedOptions): Dict<KeyOf<K>, V>;
  dict<K extends Key = string, V = unknown>(init: Entries<K, V> | undefined, options?: NamedOptions): Dict<K, V>;
  dict<K extends Key, V>(init?: Entries<K, V>, options: NamedOptions = {}): Dict<K, V> {
    return Dict.create<K, V>(this.#open, init, nameOf("a dict", options));
  }

  /** A list, of the items of an iterable. Throws as `dict`. */
  list<T = unknown>(init?: Iterable<T>, options: NamedOptions = {}): List<T> {
    return List.create<T>(this.#open, init, nameOf("a list", options));
  }

  /** A namespace, of an object's fields. Throws as `dict`. */
  namespace<T extends object = Record<string, unknown>>(init?: Partial<T>, options: NamedOptions = {}): Namespace<T> {
    return Namespace.create<T>(this.#open, init, nameOf("a namespace", options));
  }

  /** One number: of a code, as `new Value()`, or without one an f64 for a number and an i64 for a bigint. Throws as that. */
  value(init: number, options?: CellOptions): Value<"f64">;
  value(init: bigint, options?: CellOptions): Value<"i64">;
  value<C extends Code>(code: C, init?: Cell<C>, options?: CellOptions): Value<C>;
  value(codeOrInit: Code | number | bigint, ...rest: [unknown?, unknown?]): Value {
    const place = this.#place;
    if (typeof codeOrInit === "number") return new Value("f64", codeOrInit, cellOptions(rest[0]), place);
    if (typeof codeOrInit === "bigint") return new Value("i64", codeOrInit, cellOptions(rest[0]), place);
    return new Value<Code>(codeOrInit, rest[0] as Cell<Code> | undefined, cellOptions(rest[1]), place);
  }

  /** Numbers of a code: so many zeros, or these. Throws as `new SharedArray()`. */
  array<C extends Code>(code: C, sizeOrValues: number | Iterable<Cell<C>>, options: CellOptions = {}): SharedArray<C> {
    return new SharedArray(code, sizeOrValues, options, this.#place);
  }

  /** As `new Queue()`, of this manager; the same goes for those below. */
  queue<T = unknown>(options?: QueueOptions): Queue<T> {
    return new Queue<T>(options, this.#place);
  }

  joinableQueue<T = unknown>(options?: QueueOptions): JoinableQueue<T> {
    return new JoinableQueue<T>(options, this.#place);
  }

  lock(options?: LockOptions): Lock {
    return new Lock(options, this.#place);
  }

  rlock(options?: RLockOptions): RLock {
    return new RLock(options, this.#place);
  }

  semaphore(initial?: number, options?: SemaphoreOptions): Semaphore {
    return new Semaphore(initial, options, this.#place);
  }

  boundedSemaphore(initial?: number, options?: SemaphoreOptions): BoundedSemaphore {
    return new BoundedSemaphore(initial, options, this.#place);
  }

  condition(options?: ConditionOptions): Condition {
    return new Condition(options, this.#place);
  }

  event(options?: EventOptions): Event {
    return new Event(options, this.#place);
  }

  barrier(parties: number, options?: BarrierOptions): Barrier {
    return new Barrier(parties, options, this.#place);
  }

  /**
   * Runs a function whose reads and writes of the objects that it `use`s are one operation: all of its writes are done, at one moment at which everything that it has read is as it
   * was, or none. When others change what it has read meanwhile it is run again, so it should do nothing else that matters. Resolves to what it returns. Rejects with what it
   * throws, and nothing is written then; with ConflictError after TRANSACTION_ATTEMPTS_MAX runs.
   */
  async transaction<R>(fn: (tx: Transaction) => R | PromiseLike<R>): Promise<Awaited<R>> {
    return await runTransaction<R | PromiseLike<R>>(this.#open, fn);
  }

  /** Resolves when everything asked of this manager so far is done. Rejects with the first error of a write that nobody awaited. */
  async flush(): Promise<void> {
    await this.#home.flush();
  }

  /** Resolves, to this manager, once it has answered. Rejects with UnavailableError, or StateError where the fabric has none. */
  async connect(): Promise<this> {
    await this.#open.call({ verb: "dict-size", object: NOTHING }, ignore).catch((error: unknown) => {
      if (!(error instanceof NotFoundError)) throw error; // that there is no such thing is an answer
    });
    return this;
  }

  /**
   * Ends the session: what is held under it is free, its objects without a name are gone, what waits rejects with ClosedError. What was asked before is done first, awaited or not, as
   * far as the manager answers within 2 s. Rejects, once the session is over, with the first error of a write that nobody awaited. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= allSettled([this.#home, ...this.#more].map((home) => home.close()));
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Throws ClosedError once it was closed. */
  get #open(): ObjectsHome {
    if (this.#closing !== undefined) throw new ClosedError("the manager was closed");
    return this.#home;
  }

  get #place(): Place {
    return { home: this.#open, openSession: this.#openSession };
  }

  readonly #openSession = (ttlMs: number): ObjectsHome => {
    const home = this.#fabric.openObjects({ ttlMs });
    this.#more.push(home);
    return home;
  };
}

const TTL_MS_MIN = 2_000;
const TTL_MS_MAX = 300_000;
/** An id that nobody has minted. */
const NOTHING = "0".repeat(32);

const ignore = (): void => undefined;

/** The name among a container's options. Throws TypeError for what is no option, and as `checkObjectName`. */
function nameOf(what: string, options: NamedOptions): string | undefined {
  checkOptionNames(what, options, ["name"]);
  if (options.name !== undefined) checkObjectName(options.name);
  return options.name;
}

function cellOptions(options: unknown): CellOptions {
  if (options === undefined) return {};
  if (typeof options !== "object" || options === null)
    throw new TypeError(`options of a value must be an object, as { lock: false }, got ${described(options)}`);
  return options;
}
