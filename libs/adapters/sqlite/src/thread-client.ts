import { Worker } from "node:worker_threads";
import { Fifo, type HeddleError, type Logger, unreachable } from "@heddle/kernel";
import { JournalDamagedError, JournalFailedError, JournalFullError } from "@heddle/port-journal";
import type { Answer, Request, ThreadOptions } from "./messages.ts";
import { lockedError } from "./owner.ts";

/** Its file lies beside this one, in sources and in bundles. */
const threadEntry = new URL(
  import.meta.url.endsWith(".ts") ? "./journal-thread.ts" : "./journal-thread.js",
  import.meta.url,
);

interface Asker {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: HeddleError) => void;
}

type AnswerOf<T extends Answer["type"]> = Answer & { readonly type: T };

/** The journal's thread, seen from outside. It keeps the process alive while it owes an answer. */
export class ThreadClient {
  readonly #directory: string;
  readonly #worker: Worker;
  readonly #signal = new Int32Array(new SharedArrayBuffer(4));
  readonly #askers = new Fifo<Asker>();
  readonly #exited: Promise<unknown>;
  #failure: JournalFailedError | undefined;

  private constructor(directory: string, bytesMax: number | undefined) {
    this.#directory = directory;
    const workerData: ThreadOptions = { directory, bytesMax, signal: this.#signal };
    this.#worker = new Worker(threadEntry, { workerData, execArgv: [], name: "heddle-journal" });
    this.#exited = new Promise((resolve) => this.#worker.once("exit", resolve));
    this.#worker.on("message", (answer: Answer) => this.#take(answer));
    this.#worker.on("error", (error) => this.#end(error));
    this.#worker.on("exit", () => this.#end(undefined));
  }

  /** Starts the thread. Resolves when it has opened the database, with the position of its last record. */
  static async start(
    directory: string,
    bytesMax: number | undefined,
    log: Logger,
  ): Promise<{ readonly thread: ThreadClient; readonly position: number }> {
    const thread = new ThreadClient(directory, bytesMax);
    try {
      const { position, notes } = await thread.#expect("opened");
      for (const { message, bytes } of notes) log.warn(message, { directory, bytes });
      return { thread, position };
    } catch (error) {
      await thread.stop();
      throw error;
    }
  }

  /** Sends a request and resolves with its answer, in the order of the requests. Rejects with what the thread could not do. */
  ask<T extends Answer["type"]>(
    request: Request,
    type: T,
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<AnswerOf<T>> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const answered = this.#expect(type);
    this.#worker.postMessage(request, transfer);
    Atomics.add(this.#signal, 0, 1);
    Atomics.notify(this.#signal, 0);
    return answered;
  }

  /** Ends the thread at once, whatever it does. */
  async stop(): Promise<void> {
    this.#worker.ref();
    await this.#worker.terminate();
    await this.#exited;
  }

  async #expect<T extends Answer["type"]>(type: T): Promise<AnswerOf<T>> {
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

  #inWords(answer: Answer): HeddleError {
    if (answer.type !== "error") return new JournalFailedError(`the journal's thread answered with ${answer.type}`);
    const words = `the journal in ${this.#directory}: ${answer.message}`;
    switch (answer.kind) {
      case "full":
        return new JournalFullError(words);
      case "failed":
        return new JournalFailedError(words);
      case "damaged":
        return new JournalDamagedError(words);
      case "locked":
        return lockedError(this.#directory);
      default:
        return unreachable(answer.kind);
    }
  }

  /** The thread is gone, and with it what it had not answered. */
  #end(cause: unknown): void {
    this.#failure ??= new JournalFailedError(`the thread of the journal in ${this.#directory} has ended`, { cause });
    for (let asker = this.#askers.shift(); asker !== undefined; asker = this.#askers.shift())
      asker.reject(this.#failure);
  }
}

function isOf<T extends Answer["type"]>(answer: Answer, type: T): answer is AnswerOf<T> {
  return answer.type === type;
}
