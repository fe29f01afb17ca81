import { HeddleError } from "@heddle/kernel";
import { PIECE_BYTES_MAX } from "@heddle/port-job-store";
import {
  type EncodedPayload,
  Encoding,
  type FabricError,
  type Failure,
  type IndexSpan,
  type SpanDone,
  slicePayload,
} from "@heddle/wire";
import type { KeptChunkRecord, KeptJob } from "./kept-job.ts";
import { type AnswerFacts, answerBytes } from "./kept-records.ts";
import { roomRefusal } from "./kept-refusals.ts";
import type { KeptSpace } from "./kept-space.ts";
import type { KeptWriter } from "./kept-writer.ts";
import { fabricError } from "./results.ts";

/** What the answers of a run need. */
export interface KeptAnswersOptions {
  readonly space: KeptSpace;
  readonly job: KeptJob;
  readonly writer: KeptWriter;
  /** One is on disk. */
  readonly answered: (job: KeptJob, answer: AnswerFacts, bytes: Uint8Array) => void;
  /** One cannot be kept: the job cannot go on. */
  readonly fail: (error: FabricError) => void;
}

/** Brings the answers of a running kept job to the disk: of each item the first, in pieces that the store takes. */
export class KeptAnswers {
  readonly #options: KeptAnswersOptions;
  /** Number of the next one in the store. */
  #next: number;

  constructor(options: KeptAnswersOptions) {
    this.#options = options;
    this.#next = (options.job.answers.at(-1)?.number ?? -1) + 1;
  }

  /** Values of some items of a chunk. */
  spanDone(chunk: KeptChunkRecord, { span }: SpanDone, values: EncodedPayload): void {
    const { job, fail } = this.#options;
    const { offset, count } = span ?? { offset: 0, count: chunk.count };
    const gaps = job.settle(chunk, offset, count);
    try {
      for (const gap of gaps) {
        const at = { offset: gap.offset - offset, count: gap.count };
        this.#addValues(chunk.firstIndex + gap.offset, gap.count === count ? values : slicePayload(values, at));
      }
    } catch (error) {
      if (!(error instanceof HeddleError)) throw error;
      fail(fabricError(error.code, `results that came cannot be cut into pieces: ${error.message}`));
    }
  }

  /** An item of a chunk failed for good. */
  itemFailed(chunk: KeptChunkRecord, { offset = 0, ...failure }: Failure, userError: EncodedPayload | undefined): void {
    const { job } = this.#options;
    if (job.settle(chunk, offset, 1).length === 0) return;
    const bytes = userError?.bytes ?? new Uint8Array(0);
    const kind = userError === undefined ? failure.kind : ({ $case: "userError", value: bare(userError) } as const);
    const about = { firstIndex: chunk.firstIndex + offset, count: 1, encoding: userError?.encoding ?? 0 };
    const number = job.chunkNumberOf(chunk.firstIndex);
    this.#add({ ...about, failure: { ...failure, offset: undefined, kind }, chunk: number }, bytes);
  }

  /** An item of a chunk that failed has come to this before, as the manager knows it. */
  itemCounts(chunk: KeptChunkRecord, offset: number, outcome: Uint8Array): void {
    if (this.#options.job.settle(chunk, offset, 1).length === 0) return;
    this.#addValues(chunk.firstIndex + offset, { encoding: Encoding.MSGPACK, count: 1, bytes: outcome });
  }

  /** A value alone always fits. */
  #addValues(firstIndex: number, values: EncodedPayload): void {
    const { count, bytes, encoding } = values;
    if (bytes.byteLength <= PIECE_BYTES_MAX || count < 2)
      return this.#add({ firstIndex, count, encoding, failure: undefined, chunk: 0 }, bytes);
    const half = count >> 1;
    this.#addValues(firstIndex, slicePayload(values, { offset: 0, count: half }));
    this.#addValues(firstIndex + half, slicePayload(values, { offset: half, count: count - half }));
  }

  #add(facts: IndexSpan & Omit<AnswerFacts, "number" | "size">, bytes: Uint8Array): void {
    const { space, job, writer, answered, fail } = this.#options;
    const size = bytes.byteLength;
    const noRoom = roomRefusal(space, job.share, size);
    if (noRoom !== undefined) return fail(noRoom);
    const number = this.#next++;
    job.answerBytes += size;
    const change = { type: "answer-added", job: job.id, answer: number, about: answerBytes(facts), bytes } as const;
    writer.push(change, size, () => {
      const answer = { ...facts, number, size };
      job.answers.push(answer);
      answered(job, answer, bytes);
    });
  }
}

function bare({ encoding, count, bytes }: EncodedPayload) {
  return { encoding, count, size: bytes.byteLength, data: new Uint8Array(0), partStream: 0 };
}
