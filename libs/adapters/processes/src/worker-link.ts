/**
 * The worker's end of its pipes. Imported by workers only: nothing here may bring in more than it needs.
 */
import { Socket } from "node:net";
import { fromWorker, toWorker, type WorkerRequestEntry, type WorkerResponseEntry } from "@heddle/wire";
import { responseBytes } from "./entries.ts";
import { FrameReader, FrameWriter } from "./framing.ts";
import { WORKER_LINK_BUFFER_BYTES } from "./limits.ts";
import { type MarkWriter, markWriter } from "./mark-file.ts";

/** Descriptors that the spawner gives to a worker. */
export const LINK_FD = 3;
const MARK_FD = 4;

/** The conversation with the agent. */
export interface WorkerLink {
  /** Puts an entry behind those before it. They leave when the event loop turns, or at `flush`. */
  send(entry: WorkerResponseEntry): void;
  /** Hands what was sent to the system now, so that it arrives whatever happens to this process. */
  flush(): void;
  /** Resolves when there is room again: at most WORKER_LINK_BUFFER_BYTES wait. Undefined: there is room now. */
  drained(): Promise<void> | undefined;
  /** Begins to read: `listen` is called with entries, in order. */
  onEntries(listen: (entries: readonly WorkerRequestEntry[]) => void): void;
  /** Resolves when the agent is gone. */
  readonly ended: Promise<void>;
}

/** Takes over the descriptors that the spawner left open. */
export function openWorkerLink(): WorkerLink {
  return new PipeLink(new Socket({ fd: LINK_FD, readable: true, writable: true }));
}

/** Writes "I am about to run this item" where the agent will find it, synchronously. */
export function openMarks(): MarkWriter {
  return markWriter(MARK_FD);
}

class PipeLink implements WorkerLink {
  readonly ended: Promise<void>;
  readonly #socket: Socket;
  readonly #reader = new FrameReader();
  readonly #writer = new FrameWriter<WorkerResponseEntry>(
    (entries) => fromWorker.encode({ entries }).pieces(),
    responseBytes,
  );
  #isFlushDue = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.ended = new Promise((resolve) => {
      socket.once("end", resolve);
      socket.once("close", () => resolve());
    });
    socket.on("error", () => undefined); // its close says it
  }

  send(entry: WorkerResponseEntry): void {
    this.#writer.add(entry);
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    setImmediate(() => this.flush());
  }

  flush(): void {
    if (!this.#isFlushDue) return;
    this.#isFlushDue = false;
    const frames = this.#writer.take();
    if (frames.length === 0 || !this.#socket.writable) return;
    this.#socket.cork();
    for (const bytes of frames) this.#socket.write(bytes);
    this.#socket.uncork();
  }

  drained(): Promise<void> | undefined {
    if (this.#writer.size > WORKER_LINK_BUFFER_BYTES) this.flush();
    if (this.#socket.writableLength <= WORKER_LINK_BUFFER_BYTES) return undefined;
    return new Promise((resolve) => this.#socket.once("drain", resolve));
  }

  onEntries(listen: (entries: readonly WorkerRequestEntry[]) => void): void {
    this.#socket.on("data", (bytes: Buffer) => {
      const entries: WorkerRequestEntry[] = [];
      this.#reader.push(bytes, (frame) => entries.push(...toWorker.decode(frame).entries));
      if (entries.length > 0) listen(entries);
    });
  }
}
