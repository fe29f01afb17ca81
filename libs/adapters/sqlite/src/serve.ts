/** How a thread serves a database: it waits for its disk, so that nobody else does. Loads nothing but Node and what lies beside it. */
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import type { DatabasePlace } from "./database-file.ts";
import { Heartbeat } from "./heartbeat.ts";
import { CHECKPOINT_IDLE_MS } from "./limits.ts";
import type { AnyRequest, ErrorAnswer, ErrorKind, ThreadOptions } from "./messages.ts";
import { kindOf } from "./sqlite-errors.ts";

/** What a thread serves. */
export interface Served<Request, Answer> {
  readonly database: Tidied;
  /** What is said first. */
  readonly opened: Answer;
  /** Throws what SQLite throws, and Damage. */
  readonly answer: (request: Request) => Answer;
  /** Whether an error of such a request, that says damage, tells what was found, and not that nobody knows what became of a write. */
  readonly isReading: (request: Request) => boolean;
  /** Whether an error is of this request alone, and nothing is wrong for others. */
  readonly isAlone: (request: Request, error: unknown) => boolean;
  /** Buffers that go with the answer. */
  readonly transferOf: (answer: Answer) => ArrayBuffer[];
}

/** A database that has things to do when nobody asks. */
interface Tidied {
  /** Whether there is something to do when nothing comes for CHECKPOINT_IDLE_MS. */
  readonly wantsTidying: boolean;
  /** Whether it is to be done at once, whatever waits. */
  readonly needsTidying: boolean;
  /** Does some of it. */
  tidy(): void;
}

/** Opens a database and answers for it until it is told to close. */
export function serve<Request extends { readonly type: string }, Answer>(
  open: (place: DatabasePlace) => Served<Request | AnyRequest, Answer>,
): void {
  if (parentPort === null) throw new Error("this is the thread of a database, not a program");
  const port = parentPort;
  const { directory, bytesMax, lockWaitMs, signal, heartbeat: beats } = workerData as ThreadOptions;
  let served: Served<Request | AnyRequest, Answer>;
  let heartbeat: Heartbeat | undefined;
  try {
    const waitUntilWritten = (): void => {
      port.postMessage({ type: "held" });
      Atomics.wait(signal, 0, 0);
    };
    served = open({ directory, bytesMax, lockWaitMs, onLocked: beats === undefined ? undefined : waitUntilWritten });
    if (beats !== undefined) heartbeat = new Heartbeat(directory, beats.nonce, beats.leaseMs);
  } catch (error) {
    heartbeat?.[Symbol.dispose]();
    port.postMessage(inWords(error));
    return;
  }
  port.postMessage(served.opened);
  new Service(served, port, signal, heartbeat).run();
  heartbeat?.[Symbol.dispose]();
}

type Port = NonNullable<typeof parentPort>;

class Service<Request extends { readonly type: string }, Answer> {
  readonly #served: Served<Request, Answer>;
  readonly #port: Port;
  readonly #signal: Int32Array<SharedArrayBuffer>;
  readonly #heartbeat: Heartbeat | undefined;
  /** Set once an outcome is unknown: nothing is tried any more. */
  #failure: ErrorAnswer | undefined;

  constructor(
    served: Served<Request, Answer>,
    port: Port,
    signal: Int32Array<SharedArrayBuffer>,
    heartbeat: Heartbeat | undefined,
  ) {
    this.#served = served;
    this.#port = port;
    this.#signal = signal;
    this.#heartbeat = heartbeat;
  }

  /** Waits without an event loop: going to sleep and waking up takes half as long. */
  run(): void {
    let idleMs = CHECKPOINT_IDLE_MS;
    for (;;) {
      const seen = Atomics.load(this.#signal, 0);
      if (!this.#answerAll()) return;
      const isWanted = this.#wantsTidying;
      const waitMs = Math.min(isWanted ? idleMs : Infinity, this.#beatInMs);
      const isIdle = Atomics.wait(this.#signal, 0, seen, waitMs) === "timed-out";
      this.#beatIfDue();
      if (isIdle && isWanted) this.#tidy();
      idleMs = isIdle ? 0 : CHECKPOINT_IDLE_MS; // once begun it goes on, between requests, until nothing is left
    }
  }

  /** Who has failed writes nothing any more, and may as well be silent. */
  get #beatInMs(): number {
    return this.#failure === undefined && this.#heartbeat !== undefined ? this.#heartbeat.dueInMs : Infinity;
  }

  #beatIfDue(): void {
    if (this.#beatInMs > 0) return;
    try {
      this.#heartbeat?.beatIfDue();
    } catch (error) {
      this.#fail("failed", inWords(error).message);
    }
  }

  get #wantsTidying(): boolean {
    return this.#failure === undefined && this.#served.database.wantsTidying;
  }

  /** Answers what has come. Says whether more may come. */
  #answerAll(): boolean {
    let isOpen = true;
    for (let next = receiveMessageOnPort(this.#port); next !== undefined; next = receiveMessageOnPort(this.#port)) {
      const request = next.message as Request;
      isOpen &&= request.type !== "close";
      this.#answer(request);
      this.#beatIfDue(); // here too: messages may come without end
      if (isOpen && this.#failure === undefined && this.#served.database.needsTidying) this.#tidy();
    }
    return isOpen;
  }

  #answer(request: Request): void {
    if (this.#failure !== undefined) {
      this.#port.postMessage(this.#failure);
      return;
    }
    try {
      const isWriting = !this.#served.isReading(request);
      if (isWriting) this.#heartbeat?.check();
      const answer = this.#served.answer(request);
      if (isWriting) this.#heartbeat?.check(); // nothing is acknowledged that was written while another took over
      this.#port.postMessage(answer, this.#served.transferOf(answer));
    } catch (error) {
      const words = inWords(error);
      if (words.kind === "full" || this.#served.isAlone(request, error)) this.#port.postMessage(words);
      else {
        const isFound = words.kind === "damaged" && this.#served.isReading(request); // else it was being written
        this.#port.postMessage(this.#fail(isFound ? "damaged" : "failed", words.message));
      }
    }
  }

  /** Nobody asked: an error is for whoever asks next. */
  #tidy(): void {
    try {
      this.#heartbeat?.check();
      this.#served.database.tidy();
    } catch (error) {
      this.#fail("failed", inWords(error).message);
    }
  }

  #fail(kind: ErrorKind, message: string): ErrorAnswer {
    const words: ErrorAnswer = { type: "error", kind, message };
    this.#failure = words;
    return words;
  }
}

function inWords(error: unknown): ErrorAnswer {
  return { type: "error", kind: kindOf(error), message: error instanceof Error ? error.message : String(error) };
}
