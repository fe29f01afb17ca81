import { SESSION_WINDOW_BYTES } from "@heddle/kernel";
import type { Goodbye, Session, SessionHandler } from "@heddle/port-rpc";
import type {
  NestedEnded,
  NestedResponse,
  NestedTaken,
  RunRequestEntry,
  RunResponseEntry,
  WorkerResponseEntry,
} from "@heddle/wire";

/** What the agent says of the session that it holds for this worker. */
export type RelayEntry =
  | { readonly $case: "nestedResponse"; readonly value: NestedResponse }
  | { readonly $case: "nestedTaken"; readonly value: NestedTaken }
  | { readonly $case: "nestedEnded"; readonly value: NestedEnded };

/**
 * This worker as a client of its own fabric: the agent holds the session, so heartbeats and lost connections are none of its business.
 * One session at a time.
 */
export class Relay {
  readonly #send: (entry: WorkerResponseEntry) => void;
  #session: RelaySession | undefined;
  /** Number of the last session. */
  #last = 0;
  /** What of the fabric is awaited now. */
  #awaited = 0;
  #isRunning = false;
  #toldWaiting = false;
  #isTelling = false;

  /** `send`: to the agent. */
  constructor(send: (entry: WorkerResponseEntry) => void) {
    this.#send = send;
  }

  /** Opens the session, in the place of one that is open; what it says goes to the handler until `ended`. */
  readonly dial = (
    handler: SessionHandler<RunResponseEntry>,
    onLink: (up: boolean) => void,
  ): Session<RunRequestEntry> => {
    this.#session?.end({ code: "closed", message: "another session was opened in its place" });
    const session = new RelaySession(++this.#last, this.#send, handler);
    this.#session = session;
    queueMicrotask(() => onLink(true)); // the agent is there as long as this process is
    return session;
  };

  hear(entry: RelayEntry): void {
    const session = this.#session;
    if (session === undefined || session.number !== entry.value.session) return; // said of an earlier one
    if (entry.$case === "nestedResponse") session.hear(entry.value.entries);
    else if (entry.$case === "nestedTaken") session.taken(entry.value.bytes);
    else {
      this.#session = undefined;
      session.end(entry.value);
    }
  }

  /** Something of the fabric is awaited until disposed: a task that does so lends its slot. */
  readonly hold = (): Disposable => {
    this.#awaited++;
    this.#tell();
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        this.#awaited--;
        this.#tell();
      },
    };
  };

  /** A chunk begins (true) or is over. */
  running(isRunning: boolean): void {
    this.#isRunning = isRunning;
    if (!isRunning)
      this.#toldWaiting = false; // the agent takes it so by itself
    else if (this.#awaited > 0) this.#tell();
  }

  /** Once in a turn, so that calls in quick succession are told as one. */
  #tell(): void {
    if (this.#isTelling || !this.#isRunning) return;
    this.#isTelling = true;
    queueMicrotask(() => {
      this.#isTelling = false;
      const waiting = this.#awaited > 0;
      if (!this.#isRunning || waiting === this.#toldWaiting) return;
      this.#toldWaiting = waiting;
      this.#send({ kind: { $case: "taskWaiting", value: { waiting } } });
    });
  }
}

class RelaySession implements Session<RunRequestEntry> {
  readonly id = "nested";
  readonly peer = "the agent";
  readonly number: number;
  readonly #send: (entry: WorkerResponseEntry) => void;
  readonly #handler: SessionHandler<RunResponseEntry>;
  #queuedBytes = 0;
  #isOver = false;
  #drainWaiters: (() => void)[] = [];

  constructor(number: number, send: (entry: WorkerResponseEntry) => void, handler: SessionHandler<RunResponseEntry>) {
    this.number = number;
    this.#send = send;
    this.#handler = handler;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  send(entry: RunRequestEntry, bulkBytes?: number): void {
    if (this.#isOver) return;
    this.#queuedBytes += bulkBytes ?? 0;
    this.#send({ kind: { $case: "nestedRequest", value: { entries: [{ entry, bulkBytes }], session: this.number } } });
  }

  async drained(): Promise<void> {
    if (this.#isOver || this.#queuedBytes < SESSION_WINDOW_BYTES) return;
    await new Promise<void>((resolve) => this.#drainWaiters.push(resolve));
  }

  close(): Promise<void> {
    if (!this.#isOver) this.#send({ kind: { $case: "nestedClose", value: { session: this.number } } });
    this.#finish();
    return Promise.resolve();
  }

  hear(entries: readonly RunResponseEntry[]): void {
    if (!this.#isOver) this.#handler.entries(entries);
  }

  taken(bytes: number): void {
    this.#queuedBytes = Math.max(0, this.#queuedBytes - bytes);
    if (this.#queuedBytes < SESSION_WINDOW_BYTES) this.#wake();
  }

  end(goodbye: Goodbye): void {
    if (this.#isOver) return;
    this.#finish();
    this.#handler.ended({ reason: "goodbye", goodbye });
  }

  #finish(): void {
    this.#isOver = true;
    this.#wake();
  }

  #wake(): void {
    const waiters = this.#drainWaiters;
    this.#drainWaiters = [];
    for (const resolve of waiters) resolve();
  }
}
