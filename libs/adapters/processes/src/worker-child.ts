import type { ChildProcess } from "node:child_process";
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import type { SeenMark, WorkerEvents, WorkerExit, WorkerProcess } from "@heddle/port-processes";
import { fromWorker, toWorker, type WorkerRequestEntry, type WorkerResponseEntry } from "@heddle/wire";
import { requestBytes } from "./entries.ts";
import { FrameReader, FrameWriter } from "./framing.ts";
import { LINK_END_GRACE_MS, PIPE_END_WAIT_MS } from "./limits.ts";
import { LineSplitter, Tail } from "./lines.ts";
import type { MarkFile } from "./mark-file.ts";
import { residentBytes, signalQuietly } from "./process-table.ts";
import { unrefStream } from "./streams.ts";

/** What a worker's process needs of its spawner. */
export interface ChildHost {
  /** See WORKER_UNSENT_BYTES_MAX. */
  readonly unsentBytesMax: number;
  /** Resolves when nothing with this worker's cookie is left. */
  readonly sweep: () => Promise<void>;
  /** The leader is dead and its group was killed: its id means nothing any more. */
  readonly groupGone: (pid: number) => void;
}

/** One live worker process: its link, its output, and an orderly report of its end. */
export class WorkerChild implements WorkerProcess<WorkerRequestEntry> {
  readonly pid: number;
  /** Resolves right after `exited` was told. */
  readonly gone: Promise<void>;
  readonly #child: ChildProcess;
  readonly #marks: MarkFile;
  readonly #events: WorkerEvents<WorkerResponseEntry>;
  readonly #host: ChildHost;
  readonly #link: Socket;
  readonly #reader = new FrameReader();
  readonly #writer = new FrameWriter<WorkerRequestEntry>(
    (entries) => toWorker.encode({ entries }).pieces(),
    requestBytes,
  );
  readonly #lines: readonly LineSplitter[];
  readonly #stderrTail = new Tail();
  /** Entries that wait for the output written before them, oldest first; each batch begins with one that says so. */
  readonly #held: WorkerResponseEntry[][] = [];
  readonly #told = Promise.withResolvers<void>();
  #state: "running" | "exiting" | "gone" = "running";
  #isFlushDue = false;
  #rssBytes = 0;
  #fault: string | undefined;

  /** `child` must have been started with pipes as its descriptors 1, 2 and 3, and lead its own process group. */
  constructor(
    child: ChildProcess & { readonly pid: number },
    marks: MarkFile,
    events: WorkerEvents<WorkerResponseEntry>,
    host: ChildHost,
  ) {
    this.pid = child.pid;
    this.gone = this.#told.promise;
    this.#child = child;
    this.#marks = marks;
    this.#events = events;
    this.#host = host;
    this.#link = child.stdio[3] as Socket;
    this.#lines = [this.#outputOf("stdout", child.stdout), this.#outputOf("stderr", child.stderr)];
    this.#link.on("data", (bytes: Buffer) => this.#received(bytes));
    this.#link.on("error", () => undefined); // a broken pipe is the exit's to tell
    this.#link.once("end", () => this.#linkEnded());
    child.on("error", () => undefined); // a signal that could not be sent
    child.once("exit", (code, signal) => void this.#finish(code, signal));
    unrefStream(this.#link);
    child.unref();
  }

  send(entry: WorkerRequestEntry): void {
    if (this.#state !== "running" || this.#fault !== undefined) return;
    this.#writer.add(entry);
    const { unsentBytesMax } = this.#host;
    if (this.#link.writableLength + this.#writer.size > unsentBytesMax) {
      this.#break(`it did not read: more than ${unsentBytesMax} bytes wait for it (WORKER_UNSENT_BYTES_MAX)`);
    } else if (!this.#isFlushDue) {
      this.#isFlushDue = true;
      queueMicrotask(() => this.#flush());
    }
  }

  get rssBytes(): number {
    return this.#rssBytes;
  }

  readMark(): SeenMark | null {
    return this.#marks.oldest();
  }

  kill(signal: "SIGTERM" | "SIGKILL"): void {
    if (this.#state !== "running") return; // its group was killed when it exited
    signalQuietly(-this.pid, signal); // what left the group is found by its cookie once the leader is dead
  }

  /** Kills the group at once, without waiting for anything: this process is about to end. */
  killNow(): void {
    if (this.#state === "running") signalQuietly(-this.pid, "SIGKILL");
  }

  /** Looks at the memory of the process. */
  sampleRss(): void {
    if (this.#state === "running") this.#rssBytes = residentBytes(this.pid) ?? this.#rssBytes;
  }

  #outputOf(stream: "stdout" | "stderr", pipe: Readable | null): LineSplitter {
    const lines = new LineSplitter((line) => this.#events.output(stream, line));
    pipe?.on("data", (bytes: Buffer) => {
      if (stream === "stderr") this.#stderrTail.push(bytes);
      lines.push(bytes);
    });
    pipe?.on("error", () => undefined); // as for the link
    unrefStream(pipe);
    return lines;
  }

  #flush(): void {
    this.#isFlushDue = false;
    const frames = this.#writer.take();
    if (!this.#link.writable) return;
    this.#link.cork();
    for (const bytes of frames) this.#link.write(bytes);
    this.#link.uncork();
  }

  #received(bytes: Buffer): void {
    if (this.#fault !== undefined) return;
    const entries: WorkerResponseEntry[] = [];
    try {
      this.#reader.push(bytes, (frame) => entries.push(...fromWorker.decode(frame).entries));
    } catch (error) {
      this.#break(`it broke the framing: ${error instanceof Error ? error.message : String(error)}`);
    }
    if (entries.length > 0) this.#deliver(entries);
  }

  /**
   * Output comes before the entries that were sent after it: it is in its pipe by now, so whoever says that there is some waits
   * until the pipes have been looked at. The first immediate ends this turn of the event loop, the second follows a whole poll.
   */
  #deliver(entries: WorkerResponseEntry[]): void {
    const wrote = entries.findIndex(({ kind }) => kind?.$case === "chunkReturned" && kind.value.wroteOutput);
    if (wrote !== -1) {
      this.#hold(entries.slice(0, wrote));
      this.#held.push(entries.slice(wrote));
      setImmediate(() => setImmediate(() => this.#releaseOne()));
    } else {
      this.#hold(entries);
    }
  }

  /** Hands entries on, after those that wait. */
  #hold(entries: WorkerResponseEntry[]): void {
    if (entries.length === 0) return;
    const last = this.#held.at(-1);
    if (last === undefined) this.#events.entries(entries);
    else last.push(...entries);
  }

  #releaseOne(): void {
    const entries = this.#held.shift();
    if (entries !== undefined) this.#events.entries(entries);
  }

  /** The worker did what no worker of ours does: nothing more is believed, and it dies. */
  #break(fault: string): void {
    this.#fault ??= fault;
    this.kill("SIGKILL");
  }

  #linkEnded(): void {
    const timer = setTimeout(() => {
      if (this.#state === "running") this.#break("it closed its link and lived on");
    }, LINK_END_GRACE_MS);
    timer.unref();
  }

  async #finish(exitCode: number | null, signal: NodeJS.Signals | null): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#child.once("close", () => resolve()));
    this.#state = "exiting";
    signalQuietly(-this.pid, "SIGKILL");
    this.#host.groupGone(this.pid);
    await this.#host.sweep();
    await Promise.race([closed, pipeEndWait()]);
    for (const stream of this.#child.stdio) stream?.destroy();
    for (const lines of this.#lines) lines.end();
    while (this.#held.length > 0) this.#releaseOne();
    this.#state = "gone";
    this.#events.exited(this.#exit(exitCode, signal));
    this.#told.resolve();
  }

  #exit(exitCode: number | null, signal: NodeJS.Signals | null): WorkerExit {
    const mark = this.#marks.read();
    this.#marks.close();
    const exit = { exitCode, signal, mark, rssBytes: this.#rssBytes, stderrTail: this.#stderrTail.toString() };
    return this.#fault === undefined ? exit : { ...exit, fault: this.#fault };
  }
}

/** Ends after PIPE_END_WAIT_MS and a look at the pipes, however long this process itself was held up. */
function pipeEndWait(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(() => setImmediate(() => setImmediate(resolve)), PIPE_END_WAIT_MS).unref();
  });
}
