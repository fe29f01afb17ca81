import { Worker } from "node:worker_threads";
import { Fifo, type HeddleError, type Logger, unreachable } from "@heddle/kernel";
import { Heartbeat } from "./heartbeat.ts";
import { LOCK_WAIT_MS, OWNER_LEASE_MS, TAKEOVER_LOCK_WAIT_MS } from "./limits.ts";
import type { AnyRequest, ErrorAnswer, Note, ThreadOptions } from "./messages.ts";
import { type BatchRun, lockedError, type Machine, ownRecord, resign, writeOwner } from "./owner.ts";
import { privateDirectory } from "./private-directory.ts";
import type { StorageKind } from "./storage.ts";
import { type Claim, checkUnclaimed, outlive, type Predecessor } from "./takeover.ts";

/** How often it is looked whether a beat is due while a thread opens, in a lease: twice as often as one is. */
const BEAT_LOOKS_PER_LEASE = 10;

/** Whose the storage is to be. */
export interface OwnerOptions {
  /** Of a batch job that may run again on another machine: its later run takes over what this one leaves behind. */
  readonly batch?: BatchRun | undefined;
  /** For tests: a machine that this is not, and a lease other than OWNER_LEASE_MS. */
  readonly machine?: Partial<Machine>;
  readonly leaseMs?: number;
}

/** How a thread is started. */
export interface ThreadStart {
  readonly kind: StorageKind;
  /** Where it is kept, and nothing else. Made (0700) unless it is there. */
  readonly directory: string;
  /** Largest size of the database, in bytes. */
  readonly bytesMax: number | undefined;
  readonly log: Logger;
  readonly owner: OwnerOptions | undefined;
}

interface Typed {
  readonly type: string;
  /** For the log, when it says that it has opened the database. */
  readonly notes?: readonly Note[];
}

/** One answer of several. */
type OfType<Answer, T> = Answer & { readonly type: T };

interface Asker<Answer> {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: HeddleError) => void;
}

/** The thread of some storage whose owner this is, seen from outside. It keeps the process alive while it owes an answer. */
export class ThreadClient<Request extends Typed, Answer extends Typed> {
  readonly #kind: StorageKind;
  readonly #directory: string;
  readonly #log: Logger;
  readonly #worker: Worker;
  readonly #signal = new Int32Array(new SharedArrayBuffer(4));
  readonly #askers = new Fifo<Asker<Answer>>();
  readonly #exited: Promise<unknown>;
  readonly #nonce: string;
  #failure: HeddleError | undefined;

