import { parentPort, Worker } from "node:worker_threads";
import { type BackoffPolicy, backoffMs, type Environment, type Millis } from "@heddle/kernel";
import { type KeptLease, type LeaseKeeper, type LeaseTerms, leaseUntilMs } from "@heddle/port-rpc";

/** What the thread that keeps leases needs. */
export interface LeaseThreadOptions {
  readonly env: Environment;
  /** The file that the thread runs: it calls `serveLeaseThread`. */
  readonly entry: URL;
}

/** Cells that the thread and its owner share for each session. */
const VALID_UNTIL = 0;
const IS_OVER = 1;
const CELLS = 2;

/** A session to keep. Times are in nanoseconds of `process.hrtime`, which all threads share. */
interface KeepOrder {
  readonly type: "keep";
  readonly number: number;
  readonly cells: BigInt64Array<SharedArrayBuffer>;
  readonly session: number;
  readonly ttlMs: number;
  readonly sinceNs: bigint;
  readonly addresses: readonly string[];
}

type Order = KeepOrder | { readonly type: "drop"; readonly number: number };

const RESTART: BackoffPolicy = { firstMs: 100, maxMs: 5_000 };
const NS_PER_MS = 1_000_000;

/**
 * Keeps sessions alive from one thread for all of them: their beats go out, and it is known until when they live, while user code holds this event loop for as long as it likes.
 * It runs while there is a session to keep; one that dies is started anew. It does not keep the process alive, and ends with it.
 */
export function threadLeases(options: LeaseThreadOptions): LeaseKeeper {
  const thread = new LeaseThread(options);
  return { keep: (terms) => thread.keep(terms) };
}

class LeaseThread {
  readonly #env: Environment;
  readonly #entry: URL;
  readonly #kept = new Map<number, ThreadLease>();
  #lastNumber = 0;
  #worker: Worker | undefined;
  #failures = 0;
  #restart: Disposable | undefined;

  constructor({ env, entry }: LeaseThreadOptions) {
    this.#env = env;
    this.#entry = entry;
  }

  keep(terms: LeaseTerms): KeptLease {
    const number = ++this.#lastNumber;
    const lease = new ThreadLease(number, terms, this.#env.clock.nowMs(), () => this.#drop(number));
    this.#kept.set(number, lease);
    if (this.#worker !== undefined) this.#worker.postMessage(lease.order);
    else if (this.#restart === undefined) this.#start();
    return lease;
  }

  #drop(number: number): void {
    if (!this.#kept.delete(number)) return;
    if (this.#kept.size > 0) return this.#worker?.postMessage({ type: "drop", number } satisfies Order);
    const worker = this.#worker;
    this.#worker = undefined;
    this.#restart?.[Symbol.dispose]();
    this.#restart = undefined;
    void worker?.terminate();
  }

  #start(): void {
    this.#restart = undefined;
    // From source the packages of this checkout are their sources; what else the program was started with is no business of the thread's.
    const execArgv = this.#entry.pathname.endsWith(".ts") ? ["--conditions=@heddle/source"] : [];
    const worker = new Worker(this.#entry, { execArgv, name: "heddle-leases" });
    this.#worker = worker;
    for (const { order } of this.#kept.values()) worker.postMessage(order);
    let cause = "it ended";
    worker.on("message", (number: number) => {
      this.#failures = 0;
      this.#kept.get(number)?.changed();
    });
    worker.on("error", (error) => {
      cause = String(error);
    });
    worker.on("exit", () => {
      if (this.#worker === worker) this.#died(cause);
    });
    worker.unref(); // last: to listen to its messages is to wait for them
  }

  #died(cause: string): void {
    const { clock, log, random } = this.#env;
    const pauseMs = backoffMs(RESTART, ++this.#failures, random);
    this.#worker = undefined;
    log.warn("the thread that keeps sessions with the manager alive is started anew", { cause, pauseMs });
    this.#restart = clock.setTimer(clock.nowMs() + pauseMs, () => this.#start());
  }
}

class ThreadLease implements KeptLease {
  readonly order: KeepOrder;
  readonly #listeners = new Set<() => void>();
  readonly #drop: () => void;
  /** From this process's clock to that of `process.hrtime`: both run alike. */
  readonly #offsetNs: bigint;

  constructor(number: number, { session, ttlMs, sinceMs, addresses }: LeaseTerms, nowMs: Millis, drop: () => void) {
    this.#drop = drop;
    this.#offsetNs = process.hrtime.bigint() - nanoseconds(nowMs);
    const cells = new BigInt64Array(new SharedArrayBuffer(CELLS * BigInt64Array.BYTES_PER_ELEMENT));
    cells[VALID_UNTIL] = nanoseconds(leaseUntilMs(sinceMs, ttlMs)) + this.#offsetNs;
    const sinceNs = nanoseconds(sinceMs) + this.#offsetNs;
    this.order = { type: "keep", number, cells, session, ttlMs, sinceNs, addresses };
  }

  validUntilMs(): Millis {
    return Number(Atomics.load(this.order.cells, VALID_UNTIL) - this.#offsetNs) / NS_PER_MS;
  }

  get isOver(): boolean {
    return Atomics.load(this.order.cells, IS_OVER) === 1n;
  }

  onChange(listen: () => void): Disposable {
    const own = (): void => listen();
    this.#listeners.add(own);
    return { [Symbol.dispose]: () => void this.#listeners.delete(own) };
  }

  /** The thread has written to the cells. */
  changed(): void {
    for (const listen of [...this.#listeners]) listen();
  }

  [Symbol.dispose](): void {
    this.#listeners.clear();
    this.#drop();
  }
}

/** What the thread of `threadLeases` runs: it tells its owner what `keeper` finds. `env` is the thread's own. */
export function serveLeaseThread(env: Environment, keeper: LeaseKeeper): void {
  const kept = new Map<number, KeptLease>();
  parentPort?.on("message", (order: Order) => {
    if (order.type === "keep") kept.set(order.number, keepAsOrdered(env, keeper, order));
    else {
      kept.get(order.number)?.[Symbol.dispose]();
      kept.delete(order.number);
    }
  });
}

function keepAsOrdered(env: Environment, keeper: LeaseKeeper, order: KeepOrder): KeptLease {
  const { number, cells, session, ttlMs, sinceNs, addresses } = order;
  const offsetNs = process.hrtime.bigint() - nanoseconds(env.clock.nowMs());
  const kept = keeper.keep({ session, ttlMs, sinceMs: Number(sinceNs - offsetNs) / NS_PER_MS, addresses });
  kept.onChange(() => {
    const untilNs = nanoseconds(kept.validUntilMs()) + offsetNs;
    if (untilNs > Atomics.load(cells, VALID_UNTIL)) Atomics.store(cells, VALID_UNTIL, untilNs);
    if (kept.isOver) Atomics.store(cells, IS_OVER, 1n);
    parentPort?.postMessage(number);
  });
  return kept;
}

function nanoseconds(ms: Millis): bigint {
  return BigInt(Math.floor(ms * NS_PER_MS));
}
