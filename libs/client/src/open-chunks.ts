import {
  CHUNK_SETTLED_SPANS_MAX,
  FOLD_BLOCK_ITEMS,
  foldedCount,
  type JobId,
  ProtocolError,
  UnavailableError,
} from "@heddle/kernel";
import { type EncodedPayload, type Span, slicePayload } from "@heddle/wire";
import { checkFolded } from "./fold-sink.ts";
import { SettledSpans } from "./settled-spans.ts";

/** Consecutive inputs made ready to travel. */
export interface InputChunk {
  /** Its number in the job, from 0 in each session. */
  readonly chunk: number;
  /** Index of the first item in the call's inputs. */
  readonly firstIndex: number;
  readonly grain: number;
  readonly payload: EncodedPayload;
}

/** One that is offered again. */
export interface RepeatedChunk extends InputChunk {
  /** Items that need no run. */
  readonly settled: readonly Span[];
}

/** A chunk that was offered and is not answered in full. */
interface OpenChunk {
  readonly firstIndex: number;
  readonly grain: number;
  /** Kept until all of it is answered: it may have to be offered again, in another session. */
  readonly payload: EncodedPayload;
  /** Items without an answer. */
  open: number;
  /** Those with one; undefined for none. */
  settled: SettledSpans | undefined;
  /** The coordinator does not know of all that is settled: that comes again, and is dropped. */
  isRepeated: boolean;
}

/** Values of some items of the call. */
export interface ItemValues {
  readonly index: number;
  readonly count: number;
  readonly values: EncodedPayload;
}

/** What an answer brought. */
export interface Answer {
  /** Items that ran for it. */
  readonly count: number;
  /** Values of those that had no answer before. */
  readonly news: readonly ItemValues[];
}

/** What comes for items: a value for each; values folded over aligned blocks; or nothing, or a value, for one that has none. */
export type ValuesKind = "plain" | "folded" | "none";

/**
 * The chunks of one job that are not answered in full, with their inputs. CLIENT_CHUNKS_MAX and CLIENT_INPUT_BYTES_MAX bound those of all jobs of a connection, as
 * they bound what the coordinator holds.
 */
export class OpenChunks {
  /** Their input bytes. */
  bytes = 0;
  readonly #id: JobId;
  readonly #kind: ValuesKind;
  /** By number, ascending. */
  readonly #chunks = new Map<number, OpenChunk>();
  /** Chunks offered in this session, and to be offered again in it. */
  #count = 0;
  /** Number of the next chunk to be offered again. */
  #again = 0;
  #againUntil = 0;

  constructor(id: JobId, kind: ValuesKind) {
    this.#id = id;
    this.#kind = kind;
  }

  get size(): number {
    return this.#chunks.size;
  }

  /** All chunks of this session. */
  get count(): number {
    return this.#count;
  }

  /** A new one. */
  add({ firstIndex, grain, payload }: Omit<InputChunk, "chunk">): InputChunk {
    const chunk = this.#count++;
    const open = payload.count;
    this.#chunks.set(chunk, { firstIndex, grain, payload, open, settled: undefined, isRepeated: false });
    this.bytes += payload.bytes.byteLength;
    return { chunk, firstIndex, grain, payload };
  }

