/**
 * Looks at a write-ahead log as SQLite is about to recover it (https://sqlite.org/fileformat2.html#walformat). SQLite takes the log up to
 * its last good transaction and drops the rest without a word. That is right for what a crash left unfinished: one transaction at most, for
 * each is on disk before the next begins. It is wrong for anything before that, which was damaged later.
 */
import { readFileSync } from "node:fs";
import { Damage } from "./damage.ts";

const LOG_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const MAGIC = 0x377f0682;

/** Bytes of an unfinished transaction at the end of the log, which SQLite will drop; 0 when there is none, or no log. Throws Damage. */
export function scanWal(path: string, pageBytes: number): number {
  const log = readIfThere(path);
  if (log.byteLength < LOG_HEADER_BYTES) return log.byteLength;
  return new WalScan(log, pageBytes).tornBytes(path);
}

function readIfThere(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return new Uint8Array(0);
    throw error;
  }
}

class WalScan {
  readonly #view: DataView;
  readonly #frameBytes: number;
  /** Whole frames in the file, of this log and of earlier ones that it has not overwritten yet. */
  readonly #frameCount: number;
  readonly #isLittleEndian: boolean;
  readonly #isHeaderGood: boolean;
  /** Every frame of this log carries these two; those of earlier logs carry others. */
  readonly #salts: readonly [number, number];

  constructor(log: Uint8Array, pageBytes: number) {
    this.#view = new DataView(log.buffer, log.byteOffset, log.byteLength);
    this.#frameBytes = FRAME_HEADER_BYTES + pageBytes;
    this.#frameCount = Math.floor((log.byteLength - LOG_HEADER_BYTES) / this.#frameBytes);
    const magic = this.#view.getUint32(0);
    this.#isLittleEndian = (magic & 1) === 0;
    const sum = this.#sum([0, 0], 0, FRAME_HEADER_BYTES);
    this.#isHeaderGood =
      (magic & ~1) === MAGIC && this.#view.getUint32(8) === pageBytes && this.#isAt(24, sum) && log.byteLength > 0;
    const from = this.#isHeaderGood || this.#frameCount === 0 ? 16 : this.#start(0) + 8;
    this.#salts = [this.#view.getUint32(from), this.#view.getUint32(from + 4)];
  }

  tornBytes(path: string): number {
    let committed = 0;
    let bad = 0;
    while (this.#isHeaderGood && bad < this.#frameCount && this.#isGood(bad)) {
      bad++;
      if (this.#isCommit(bad - 1)) committed = bad;
    }
    if (this.#goesOnAfter(bad)) {
      throw new Damage(`frame ${bad + 1} of ${path} was damaged after it was stored: good ones follow it`);
    }
    let end = committed;
    while (end < this.#frameCount && this.#isOfThisLog(end)) end++;
    const torn = (end - committed) * this.#frameBytes;
    return end < this.#frameCount ? torn : torn + this.#view.byteLength - this.#start(end); // a frame that was not finished
  }

  /** Whether a whole transaction, or part of one, lies behind the one that the frame belongs to. */
  #goesOnAfter(bad: number): boolean {
    let ended = false;
    for (let frame = bad; frame < this.#frameCount; frame++) {
      if (ended && this.#isOfThisLog(frame) && this.#isGood(frame)) return true;
      if (frame === bad || this.#isOfThisLog(frame)) ended ||= this.#isCommit(frame);
    }
    return false;
  }

  #start(frame: number): number {
    return LOG_HEADER_BYTES + frame * this.#frameBytes;
  }

  #isOfThisLog(frame: number): boolean {
    const at = this.#start(frame) + 8;
    return this.#view.getUint32(at) === this.#salts[0] && this.#view.getUint32(at + 4) === this.#salts[1];
  }

  #isCommit(frame: number): boolean {
    return this.#view.getUint32(this.#start(frame) + 4) !== 0;
  }

  /** Whether the frame's checksum goes on from the one before it. */
  #isGood(frame: number): boolean {
    if (!this.#isOfThisLog(frame)) return false;
    const start = this.#start(frame);
    const before = frame === 0 ? 24 : start - this.#frameBytes + 16;
    const seed = [this.#view.getUint32(before), this.#view.getUint32(before + 4)] as const;
    const sum = this.#sum(this.#sum(seed, start, 8), start + FRAME_HEADER_BYTES, this.#frameBytes - FRAME_HEADER_BYTES);
    return this.#isAt(start + 16, sum);
  }

  #isAt(at: number, [first, second]: readonly [number, number]): boolean {
    return this.#view.getUint32(at) === first && this.#view.getUint32(at + 4) === second;
  }

  #sum(seed: readonly [number, number], at: number, length: number): [number, number] {
    let [first, second] = seed;
    for (let word = at; word < at + length; word += 8) {
      first = (first + this.#view.getUint32(word, this.#isLittleEndian) + second) >>> 0;
      second = (second + this.#view.getUint32(word + 4, this.#isLittleEndian) + first) >>> 0;
    }
    return [first, second];
  }
}
