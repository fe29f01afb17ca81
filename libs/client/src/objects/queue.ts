import { ClosedError, EmptyError, FullError, TimeoutError } from "@heddle/kernel";
import { type SharedDescription, shared } from "@heddle/wire";
import { described } from "../describe.ts";
import { checkWait } from "../options.ts";
import type { OperationReply, OperationRequest, WaitOptions } from "./channel.ts";
import type { ObjectsHome } from "./home.ts";
import { whatIs } from "./names.ts";
import { checkWhole, made, type Place, type SharedOptions } from "./place.ts";
import { nothing, number, SharedObject } from "./shared-object.ts";

/** What a queue is told at its construction. */
export interface QueueOptions extends SharedOptions {
  /** Items in it, at most: then `put` waits. 0, which it is unless given: no bound but the manager's. */
  readonly maxSize?: number;
}

/** How long `put` and `get` wait. */
export interface QueueWait {
  /** False: not at all, whatever `timeoutMs` says. True unless given. */
  readonly block?: boolean | undefined;
  /** Milliseconds, then FullError or EmptyError; 0 and less: not at all. For ever unless given. */
  readonly timeoutMs?: number | undefined;
  /** Ends the wait: it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Which class a handle of a queue is of. */
export type QueueType = "queue" | "joinable queue" | "simple queue";

/** What handles of queues of all classes have in common. */
export abstract class QueueHandle<T> extends SharedObject {
  readonly #type: QueueType;
  /** To put never waits for others. */
  readonly #isUnbounded: boolean;
  #isClosed = false;

  constructor(type: QueueType, options: QueueOptions, place: Place | undefined, known: readonly string[] = []) {
    const { maxSize = 0 } = options;
    const traits = { maxSize, joinable: type === "joinable queue" };
    super(...made({ what: `a ${type}`, kind: "queue", options, known, traits }, place));
    checkWhole("maxSize", maxSize, 0);
    this.#type = type;
    this.#isUnbounded = maxSize === 0;
  }

  /** Whether nothing is in it. Others may put or get meanwhile. */
  empty(): Promise<boolean> {
    return this.size((reply) => number(reply) === 0);
  }

