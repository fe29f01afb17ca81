import { parentPort, Worker } from "node:worker_threads";
import { type BackoffPolicy, backoffMs, type Clock, type Environment, type Millis } from "@heddle/kernel";
import { type Credentials, type KeptLease, type LeaseKeeper, type LeaseTerms, leaseUntilMs } from "@heddle/port-rpc";

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
  readonly nonce: string;
  readonly ttlMs: number;
  readonly sinceNs: bigint;
  readonly addresses: readonly string[];
  /** What its beats are to show to servers: the same as the session itself. */
  readonly credentials: Credentials;
}

type Order = KeepOrder | { readonly type: "drop"; readonly number: number };

/** The thread has written to the cells of a session, or its beats have other trouble than before. */
interface Word {
  readonly number: number;
  readonly trouble: string | undefined;
}

const RESTART: BackoffPolicy = { firstMs: 100, maxMs: 5_000 };
/** The thread has this part of a lease to begin; then this event loop beats, until it does. On a machine where many programs start at a time that may take seconds. */
const BEGIN_SHARE = 1 / 4;
const NS_PER_MS = 1_000_000;

/**
 * Gives keepers, one for each client's credentials. They keep sessions alive from one thread for all of them: their beats go out, and it is known until when they live, while user code holds this event loop for as long as it likes.
 * It runs while there is a session to keep; one that dies is started anew. It does not keep the process alive, and ends with it. `meanwhile` keeps sessions by this event loop where the thread takes long to begin.
 */
