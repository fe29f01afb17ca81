import { FRAME_HEADER_BYTES, putUnsealed } from "./frames.ts";
import { ROW_BYTES_TARGET } from "./limits.ts";
import type { Row } from "./messages.ts";

/** Room of the first block, in bytes: a few small records. */
const FIRST_BLOCK_BYTES = 512;

/** Frames that will lie in one row. */
interface Block {
  frames: Uint8Array<ArrayBuffer>;
  usedBytes: number;
  count: number;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Appends that are stored together. Their records are copied once, to where their thread takes them from. */
export class Batch {
  /** Of all records. */
  bytes = 0;
  readonly #blocks: Block[] = [];
  readonly #waiters: Waiter[] = [];

  get isEmpty(): boolean {
    return this.#waiters.length === 0;
  }

  /** Copies the records; settles as the batch does. `bytes` is what they have together. */
  add(records: readonly Uint8Array[], bytes: number): Promise<void> {
    for (const record of records) {
      const block = this.#blockFor(FRAME_HEADER_BYTES + record.byteLength);
      block.usedBytes = putUnsealed(block.frames, block.usedBytes, record);
      block.count++;
    }
    this.bytes += bytes;
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** The records, numbered from `first`. */
  rows(first: number): Row[] {
    let next = first;
    return this.#blocks.map(({ frames, usedBytes, count }) => {
      next += count;
      return { first: next - count, last: next - 1, frames: frames.subarray(0, usedBytes) };
    });
  }

  /** Tells all who wait, in order. */
  settle(error: unknown): void {
    for (const { resolve, reject } of this.#waiters) {
      if (error === undefined) resolve();
      else reject(error);
    }
  }

  /** The last block, with room for so many bytes. */
  #blockFor(bytes: number): Block {
    const last = this.#blocks.at(-1);
    if (last === undefined || last.usedBytes + bytes > ROW_BYTES_TARGET) {
      const block = { frames: room(Math.max(bytes, FIRST_BLOCK_BYTES)), usedBytes: 0, count: 0 };
      this.#blocks.push(block);
      return block;
    }
    if (last.usedBytes + bytes > last.frames.byteLength) {
      const larger = room(Math.min(ROW_BYTES_TARGET, Math.max(4 * last.frames.byteLength, last.usedBytes + bytes)));
      larger.set(last.frames.subarray(0, last.usedBytes));
      last.frames = larger;
    }
    return last;
  }
}

function room(bytes: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(bytes));
}