  private constructor(
    { kind, directory, bytesMax, log }: ThreadStart,
    { record, leaseMs }: Claim,
    before: Predecessor | undefined,
  ) {
    this.#kind = kind;
    this.#log = log;
    this.#directory = directory;
    this.#nonce = record.nonce;
    const heartbeat = record.batch === undefined ? undefined : { nonce: record.nonce, leaseMs };
    // The kernel gives up the lock of a process of this boot at once.
    const isPatient = record.batch !== undefined && before?.state !== "hidden";
    const lockWaitMs = isPatient ? TAKEOVER_LOCK_WAIT_MS : LOCK_WAIT_MS;
    const workerData: ThreadOptions = { directory, bytesMax, lockWaitMs, signal: this.#signal, heartbeat };
    this.#worker = new Worker(kind.thread, { workerData, execArgv: [], name: `heddle-${kind.what.replace(" ", "-")}` });
    this.#exited = new Promise((resolve) => this.#worker.once("exit", resolve));
    this.#worker.on("message", (answer: Answer) => this.#take(answer));
    this.#worker.on("error", (error) => this.#end(error));
    this.#worker.on("exit", () => this.#end(undefined));
  }

  /**
   * Becomes the owner of the directory, in which nobody else can open the storage until the thread is stopped or this process ends, and
   * starts the thread. Resolves when it has opened the database, with what it says of it. Rejects with the kind's errors, and
   * PermissionError when the directory is another user's.
   */
  static async start<Request extends Typed, Answer extends Typed>(
    start: ThreadStart,
  ): Promise<{ readonly thread: ThreadClient<Request, Answer>; readonly opened: OfType<Answer, "opened"> }> {
    const { directory, kind, log, owner: { batch, machine, leaseMs = OWNER_LEASE_MS } = {} } = start;
    privateDirectory(directory);
    const record = ownRecord(batch, machine);
    const claim = { directory, kind, record, leaseMs };
    const before = await outlive(claim);
    const isAway = before?.state === "away";
    if (isAway)
      log.warn(`an earlier run left the ${kind.what} behind: it is taken over`, { directory, host: before.owner.host });
    // Before the database is looked at: who finds it writes nothing there any more.
    if (isAway) writeOwner(directory, record, kind, log);
    const thread = new ThreadClient<Request, Answer>(start, claim, before);
    try {
      const opened = await (batch === undefined ? thread.#expect("opened") : thread.#openBeating(claim, isAway, log));
      for (const { message, bytes } of opened.notes ?? []) log.warn(message, { directory, bytes });
      if (batch === undefined) writeOwner(directory, record, kind, log);
      return { thread, opened };
    } catch (error) {
      await thread.#stop();
      resign(directory, record.nonce);
      throw error;
    }
  }

  /**
   * Opens as a batch job's run. The owner is written down (unless it is) once the database is locked, for until then another may live; from then on it beats, from here: the
   * thread may wait long for its disk.
   */
  async #openBeating(claim: Claim, isWritten: boolean, log: Logger): Promise<OfType<Answer, "opened">> {
    using beats = new DisposableStack();
    if (isWritten) beats.use(beating(claim, log));
    await this.#expect("held");
    if (!isWritten) {
      checkUnclaimed(claim);
      writeOwner(claim.directory, claim.record, claim.kind, log);
      beats.use(beating(claim, log));
    }
    this.#wake();
    return await this.#expect("opened");
  }

  #wake(): void {
    Atomics.add(this.#signal, 0, 1);
    Atomics.notify(this.#signal, 0);
  }

  /** Sends a request and resolves with its answer, in the order of the requests. Rejects with what the thread could not do. */
  ask<T extends Answer["type"]>(
    request: Request | AnyRequest,
    type: T,
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<OfType<Answer, T>> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const answered = this.#expect(type);
    this.#worker.postMessage(request, transfer);
    this.#wake();
    return answered;
  }

  /** Ends the thread and gives the directory free. In order: what was asked before is done, and the database is closed. Does not reject. */
  async close(isInOrder: boolean): Promise<void> {
    const closing: AnyRequest = { type: "close" };
    try {
      if (isInOrder) await this.ask(closing, "done");
    } catch (error) {
      const fields = { directory: this.#directory, why: String(error) };
      this.#log.warn(`the ${this.#kind.what} could not be closed in order`, fields);
    }
    await this.#stop();
    resign(this.#directory, this.#nonce);
  }

  /** Ends the thread at once, whatever it does. */
  async #stop(): Promise<void> {
    this.#worker.ref();
    await this.#worker.terminate();
    await this.#exited;
  }

  async #expect<T extends string>(type: T): Promise<OfType<Answer, T>> {
    if (this.#askers.size === 0) this.#worker.ref();
    const answer = await new Promise<Answer>((resolve, reject) => this.#askers.push({ resolve, reject }));
    if (isOf(answer, type)) return answer;
    throw this.#inWords(answer);
  }

  #take(answer: Answer): void {
    const asker = this.#askers.shift();
    if (this.#askers.size === 0) this.#worker.unref();
    asker?.resolve(answer);
  }

  #inWords(answer: Answer | ErrorAnswer): HeddleError {
    const { what, FailedError, FullError, DamagedError } = this.#kind;
    if (!isError(answer)) return new FailedError(`the thread of a ${what} answered with ${answer.type}`);
    const words = `the ${what} in ${this.#directory}: ${answer.message}`;
    switch (answer.kind) {
      case "full":
        return new FullError(words);
      case "failed":
        return new FailedError(words);
      case "damaged":
        return new DamagedError(words);
      case "locked":
        return lockedError(this.#directory, this.#kind);
      default:
        return unreachable(answer.kind);
    }
  }

  /** The thread is gone, and with it what it had not answered. */
  #end(cause: unknown): void {
    const { what, FailedError } = this.#kind;
    this.#failure ??= new FailedError(`the thread of the ${what} in ${this.#directory} has ended`, { cause });
    for (let asker = this.#askers.shift(); asker !== undefined; asker = this.#askers.shift())
      asker.reject(this.#failure);
  }
}

/** Beats for the owner until it is disposed. What goes wrong is only told: the thread looks itself before it writes. */
function beating({ directory, record, leaseMs }: Claim, log: Logger): Disposable {
  const heartbeat = new Heartbeat(directory, record.nonce, leaseMs);
  const timer = setInterval(() => {
    try {
      heartbeat.beatIfDue();
    } catch (error) {
      log.warn("an owner could not beat", { directory, why: String(error) });
    }
  }, leaseMs / BEAT_LOOKS_PER_LEASE);
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer);
      heartbeat[Symbol.dispose]();
    },
  };
}

function isOf<Answer extends Typed, T extends string>(answer: Answer, type: T): answer is OfType<Answer, T> {
  return answer.type === type;
}

function isError(answer: Typed): answer is ErrorAnswer {
  return answer.type === "error";
}
