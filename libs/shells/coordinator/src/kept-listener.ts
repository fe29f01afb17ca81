import { SettledSpans } from "@heddle/client";
import { assert, SerializationError } from "@heddle/kernel";
import {
  type EncodedPayload,
  type Failure,
  flowOf,
  type IndexSpan,
  JobOutcome,
  type Span,
  slicePayload,
} from "@heddle/wire";
import type { KeptJob } from "./kept-job.ts";
import type { AnswerFacts } from "./kept-records.ts";
import type { KeptSpace } from "./kept-space.ts";
import type { ClientRecord } from "./ledger.ts";
import { CLIENT_RESULT_BACKLOG_BYTES } from "./limits.ts";
import { fabricError, sendJobEnded } from "./results.ts";

/** What a listener needs. */
export interface KeptListenerOptions {
  readonly space: KeptSpace;
  readonly job: KeptJob;
  readonly client: ClientRecord;
  /** The client's own number for it. */
  readonly number: number;
  /** Items whose answers the client has. */
  readonly settled: readonly IndexSpan[];
  readonly nowMs: () => number;
  /** It has heard all there is. */
  readonly over: (listener: KeptListener) => void;
}

/** A client that listens to a kept job: is told each answer that it has not, those on disk first, no faster than it reads. */
export class KeptListener {
  readonly type = "listener";
  readonly client: ClientRecord;
  readonly number: number;
  readonly job: KeptJob;
  readonly #options: KeptListenerOptions;
  /** Items that it was told of, or has had before. */
  readonly #told = new SettledSpans();
  /** The answer that is next, in the order of the store. */
  #next = 0;
  #isAttached = false;
  #isTelling = false;
  #isOver = false;

  constructor(options: KeptListenerOptions) {
    const { job, client, number } = options;
    this.#options = options;
    this.job = job;
    this.client = client;
    this.number = number;
    for (const { firstIndex, count } of options.settled) this.#told.add(firstIndex, count);
  }

  /** There may be more to tell, or the end. */
  wake(): void {
    if (!this.#isTelling && !this.#isOver) void this.#tell();
  }

  /** An answer is on disk, which is the last of its job so far. Who has heard all others is told from memory. */
  answered(answer: AnswerFacts, bytes: Uint8Array): void {
    if (this.#isTelling || this.#isOver) return; // it comes to that from the disk
    if (this.#isBehind) return this.wake();
    assert(this.job.answers[this.#next] === answer, "who is not being told has been told all others");
    this.#next++;
    if (!this.#send(answer, this.#gapsOf(answer), bytes)) this.#giveUp(`a part of answer ${answer.number}`);
  }

  /** The job is over without having been accepted. */
  refuse(outcome: JobOutcome, error: ReturnType<typeof fabricError>): void {
    if (this.#isOver) return;
    sendJobEnded(this.client, this.number, outcome, error);
    this.#options.over(this);
  }

  /** It listens no more. */
  stop(): void {
    this.#isOver = true;
  }

  get #isBehind(): boolean {
    return this.client.session.queuedBytes >= CLIENT_RESULT_BACKLOG_BYTES;
  }

  async #tell(): Promise<void> {
    const { job, client, space } = this.#options;
    if (job.digest === undefined) return; // nobody knows how many items it has
    this.#isTelling = true;
    if (!this.#isAttached) this.#attach();
    while (!this.#isOver) {
      if (this.#isBehind) {
        await client.session.drained();
        continue;
      }
      const answer = job.answers[this.#next];
      if (answer === undefined) break;
      this.#next++;
      const gaps = this.#gapsOf(answer);
      if (gaps.length === 0) continue;
      const what = `answer ${answer.number} of job ${job.id}`;
      const bytes = await space.read(what, (store) => store.answer(job.id, answer.number));
      if (this.#isOver) break;
      if (bytes === undefined) return this.#giveUp(what);
      if (!this.#send(answer, gaps, bytes)) return this.#giveUp(`a part of ${what}`);
    }
    this.#isTelling = false;
    const { end } = job;
    if (this.#isOver || end === undefined) return;
    sendJobEnded(client, this.number, end.outcome, end.error);
    this.#options.over(this);
  }

  #attach(): void {
    this.#isAttached = true;
    const { items, spec, openedMs, digest = "" } = this.job;
    const { keep, name } = spec.opened;
    const ageMs = Math.max(0, Math.round(this.#options.nowMs() - openedMs));
    const value = { job: this.number, keep, items, name, ageMs, digest };
    this.client.session.send({ kind: { $case: "jobAttached", value } }, 0);
  }

  #giveUp(what: string): void {
    this.#isTelling = false;
    this.refuse(JobOutcome.FAILED, fabricError("internal", `${what} cannot be read from the coordinator's store`));
  }

  /** What of it the client has not, counted from the answer's first item. */
  #gapsOf({ firstIndex, count }: AnswerFacts): Span[] {
    return this.#told.add(firstIndex, count).map((gap) => ({ ...gap, offset: gap.offset - firstIndex }));
  }

  /** False: it is to be cut, and is not what it claims to be, which nobody has looked at before. */
  #send(answer: AnswerFacts, gaps: readonly Span[], bytes: Uint8Array): boolean {
    const { encoding, count, failure } = answer;
    if (failure !== undefined) {
      if (gaps.length > 0) this.#sendFailure(answer, failure, bytes);
      return true;
    }
    const payload = { encoding, count, bytes };
    try {
      for (const gap of gaps) this.#sendValues(answer, gap, gap.count === count ? payload : slicePayload(payload, gap));
      return true;
    } catch (error) {
      if (error instanceof SerializationError) return false;
      throw error;
    }
  }

  #sendValues({ firstIndex }: AnswerFacts, { offset, count }: Span, payload: EncodedPayload): void {
    const outgoing = this.client.outflow.send(flowOf(payload));
    const span = { firstIndex: firstIndex + offset, count };
    const value = { job: this.number, span, values: outgoing.header };
    this.client.session.send({ kind: { $case: "keptSpanDone", value } }, outgoing.inlineBytes);
    outgoing.start();
  }

  #sendFailure({ firstIndex: index, encoding, chunk }: AnswerFacts, failure: Failure, bytes: Uint8Array): void {
    if (failure.kind?.$case !== "userError") {
      const value = { job: this.number, index, failure, chunk };
      this.client.session.send({ kind: { $case: "keptItemFailed", value } }, failure.summary.length);
      return;
    }
    const outgoing = this.client.outflow.send(flowOf({ encoding, count: 1, bytes }));
    const value = {
      job: this.number,
      index,
      failure: { ...failure, kind: { ...failure.kind, value: outgoing.header } },
      chunk,
    };
    const size = outgoing.inlineBytes + failure.summary.length;
    this.client.session.send({ kind: { $case: "keptItemFailed", value } }, size);
    outgoing.start();
  }
}