export function threadLeases(
  options: LeaseThreadOptions,
): (credentials: Credentials, meanwhile: LeaseKeeper) => LeaseKeeper {
  const thread = new LeaseThread(options);
  return (credentials, meanwhile) => ({ keep: (terms) => thread.keep(terms, credentials, meanwhile) });
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

  keep(terms: LeaseTerms, credentials: Credentials, meanwhile: LeaseKeeper): KeptLease {
    const number = ++this.#lastNumber;
    const { clock } = this.#env;
    const lease = new ThreadLease({ number, terms, credentials, meanwhile, clock, drop: () => this.#drop(number) });
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
    const conditions = this.#entry.pathname.endsWith(".ts") ? ["--conditions=@heddle/source"] : [];
    // Node warns of CommonJS modules that are half loaded: a thread that is not needed any more while it still loads has such.
    const execArgv = ["--no-warnings", ...conditions];
    const worker = new Worker(this.#entry, { execArgv, name: "heddle-leases" });
    this.#worker = worker;
    for (const { order } of this.#kept.values()) worker.postMessage(order);
    let cause = "it ended";
    worker.on("message", ({ number, trouble }: Word) => {
      this.#failures = 0;
      this.#kept.get(number)?.changed(trouble);
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
    for (const lease of this.#kept.values()) lease.unkept();
    log.warn("the thread that keeps sessions with the manager alive is started anew", { cause, pauseMs });
    this.#restart = clock.setTimer(clock.nowMs() + pauseMs, () => this.#start());
  }
}

interface ThreadLeaseOptions {
  readonly number: number;
  readonly terms: LeaseTerms;
  readonly credentials: Credentials;
  readonly meanwhile: LeaseKeeper;
  readonly clock: Clock;
  readonly drop: () => void;
}

class ThreadLease implements KeptLease {
  readonly order: KeepOrder;
  readonly #options: ThreadLeaseOptions;
  readonly #listeners = new Set<() => void>();
  /** From this process's clock to that of `process.hrtime`: both run alike. */
  readonly #offsetNs: bigint;
  /** As the thread has said last. */
  #trouble: string | undefined;
  /** Set while the thread does not keep it: what its cell was as that began. */
  #unkeptNs: bigint | undefined;
  /** When this event loop begins to keep it. */
  #timer: Disposable | undefined;
  /** It is kept by this event loop. */
  #bridge: KeptLease | undefined;
  #bridgedUntilMs = 0;
  #isOver = false;

  constructor(options: ThreadLeaseOptions) {
    const { number, terms, credentials, clock } = options;
    const { session, nonce, ttlMs, sinceMs, addresses } = terms;
    this.#options = options;
    this.#offsetNs = process.hrtime.bigint() - nanoseconds(clock.nowMs());
    const cells = new BigInt64Array(new SharedArrayBuffer(CELLS * BigInt64Array.BYTES_PER_ELEMENT));
    cells[VALID_UNTIL] = nanoseconds(leaseUntilMs(sinceMs, ttlMs)) + this.#offsetNs;
    const sinceNs = nanoseconds(sinceMs) + this.#offsetNs;
    this.order = { type: "keep", number, cells, session, nonce, ttlMs, sinceNs, addresses, credentials };
    this.unkept();
  }

  validUntilMs(): Millis {
    const untilMs = Number(Atomics.load(this.order.cells, VALID_UNTIL) - this.#offsetNs) / NS_PER_MS;
    return Math.max(untilMs, this.#bridgedUntilMs);
  }

  get isOver(): boolean {
    return this.#isOver || Atomics.load(this.order.cells, IS_OVER) === 1n;
  }

  get trouble(): string | undefined {
    return this.#trouble ?? this.#bridge?.trouble;
  }

  onChange(listen: () => void): Disposable {
    const own = (): void => listen();
    this.#listeners.add(own);
    return { [Symbol.dispose]: () => void this.#listeners.delete(own) };
  }

  /** The thread has said a word. */
  changed(trouble: string | undefined): void {
    this.#trouble = trouble;
    if (this.#isExtended()) this.#endBridge();
    this.#tell();
  }

  /** The thread does not keep it from now on, until it has extended it. */
  unkept(): void {
    const { clock, terms } = this.#options;
    this.#trouble = undefined;
    this.#unkeptNs ??= Atomics.load(this.order.cells, VALID_UNTIL);
    this.#timer ??= clock.setTimer(clock.nowMs() + terms.ttlMs * BEGIN_SHARE, () => this.#beginBridge());
  }

  [Symbol.dispose](): void {
    this.#listeners.clear();
    this.#endBridge();
    this.#options.drop();
  }

  #isExtended(): boolean {
    return this.#unkeptNs !== undefined && Atomics.load(this.order.cells, VALID_UNTIL) > this.#unkeptNs;
  }

  #beginBridge(): void {
    if (this.#isExtended()) return; // its word is on the way
    const { meanwhile, terms } = this.#options;
    const bridge = meanwhile.keep(terms);
    this.#bridge = bridge;
    bridge.onChange(() => {
      this.#bridgedUntilMs = Math.max(this.#bridgedUntilMs, bridge.validUntilMs());
      this.#isOver ||= bridge.isOver;
      this.#tell();
    });
  }

  #endBridge(): void {
    this.#unkeptNs = undefined;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#bridge?.[Symbol.dispose]();
    this.#bridge = undefined;
  }

  #tell(): void {
    for (const listen of [...this.#listeners]) listen();
  }
}

/** Sends the beats of the sessions of one client. Disposed when it has none any more. */
export interface LeaseClient extends LeaseKeeper, AsyncDisposable {}

/**
 * What the thread of `threadLeases` runs: it tells its owner what the keepers find. `open` makes one for each distinct credentials, as many as there are now. `env` is the
 * thread's own.
 */
export function serveLeaseThread(env: Environment, open: (credentials: Credentials) => LeaseClient): void {
  const clients = new SharedClients(open);
  const kept = new Map<number, AsyncDisposableStack>();
  parentPort?.on("message", (order: Order) => {
    if (order.type === "keep") kept.set(order.number, keepAsOrdered(env, clients, order));
    else {
      void kept.get(order.number)?.disposeAsync();
      kept.delete(order.number);
    }
  });
}

/** Clients by what they show to servers. */
class SharedClients {
  readonly #open: (credentials: Credentials) => LeaseClient;
  readonly #clients = new Map<string, { readonly client: LeaseClient; uses: number }>();

  constructor(open: (credentials: Credentials) => LeaseClient) {
    this.#open = open;
  }

  /** The one of these credentials, until disposed. */
  use(credentials: Credentials): LeaseClient {
    const key = keyOf(credentials);
    const shared = this.#clients.get(key) ?? { client: this.#open(credentials), uses: 0 };
    this.#clients.set(key, shared);
    shared.uses++;
    return {
      keep: (terms) => shared.client.keep(terms),
      [Symbol.asyncDispose]: async () => {
        if (--shared.uses > 0) return;
        this.#clients.delete(key);
        await shared.client[Symbol.asyncDispose]();
      },
    };
  }
}

function keyOf({ tls, token }: Credentials): string {
  return JSON.stringify([tls?.caFile, tls?.certFile, tls?.keyFile, token]);
}

function keepAsOrdered(env: Environment, clients: SharedClients, order: KeepOrder): AsyncDisposableStack {
  const { number, cells, session, nonce, ttlMs, sinceNs, addresses, credentials } = order;
  const offsetNs = process.hrtime.bigint() - nanoseconds(env.clock.nowMs());
  const scope = new AsyncDisposableStack();
  const { keep } = scope.use(clients.use(credentials));
  const kept = scope.use(keep({ session, nonce, ttlMs, sinceMs: Number(sinceNs - offsetNs) / NS_PER_MS, addresses }));
  kept.onChange(() => {
    const untilNs = nanoseconds(kept.validUntilMs()) + offsetNs;
    if (untilNs > Atomics.load(cells, VALID_UNTIL)) Atomics.store(cells, VALID_UNTIL, untilNs);
    if (kept.isOver) Atomics.store(cells, IS_OVER, 1n);
    parentPort?.postMessage({ number, trouble: kept.trouble } satisfies Word);
  });
  return scope;
}

function nanoseconds(ms: Millis): bigint {
  return BigInt(Math.floor(ms * NS_PER_MS));
}