  /**
   * Closes this handle, not the queue: later calls but this reject with ClosedError. What was put stays for others, and
   * what is under way goes on.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
  }

  /** For people. */
  override get what(): string {
    return whatIs(this.#type, this.id);
  }

  override explain(refusal: Error, request: OperationRequest): Error {
    const error = super.explain(refusal, request);
    if (!(error instanceof TimeoutError)) return error;
    if (request.verb === "queue-put") return new FullError(error.message, { cause: error });
    if (request.verb === "queue-get") return new EmptyError(error.message, { cause: error });
    return error;
  }

  override [shared](): SharedDescription {
    return { ...super[shared](), type: this.#type };
  }

  /** Puts an item. */
  protected enter(item: T, options: WaitOptions): Promise<void> {
    return this.attempt("put", () => {
      this.checkOpen();
      const isPrompt = this.#isUnbounded && options.timeoutMs === undefined && options.signal === undefined;
      if (isPrompt) return this.call("queue-put", nothing, [this.home.encode(item)], [1]);
      return this.callWaiting("queue-put", options, nothing, [this.home.encode(item)], [1]);
    });
  }

  /** Takes an item. */
  protected take(options: WaitOptions): Promise<T> {
    const read = ({ values: [item] }: OperationReply): T => this.home.decode(item ?? NONE) as T;
    return this.attempt("get", () => {
      this.checkOpen();
      return this.callWaiting("queue-get", options, read, [], [1]);
    });
  }

  /** Asks for the number of items, the bound and the number of items that are not done. */
  protected size<R>(read: (reply: OperationReply) => R): Promise<R> {
    return this.attempt("size", () => {
      this.checkOpen();
      return this.call("queue-size", read);
    });
  }

  /** Throws ClosedError once this handle is closed. */
  protected checkOpen(): void {
    if (this.#isClosed) throw new ClosedError(`${this.what} is closed in this process: this handle of it was`);
  }
}

/**
 * A handle of a queue of the class that the description says. Throws TypeError or RangeError for one that cannot be.
 */
export function reviveQueue(home: ObjectsHome, { object, type, maxSize }: SharedDescription): QueueHandle<unknown> {
  const place = { home, object };
  if (type === "simple queue") return new SimpleQueue({}, place);
  const options = { maxSize: Number(maxSize) };
  return type === "joinable queue" ? new JoinableQueue(options, place) : new Queue(options, place);
}

const NONE = new Uint8Array();

/**
 * Items in the order in which they were put, each for one who gets: as multiprocessing.Queue, with put and get at the
 * manager. An item that was got by a process that dies is gone, as in Python.
 */
export class Queue<T = unknown> extends QueueHandle<T> {
  /** Throws TypeError, RangeError or LimitError for options that cannot be. */
  constructor(options: QueueOptions = {}, place?: Place, type: QueueType = "queue") {
    super(type, options, place, ["maxSize"]);
  }

  /**
   * Puts an item; waits while the queue is full. Rejects with FullError when it stays full, SerializationError for what
   * cannot travel, LimitError for more than 64 MiB, and ClosedError after `close`. One that nobody awaits is done in
   * order all the same.
   */
  put(item: T, options: QueueWait = {}): Promise<void> {
    return this.attempt("put", () => this.enter(item, patience("put", options)));
  }

  /**
   * Takes the next item; waits while there is none. Rejects with EmptyError when there stays none, and ClosedError
   * after `close`.
   */
  get(options: QueueWait = {}): Promise<T> {
    return this.attempt("get", () => this.take(patience("get", options)));
  }

  /** Puts an item when there is room, else FullError. */
  putNowait(item: T): Promise<void> {
    return this.enter(item, NOW);
  }

  /** Takes the next item when there is one, else EmptyError. */
  getNowait(): Promise<T> {
    return this.take(NOW);
  }

  /** How many items are in it. Others may put or get meanwhile. */
  qsize(): Promise<number> {
    return this.size(number);
  }

  /** Whether it has `maxSize` items. Others may put or get meanwhile. */
  full(): Promise<boolean> {
    return this.size(({ numbers: [count = 0, maxSize = 0] }) => maxSize > 0 && count >= maxSize);
  }
}

/** A queue that knows when all that was put was also done. */
export class JoinableQueue<T = unknown> extends Queue<T> {
  /** As of a Queue. */
  constructor(options: QueueOptions = {}, place?: Place) {
    super(options, place, "joinable queue");
  }

  /** One item that was got is done. Rejects with StateError when all that were put are done already. */
  taskDone(): Promise<void> {
    return this.attempt("taskDone", () => {
      this.checkOpen();
      return this.call("queue-task-done", nothing);
    });
  }

  /** Resolves when each item that was put is done: at once when none is left. */
  join(): Promise<void> {
    return this.attempt("join", () => {
      this.checkOpen();
      return this.callWaiting("queue-join", undefined, nothing, [], [1]);
    });
  }
}

/** A queue without a bound and without waits that end. */
export class SimpleQueue<T = unknown> extends QueueHandle<T> {
  /** Throws TypeError or LimitError for options that cannot be. */
  constructor(options: SharedOptions = {}, place?: Place) {
    super("simple queue", options, place);
  }

  /**
   * Puts an item. Rejects with SerializationError for what cannot travel, LimitError for more than 64 MiB, and
   * ClosedError after `close`.
   */
  put(item: T): Promise<void> {
    return this.enter(item, {});
  }

  /** Takes the next item; waits while there is none. */
  get(): Promise<T> {
    return this.take({});
  }
}

const NOW: WaitOptions = { timeoutMs: 0 };

/** Throws TypeError for options that cannot be. */
function patience(what: string, options: QueueWait): WaitOptions {
  checkWait(what, options, ["block", "timeoutMs", "signal"]);
  const { block = true, timeoutMs, signal } = options;
  if (typeof block !== "boolean") throw new TypeError(`block must be true or false, got ${described(block)}`);
  return { timeoutMs: block ? timeoutMs : 0, signal };
}
