import { ConflictError, type JobId, ProtocolError, UnavailableError } from "@heddle/kernel";
import {
  type EncodedPayload,
  type Failure,
  type IndexSpan,
  type JobAttached,
  type JobEnded,
  JobOutcome,
  type KeptItemFailed,
  slicePayload,
} from "@heddle/wire";
import type { ItemCounts } from "./async-result.ts";
import { failureError } from "./failure.ts";
import { endError, type OnItemError } from "./job-run.ts";
import { KEPT_SETTLED_SPANS_MAX } from "./limits.ts";
import type { ResultSink } from "./result-sinks.ts";
import { SettledSpans } from "./settled-spans.ts";

/** Where the results of a kept job go. */
export interface KeptResults {
  readonly sink: ResultSink;
  readonly onItemError: OnItemError;
}

/** What whoever listens to a kept job has to know of it. */
export interface KeptJobFacts {
  /** What its results are: "item", "list", "settled", or the name of a typed array. */
  readonly shape: string;
  readonly items: number;
  /** What its items write counts once. */
  readonly isOnce: boolean;
}

/** How a kept job is listened to. */
export interface KeptListenerParts {
  /** Asked once, when the coordinator has said what the job is. Throws StateError for results that this build does not know. */
  readonly results: (job: KeptJobFacts) => KeptResults;
  /** This client has submitted the job: that its coordinator does not know it means that it has lost it. */
  readonly wasAccepted: boolean;
  /** Of the job that is meant, where this client has submitted it; else the first that is heard of. */
  readonly digest: string | undefined;
  /** Something of the counts changed. */
  readonly changed: () => void;
  /** Names the files in a worker's stack as they are called here. */
  readonly localStack: (stack: string) => string;
}

/** One kept job as somebody sees it who waits for its results: takes each answer once, over all sessions, and settles once. */
export class KeptListener {
  /** The number on the session's stream; set when it attaches. */
  number = 0;
  readonly id: JobId;
  /** Resolves when the coordinator has said that it knows the job. */
  readonly attached: Promise<void>;
  /** Resolves when every item has its result; rejects with the error of the lowest index seen, or why the job ended. */
  readonly outcome: Promise<void>;
  /** For people; "" before it is known. */
  name = "";
  readonly #parts: KeptListenerParts;
  readonly #attached = Promise.withResolvers<void>();
  readonly #outcome = Promise.withResolvers<void>();
  /** Items that have their answer. */
  readonly #answered = new SettledSpans();
  #results: KeptResults | undefined;
  #items: number | undefined;
  #digest: string;
  #done = 0;
  #failed = 0;
  #settled = false;
  #hasEnded = false;
  #lowest: { readonly index: number; readonly error: unknown } | undefined;

  constructor(id: JobId, parts: KeptListenerParts) {
    this.id = id;
    this.#parts = parts;
    this.#digest = parts.digest ?? "";
    this.attached = this.#attached.promise;
    this.outcome = this.#outcome.promise;
    this.attached.catch(() => undefined); // whoever wants them asks for them
    this.outcome.catch(() => undefined);
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** The coordinator has said its last word. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  get counts(): ItemCounts {
    return { done: this.#done, failed: this.#failed, ...(this.#items === undefined ? {} : { total: this.#items }) };
  }

  /** What need not be sent again. Of very many spans the largest: what comes again is dropped. */
  get answered(): readonly IndexSpan[] {
    return this.#answered.largest(KEPT_SETTLED_SPANS_MAX).map(({ offset, count }) => ({ firstIndex: offset, count }));
  }

  /** The coordinator knows the job; again in each session. An id whose job was cancelled meanwhile may have another one, of which nothing is taken. */
  attach({ keep, items, name, digest }: JobAttached): void {
    if (this.#digest !== "" && digest !== "" && digest !== this.#digest)
      this.fail(new ConflictError(`job ${this.id} was cancelled, and the id has another job now`));
    else if (this.#items !== undefined && this.#items !== items)
      throw new ProtocolError(`job ${this.id} had ${this.#items} items, and now has ${items}`);
    if (digest !== "") this.#digest = digest;
    this.#items = items;
    this.name = name;
    this.#results ??= this.#parts.results({ shape: keep?.shape ?? "", items, isOnce: keep?.effectsOnce ?? false });
    this.#attached.resolve();
    this.#parts.changed();
  }

  /** Values of consecutive items. What fits no item is the coordinator's fault: ProtocolError. */
  spanDone({ firstIndex, count }: IndexSpan, values: EncodedPayload): void {
    const { sink } = this.#checked(firstIndex, count);
    if (values.count !== count)
      throw new ProtocolError(`job ${this.id}: ${values.count} values came for ${count} items`);
    for (const gap of this.#answered.add(firstIndex, count)) {
      const isWhole = gap.count === count;
      const span = { offset: gap.offset - firstIndex, count: gap.count };
      sink.values(gap.offset, gap.count, isWhole ? values : slicePayload(values, span));
      this.#done += gap.count;
      if (this.#settled) return; // by what the sink called of the user
    }
    this.#parts.changed();
  }

  /** An item failed for good. */
  itemFailed({ index, chunk }: KeptItemFailed, failure: Failure, userError: Uint8Array | undefined): void {
    const { sink, onItemError } = this.#checked(index, 1);
    if (this.#answered.add(index, 1).length === 0) return; // it came in a session before
    this.#failed++;
    const error = (): unknown =>
      failureError(failure, userError, { jobId: this.id, chunk, index, localStack: this.#parts.localStack });
    if (onItemError === "keep") sink.failed(index, error());
    else if (this.#lowest === undefined || index < this.#lowest.index) this.#lowest = { index, error: error() };
    this.#parts.changed();
  }

  /** The coordinator's last word. */
  ended(end: JobEnded): void {
    this.#hasEnded = true;
    const isWhole = this.#items !== undefined && this.#done + this.#failed === this.#items;
    if (end.outcome === JobOutcome.DONE && isWhole) this.#settle(() => this.#outcome.resolve());
    else if (this.#lowest !== undefined) this.fail(this.#lowest.error);
    else if (end.error?.code === "not-found" && (this.#parts.wasAccepted || this.#items !== undefined))
      this.fail(new UnavailableError(`job ${this.id} was kept, and its coordinator does not know it any more`));
    else this.fail(endError(this.id, end.outcome, end.error));
  }

  /** Settles it from this side. Answers that still come are ignored. */
  fail(error: unknown): void {
    this.#settle(() => {
      this.#attached.reject(error);
      this.#outcome.reject(error);
    });
  }

  #checked(index: number, count: number): KeptResults {
    const results = this.#results;
    if (results === undefined || this.#items === undefined)
      throw new ProtocolError(`job ${this.id}: an answer came before the coordinator said what the job is`);
    if (count < 1 || index + count > this.#items)
      throw new ProtocolError(`job ${this.id}: an answer came for items ${index}+${count} of ${this.#items}`);
    return results;
  }

  #settle(run: () => void): void {
    if (this.#settled) return;
    this.#settled = true;
    run();
  }
}
