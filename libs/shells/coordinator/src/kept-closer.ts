import { ManagerStream, OBJECTS_TTL_MS, ObjectsSession, streamLeases } from "@heddle/client";
import { type BackoffPolicy, backoffMs, type Environment, type JobId, type Millis } from "@heddle/kernel";
import type { Version } from "@heddle/port-rpc";
import { encodeValue } from "@heddle/wire";
import { KEPT_CLOSINGS_MAX } from "./limits.ts";
import type { ManagerPlace } from "./manager-relay.ts";

/** What closing jobs at the manager needs. */
export interface KeptCloserOptions {
  readonly env: Environment;
  readonly manager: ManagerPlace;
  readonly version: Version;
  /** A job was closed there. */
  readonly closed: () => void;
}

/** Of a manager that cannot be reached for UNREACHED_MS; then it is tried for as long again. */
const RETRY: BackoffPolicy = { firstMs: 500, maxMs: 30_000 };
const UNREACHED_MS = 2_000;

/**
 * Closes kept jobs at the manager whose items' writes count once, when they are over: else it would know them for ever, as they outlive who opened them. Goes on until the manager
 * has answered, however long that is away; all that wait go together, in a session that ends with the answers. A job that is closed there, or was never open, is closed by that too.
 */
export class KeptCloser {
  readonly #options: KeptCloserOptions;
  /** Those that are to be asked for. */
  readonly #due = new Set<JobId>();
  /** Those that are asked for now. */
  #asked: ReadonlySet<JobId> = new Set();
  #session: ObjectsSession | undefined;
  #pause: Disposable | undefined;
  #isAtWork = false;
  #isOver = false;

  constructor(options: KeptCloserOptions) {
    this.#options = options;
  }

  /** The job is over: nothing of it is to count any more. Nothing above KEPT_CLOSINGS_MAX. */
  close(id: JobId): void {
    if (this.#isOver) return;
    const { log } = this.#options.env;
    if (this.#due.size + this.#asked.size >= KEPT_CLOSINGS_MAX)
      return log.warn("a job stays open at the manager: too many are to be closed there", { job: id });
    this.#due.add(id);
    if (!this.#isAtWork) void this.#work();
  }

  /** The manager may know it as open still. */
  isClosing(id: JobId): boolean {
    return this.#due.has(id) || this.#asked.has(id);
  }

  /** Nothing is closed any more: the coordinator ends. */
  async stop(): Promise<void> {
    this.#isOver = true;
    this.#pause?.[Symbol.dispose]();
    await this.#session?.leave();
  }

  async #work(): Promise<void> {
    this.#isAtWork = true;
    await undefined; // jobs that were found together are asked for together
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

  /** Asks for all that are due, once. Resolves to why some of them are due again. */
  async #ask(): Promise<Error | undefined> {
    const asked = [...this.#due];
    this.#due.clear();
    this.#asked = new Set(asked);
    const session = this.#open();
    this.#session = session;
    const closing = asked.map((id) =>
      session.call({ verb: "effects-close", object: "", values: [encodeValue(id, "value")] }),
    );
    const outcomes = await Promise.allSettled(closing);
    this.#session = undefined;
    await session.close().catch(() => undefined); // it has no words left
    this.#asked = new Set();
    let failure: Error | undefined;
    for (const [at, outcome] of outcomes.entries()) {
      const id = asked[at];
      if (outcome.status === "fulfilled" || id === undefined) continue;
      this.#due.add(id);
      failure = outcome.reason instanceof Error ? outcome.reason : new Error(String(outcome.reason));
    }
    if (!this.#isOver) this.#options.closed();
    return failure;
  }

  #open(): ObjectsSession {
    const { env, manager, version } = this.#options;
    const { client, address } = manager;
    const transport = new ManagerStream({
      ...{ env, client, version, address, ttlMs: OBJECTS_TTL_MS, description: "coordinator, to close jobs" },
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
    log.warn("jobs that are over are still to be closed at the manager", { jobs: this.#due.size, message });
  }
}

/** Nothing of this is done under locks, and a coordinator lives anyway. */
const NO_SCOPE = { run: <R>(_value: unknown, run: () => R): R => run(), get: () => undefined };
const NOT_HELD: Disposable = { [Symbol.dispose]: () => undefined };
