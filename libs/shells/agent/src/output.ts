import type { Session } from "@heddle/port-rpc";
import type { AttachRequestEntry } from "@heddle/wire";
import { OUTPUT_BACKLOG_BYTES, OUTPUT_BLOCK_BYTES } from "./limits.ts";
import type { WorkerRecord } from "./records.ts";

/** What printed: a job or a process, by the coordinator's number. */
export interface Printing {
  readonly number: number;
  readonly isProcess?: true;
}

interface Block {
  readonly of: Printing;
  readonly worker: WorkerRecord;
  readonly stderr: boolean;
  readonly lines: string[];
  bytes: number;
}

/** Brings what workers print to the coordinator: lines of one turn in one block, in order, dropped and counted where nobody reads. */
export class OutputRelay {
  readonly #node: string;
  readonly #session: () => Session<AttachRequestEntry> | undefined;
  #block: Block | undefined;
  #dropped = 0;

  constructor(node: string, session: () => Session<AttachRequestEntry> | undefined) {
    this.#node = node;
    this.#session = session;
  }

  /** Takes one line that a worker printed. */
  line(worker: WorkerRecord, of: Printing, stream: "stdout" | "stderr", line: string): void {
    const stderr = stream === "stderr";
    const block = this.#block;
    const fits =
      block?.worker === worker && block.of === of && block.stderr === stderr && block.bytes < OUTPUT_BLOCK_BYTES;
    if (!fits) this.flush();
    if (this.#block === undefined) {
      this.#block = { of, worker, stderr, lines: [], bytes: 0 };
      queueMicrotask(() => this.flush());
    }
    this.#block.lines.push(line);
    this.#block.bytes += line.length + 1;
  }

  /** Sends what was collected. Call before a result that must not overtake it. */
  flush(): void {
    const block = this.#block;
    this.#block = undefined;
    const session = this.#session();
    if (block === undefined || session === undefined) return;
    if (session.queuedBytes + block.bytes > OUTPUT_BACKLOG_BYTES) {
      this.#dropped += block.lines.length;
      return;
    }
    if (this.#dropped > 0) block.lines.unshift(`[${this.#dropped} lines of output dropped: the network is too slow]`);
    this.#dropped = 0;
    const place = { node: this.#node, pid: block.worker.process.pid, attempt: block.worker.lastAttempt };
    const { number, isProcess = false } = block.of;
    const by = isProcess ? { job: 0, process: number } : { job: number, process: 0 };
    const value = { ...by, processName: "", place, stderr: block.stderr, text: block.lines.join("\n") };
    session.send({ kind: { $case: "output", value } }, block.bytes);
  }
}