  /** Values came for items of a chunk. What fits no open chunk is the coordinator's fault: ProtocolError. */
  values(number: number, span: Span | undefined, values: EncodedPayload): Answer {
    const chunk = this.#chunk(number);
    const { offset, count } = span ?? { offset: 0, count: chunk.payload.count };
    const all = { index: chunk.firstIndex + offset, count, values };
    const isMisfit = count < 1 || offset + count > chunk.payload.count;
    if (isMisfit || (this.#kind === "plain" && values.count !== count)) throw this.#misfit(number, offset, all);
    if (this.#kind === "folded") checkFolded(all.index, count, values.count);
    const gaps = this.#settle(number, chunk, offset, count);
    if (gaps[0]?.count === count) return { count, news: [all] };
    if (!chunk.isRepeated) throw this.#misfit(number, offset, all);
    return { count, news: gaps.map((gap) => this.#part(all, gap.offset - offset, gap.count)) };
  }

  /** Index of an item that has failed; undefined when it has an answer already. Throws as `values`. */
  failed(number: number, offset: number): number | undefined {
    const chunk = this.#chunk(number);
    const isThere = offset >= 0 && offset < chunk.payload.count;
    if (isThere && this.#settle(number, chunk, offset, 1).length === 1) return chunk.firstIndex + offset;
    if (isThere && chunk.isRepeated) return undefined;
    throw new ProtocolError(`job ${this.#id}: item ${offset} of chunk ${number} failed, which is not open`);
  }

  /** The session is over: all of them are to be offered again, numbered from 0. */
  restart(): void {
    const chunks = [...this.#chunks.values()];
    this.#chunks.clear();
    for (const [number, chunk] of chunks.entries()) this.#chunks.set(number, chunk);
    this.#count = chunks.length;
    this.#again = 0;
    this.#againUntil = chunks.length;
  }

  /** The next chunk that is to be offered again; undefined when all are. `tellsSettled`: the coordinator knows what settled items are. */
  next(tellsSettled: boolean): RepeatedChunk | undefined {
    if (this.#again === this.#againUntil) return undefined;
    const number = this.#again++;
    const chunk = this.#chunk(number);
    const { firstIndex, grain, payload } = chunk;
    const settled = tellsSettled ? (chunk.settled?.largest(CHUNK_SETTLED_SPANS_MAX) ?? []) : [];
    const told = settled.reduce((sum, { count }) => sum + count, 0);
    chunk.isRepeated = told < payload.count - chunk.open;
    return { chunk: number, firstIndex, grain, payload, settled };
  }

  /** Chunks with an item that has no answer before `index`. They are the first ones. */
  before(index: number): number {
    let count = 0;
    for (const { firstIndex, settled } of this.#chunks.values()) {
      if (firstIndex + (settled?.firstGap ?? 0) >= index) break;
      count++;
    }
    return count;
  }

  clear(): void {
    this.#chunks.clear();
    this.bytes = 0;
    this.#again = this.#againUntil = 0;
  }

  #chunk(number: number): OpenChunk {
    const chunk = this.#chunks.get(number);
    if (chunk === undefined)
      throw new ProtocolError(`job ${this.#id}: an answer came for chunk ${number}, which is not open`);
    return chunk;
  }

  /** Items have their answer: those that had none before. */
  #settle(number: number, chunk: OpenChunk, offset: number, count: number): readonly Span[] {
    const isWhole = chunk.settled === undefined && count === chunk.payload.count;
    if (!isWhole) chunk.settled ??= new SettledSpans();
    const gaps = chunk.settled?.add(offset, count) ?? [{ offset, count }];
    for (const gap of gaps) chunk.open -= gap.count;
    if (chunk.open === 0) {
      this.#chunks.delete(number);
      this.bytes -= chunk.payload.bytes.byteLength;
    }
    return gaps;
  }

  #misfit(number: number, offset: number, { count, values }: ItemValues): ProtocolError {
    const words = `${values.count} values came for items ${offset}+${count} of chunk ${number}`;
    return new ProtocolError(`job ${this.#id}: ${words}`);
  }

  /** The values of some of the items. A block that was folded as one cannot be cut: UnavailableError. */
  #part({ index, count, values }: ItemValues, offset: number, length: number): ItemValues {
    const from = this.#valuesBefore(index, count, offset);
    const span = { offset: from, count: this.#valuesBefore(index, count, offset + length) - from };
    return { index: index + offset, count: length, values: slicePayload(values, span) };
  }

  /** How many values stand for the first `items` of `count`. */
  #valuesBefore(index: number, count: number, items: number): number {
    if (this.#kind !== "folded") return items;
    const block = Math.floor((index + items) / FOLD_BLOCK_ITEMS) * FOLD_BLOCK_ITEMS;
    const isInside = block < index + items && block >= index && block + FOLD_BLOCK_ITEMS <= index + count;
    if (isInside)
      throw new UnavailableError(
        `job ${this.#id}: after the loss of its coordinator items were folded again whose results were taken already`,
      );
    return foldedCount(index, items);
  }
}
