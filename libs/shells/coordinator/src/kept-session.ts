import { SESSION_WINDOW_BYTES } from "@heddle/kernel";
import type { Goodbye, Session } from "@heddle/port-rpc";
import {
  type EncodedPayload,
  type Failure,
  PayloadAssembler,
  type RunResponseEntry,
  type SpanDone,
} from "@heddle/wire";
import type { KeptWriter } from "./kept-writer.ts";

/** What a run hears of its job. */
export interface KeptRunEars {
  readonly spanDone: (done: SpanDone, values: EncodedPayload) => void;
  readonly itemFailed: (chunk: number, failure: Failure, userError: EncodedPayload | undefined) => void;
  readonly ended: (end: Extract<NonNullable<RunResponseEntry["kind"]>, { $case: "jobEnded" }>["value"]) => void;
  readonly wantArtifact: (hash: string) => void;
  readonly output: (output: Extract<NonNullable<RunResponseEntry["kind"]>, { $case: "output" }>["value"]) => void;
  /** It was refused for what it said. */
  readonly closed: (goodbye: Goodbye | undefined) => void;
}

/**
 * The coordinator's own session as the client of one kept job: what it is sent it has at once. What waits for the disk counts as queued, so that the job is
 * throttled as one whose client reads too slowly.
 */
export class KeptSession implements Session<RunResponseEntry> {
  readonly id = "";
  readonly peer = "the coordinator";
  readonly #ears: KeptRunEars;
  readonly #writer: KeptWriter;
  readonly #assembler = new PayloadAssembler<(payload: EncodedPayload) => void>();
  #isOver = false;

  constructor(ears: KeptRunEars, writer: KeptWriter) {
    this.#ears = ears;
    this.#writer = writer;
  }

  get queuedBytes(): number {
    return this.#writer.queuedBytes;
  }

  send({ kind }: RunResponseEntry): void {
    if (this.#isOver) return;
    switch (kind?.$case) {
      case "spanDone": {
        const done = kind.value;
        if (done.values !== undefined) this.#receive(done.values, (values) => this.#ears.spanDone(done, values));
        return;
      }
      case "part": {
        const completion = this.#assembler.add(kind.value);
        if (completion?.payload !== undefined) completion.tag(completion.payload);
        return;
      }
      case "itemFailed": {
        const { chunk, failure } = kind.value;
        if (failure === undefined) return;
        if (failure.kind?.$case !== "userError") return this.#ears.itemFailed(chunk, failure, undefined);
        return this.#receive(failure.kind.value, (error) => this.#ears.itemFailed(chunk, failure, error));
      }
      case "jobEnded":
        return this.#ears.ended(kind.value);
      case "wantArtifact":
        return this.#ears.wantArtifact(kind.value.hash);
      case "output":
        return this.#ears.output(kind.value);
      default:
        return; // what a client hears that has processes, or wants to know how much there is to run on
    }
  }

  async drained(signal?: AbortSignal): Promise<void> {
    while (!this.#isOver && this.queuedBytes >= SESSION_WINDOW_BYTES) {
      signal?.throwIfAborted();
      await this.#writer.progress();
    }
  }

  /** The job's end is heard all the same. */
  async close(goodbye?: Goodbye): Promise<void> {
    if (!this.#isOver) this.#ears.closed(goodbye);
  }

  /** Nothing is heard any more. */
  end(): void {
    this.#isOver = true;
  }

  #receive(header: NonNullable<SpanDone["values"]>, take: (payload: EncodedPayload) => void): void {
    const payload = this.#assembler.open(header, take);
    if (payload !== undefined) take(payload);
  }
}
