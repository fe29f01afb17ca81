import { SESSION_WINDOW_BYTES } from "@heddle/kernel";
import { type Goodbye, type Session, Waiters } from "@heddle/port-rpc";
import {
  type EncodedPayload,
  type Failure,
  PayloadAssembler,
  type RunResponseEntry,
  type SpanDone,
} from "@heddle/wire";

type ValueOf<C extends NonNullable<RunResponseEntry["kind"]>["$case"]> = Extract<
  NonNullable<RunResponseEntry["kind"]>,
  { $case: C }
>["value"];

/** What a run hears of its job. */
export interface KeptRunEars {
  readonly spanDone: (done: SpanDone, values: EncodedPayload) => void;
  readonly itemFailed: (chunk: number, failure: Failure, userError: EncodedPayload | undefined) => void;
  readonly ended: (end: ValueOf<"jobEnded">) => void;
  readonly output: (output: ValueOf<"output">) => void;
}

/** What is at the other end of such a session. */
export interface KeptSessionEnd {
  /** Whoever runs the job of this number; undefined when nobody does any more. */
  readonly earsOf: (job: number) => KeptRunEars | undefined;
  readonly wantArtifact: (hash: string) => void;
  /** It was refused for what it said. */
  readonly closed: (goodbye: Goodbye | undefined) => void;
  /** Bytes of answers that wait for the disk. */
  readonly queuedBytes: () => number;
}

/**
 * The coordinator's own session as the client of kept jobs: what it is sent it has at once. What waits for the disk counts as queued, so that its jobs are
 * throttled as those of a client that reads too slowly.
 */
export class KeptSession implements Session<RunResponseEntry> {
  readonly id = "";
  readonly peer = "the coordinator";
  readonly #end: KeptSessionEnd;
  readonly #progress = new Waiters();
  readonly #assembler = new PayloadAssembler<(payload: EncodedPayload) => void>();
  #isOver = false;

  constructor(end: KeptSessionEnd) {
    this.#end = end;
  }

  get queuedBytes(): number {
    return this.#end.queuedBytes();
  }

  send({ kind }: RunResponseEntry): void {
    if (this.#isOver) return;
    switch (kind?.$case) {
      case "spanDone": {
        const done = kind.value;
        if (done.values !== undefined)
          this.#receive(done.values, (values) => this.#end.earsOf(done.job)?.spanDone(done, values));
        return;
      }
      case "part": {
        const completion = this.#assembler.add(kind.value);
        if (completion?.payload !== undefined) completion.tag(completion.payload);
        return;
      }
      case "itemFailed": {
        const { job, chunk, failure } = kind.value;
        if (failure === undefined) return;
        const hear = (error: EncodedPayload | undefined): void =>
          this.#end.earsOf(job)?.itemFailed(chunk, failure, error);
        return failure.kind?.$case === "userError" ? this.#receive(failure.kind.value, hear) : hear(undefined);
      }
      case "jobEnded":
        return this.#end.earsOf(kind.value.job)?.ended(kind.value);
      case "wantArtifact":
        return this.#end.wantArtifact(kind.value.hash);
      case "output":
        return this.#end.earsOf(kind.value.job)?.output(kind.value);
      default:
        return; // what a client hears that has processes, or wants to know how much there is to run on
    }
  }

  async drained(signal?: AbortSignal): Promise<void> {
    while (!this.#isOver && this.queuedBytes >= SESSION_WINDOW_BYTES) await this.#progress.wait(signal);
  }

  /** The ends of its jobs are heard all the same. */
  async close(goodbye?: Goodbye): Promise<void> {
    if (!this.#isOver) this.#end.closed(goodbye);
  }

  /** Less may be queued than was. */
  progressed(): void {
    this.#progress.wake();
  }

  /** Nothing is heard any more. */
  end(): void {
    this.#isOver = true;
    this.#progress.wake();
  }

  #receive(header: NonNullable<SpanDone["values"]>, take: (payload: EncodedPayload) => void): void {
    const payload = this.#assembler.open(header, take);
    if (payload !== undefined) take(payload);
  }
}
