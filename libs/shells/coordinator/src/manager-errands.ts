import {
  ManagerStream,
  OBJECTS_TTL_MS,
  ObjectsSession,
  type OperationReply,
  type OperationRequest,
  streamLeases,
} from "@heddle/client";
import {
  type BackoffPolicy,
  backoffMs,
  type Environment,
  type HeddleError,
  LimitError,
  type Millis,
  NotFoundError,
} from "@heddle/kernel";
import type { Version } from "@heddle/port-rpc";
import { ERRANDS_AT_ONCE_MAX } from "./limits.ts";
import type { ManagerPlace } from "./manager-relay.ts";

/** What asking the manager needs. */
export interface ManagerErrandsOptions {
  readonly env: Environment;
  readonly manager: ManagerPlace;
  readonly version: Version;
}

/** Something that the manager is asked until it has answered. It may be asked twice. */
export interface Errand {
  readonly request: OperationRequest;
  readonly answered: (reply: OperationReply) => void;
  /** The manager does not do it, and would not when asked again. */
  readonly refused: (error: HeddleError) => void;
}

/** Of a manager that cannot be reached for UNREACHED_MS; then it is tried for as long again. */
const RETRY: BackoffPolicy = { firstMs: 500, maxMs: 30_000 };
const UNREACHED_MS = 2_000;

/**
 * What the coordinator itself asks of the manager: goes on until that has answered, however long it is away. All that is due goes together, in a session that ends with the answers; what comes meanwhile
 * goes with the next.
 */
export class ManagerErrands {
  readonly #options: ManagerErrandsOptions;
  /** Those that are to be asked, by name. */
  readonly #due = new Map<string, Errand>();
  /** Those that are asked now. */
  readonly #asked = new Map<string, Errand>();
  #session: ObjectsSession | undefined;
  #pause: Disposable | undefined;
  #isAtWork = false;
  #isOver = false;

  constructor(options: ManagerErrandsOptions) {
    this.#options = options;
  }

  /** One of the same name that waits is asked in its stead; one that is asked now is asked again. */
  add(name: string, errand: Errand): void {
    if (this.#isOver) return;
    if (!this.#due.has(name)) this.#due.set(name, errand);
    if (!this.#isAtWork) void this.#work();
  }

  /** Whether the answer to one is still to come. */
  has(name: string): boolean {
    return this.#due.has(name) || this.#asked.has(name);
  }

  /** Nobody wants to know any more. It may be asked all the same. */
  drop(name: string): void {
    this.#due.delete(name);
    this.#asked.delete(name);
  }

  /** Nothing is asked any more: the coordinator ends. */
  async stop(): Promise<void> {
    this.#isOver = true;
    this.#pause?.[Symbol.dispose]();
    await this.#session?.leave();
  }

  async #work(): Promise<void> {
    this.#isAtWork = true;
    await undefined; // what came together is asked together
    for (let failures = 0; this.#due.size > 0 && !this.#isOver; ) {
      const failure = await this.#ask();
      if (failure === undefined) failures = 0;
      else {
        if (++failures === 1) this.#tell(failure);
        await this.#wait(backoffMs(RETRY, failures, this.#options.env.random));
      }
    }
    this.#isAtWork = false;
  }

  /** Asks what is due, once. Resolves to why some of that is due again. */
  async #ask(): Promise<Error | undefined> {
    const errands = [...this.#due].slice(0, ERRANDS_AT_ONCE_MAX);
    for (const [name, errand] of errands) {
      this.#due.delete(name);
      this.#asked.set(name, errand);
    }
    const session = this.#open();
    this.#session = session;
    const outcomes = await Promise.allSettled(errands.map(([, { request }]) => session.call(request)));
    this.#session = undefined;
    await session.close().catch(() => undefined); // it has no words left
    let failure: Error | undefined;
    for (const [at, [name, errand]] of errands.entries()) {
      if (!this.#asked.delete(name) || this.#isOver) continue; // dropped meanwhile
      const outcome = outcomes[at];
      if (outcome?.status === "fulfilled") errand.answered(outcome.value);
      else if (isRefusal(outcome?.reason)) errand.refused(outcome.reason);
      else {
        if (!this.#due.has(name)) this.#due.set(name, errand);
        failure = outcome?.reason instanceof Error ? outcome.reason : new Error(String(outcome?.reason));
      }
    }
    return failure;
  }

  #open(): ObjectsSession {
    const { env, manager, version } = this.#options;
    const { client, address } = manager;
    const transport = new ManagerStream({
      ...{ env, client, version, address, ttlMs: OBJECTS_TTL_MS, description: "coordinator, for the jobs it keeps" },
      locate: async () => [address],
    });
    return new ObjectsSession({
      ...{ env, transport, leases: streamLeases(env, client), openScope: () => NO_SCOPE, hold: () => NOT_HELD },
      unavailableTimeoutMs: UNREACHED_MS,
    });
  }

  async #wait(ms: Millis): Promise<void> {
    const { clock } = this.#options.env;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#pause = clock.setTimer(clock.nowMs() + ms, resolve);
    await promise;
  }

  #tell({ message }: Error): void {
    const { log } = this.#options.env;
    log.warn("the manager is still to be asked about jobs that are kept", { questions: this.#due.size, message });
  }
}

/** What the manager says to the question itself; all else is that it could not be asked, or that its disk is full. */
function isRefusal(error: unknown): error is HeddleError {
  if (error instanceof LimitError) return error.limitName !== "DISK_SPACE";
  return error instanceof NotFoundError && error.cause === undefined; // with a cause it let nobody in
}

/** Nothing of this is done under locks, and a coordinator lives anyway. */
const NO_SCOPE = { run: <R>(_value: unknown, run: () => R): R => run(), get: () => undefined };
const NOT_HELD: Disposable = { [Symbol.dispose]: () => undefined };
