import { Fifo } from "@heddle/kernel";
import type { SpillFile } from "@heddle/port-spill";
import { Extents } from "./extents.ts";
import {
  JOB_SPILL_BYTES_MAX,
  JOB_SPILL_RESULTS_MAX,
  SPILL_WRITE_BYTES_TARGET,
  SPILL_WRITING_BYTES_MAX,
} from "./limits.ts";
import type { SpillSpace } from "./spill-space.ts";

/** Consecutive bytes of a result. */
interface Part {
  readonly position: number;
  readonly size: number;
  /** Until they are on disk. */
  data: Uint8Array | undefined;
}

/** A result that is on disk, or on its way there: what is not there yet is in memory. */
export interface SpilledBytes {
  /** Takes the next piece; `size` bytes come in all. */
  push(data: Uint8Array): void;
  /** Reads them from the front. Throws StorageFailedError. */
  read(): AsyncGenerator<Uint8Array, void>;
  /** They are wanted no longer. Once or more often. */
  release(): void;
}

/** Results of one job that its client has no time for, in a file of their own. */
export class JobSpill implements Disposable {
  readonly #space: SpillSpace;
  readonly #progressed: () => void;
  readonly #extents = new Extents();
  readonly #unwritten = new Fifo<Part>();
  #file: SpillFile | undefined;
  /** How long the file has become. */
  #length = 0;
  #results = 0;
  #unwrittenBytes = 0;
  #isWriting = false;
  /** A write has failed: what is in memory stays there until all is read. */
  #isBroken = false;
  #isOver = false;

  /** `progressed`: there may be more room than there was. */
  constructor(space: SpillSpace, progressed: () => void) {
    this.#space = space;
    this.#progressed = progressed;
  }

  /** Whether a result of so many bytes may come. */
  hasRoomFor(size: number): boolean {
    const more = Math.max(0, this.#extents.end + size - this.#length);
    const isFull = this.#extents.used + size > JOB_SPILL_BYTES_MAX || this.#results >= JOB_SPILL_RESULTS_MAX;
    return !this.#isBroken && !isFull && this.#space.has(more, this.#length === 0);
  }

  /** What waits for the disk, as a part of what may. */
  get lateness(): number {
    return this.#unwrittenBytes / SPILL_WRITING_BYTES_MAX;
  }

  /** A result of `size` >= 1 bytes comes. */
  take(size: number): SpilledBytes {
    const position = this.#extents.take(size);
    this.#grow();
    this.#count(1);
    this.#space.total++;
    const parts: Part[] = [];
    let [at, isReleased] = [position, false];
    const push = (data: Uint8Array): void => {
      if (isReleased || this.#isOver || data.byteLength === 0) return;
      const part: Part = { position: at, size: data.byteLength, data };
      at += data.byteLength;
      parts.push(part);
      this.#put(part);
    };
    const release = (): void => {
      if (isReleased) return;
      isReleased = true;
      for (const part of parts) this.#written(part);
      if (this.#isOver) return;
      this.#extents.give(position, size);
      this.#count(-1);
      if (this.#extents.used === 0) this.#reset();
      this.#progressed();
    };
    return { push, read: () => this.#read(parts), release };
  }

  /** Nothing of it is wanted any more. */
  [Symbol.dispose](): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#dropUnwritten();
    this.#count(-this.#results);
    this.#reset();
  }

  async *#read(parts: readonly Part[]): AsyncGenerator<Uint8Array, void> {
    for (const { position, size, data } of parts) {
      if (this.#isOver) return;
      const bytes = data ?? (await this.#file?.read(position, size));
      if (bytes === undefined) return;
      yield bytes;
    }
  }

  #put(part: Part): void {
    this.#unwritten.push(part);
    this.#wait(part.size);
    if (this.#isWriting || this.#isBroken || this.#isOver) return;
    this.#isWriting = true;
    void this.#write();
  }

  async #write(): Promise<void> {
    while (!this.#isOver && !this.#isBroken && this.#hasUnwritten()) {
      const file = await this.#opened();
      if (file === undefined || !this.#hasUnwritten()) continue;
      const run = this.#nextRun(); // nothing comes between this and the write: what was read meanwhile is not written
      try {
        const pieces = run.flatMap(({ data }) => data ?? []);
        await file.write(run[0]?.position ?? 0, pieces);
        for (const part of run) this.#written(part);
        this.#space.recovered();
      } catch (error) {
        for (const part of run.toReversed()) this.#unwritten.unshift(part);
        if (file === this.#file) this.#break(error);
      }
      this.#progressed();
    }
    this.#isWriting = false;
    if (this.#isOver) this.#dropUnwritten();
  }

  /** Whether something is wanted that is not on disk. What is not wanted any more is dropped. */
  #hasUnwritten(): boolean {
    for (let part = this.#unwritten.peek(); part !== undefined; part = this.#unwritten.peek()) {
      if (part.data !== undefined) return true;
      this.#unwritten.shift();
    }
    return false;
  }

  /** What is wanted still, and stands in one piece in the file. */
  #nextRun(): Part[] {
    const run: Part[] = [];
    let [bytes, end] = [0, -1];
    for (let part = this.#unwritten.peek(); part !== undefined; part = this.#unwritten.peek()) {
      const isWanted = part.data !== undefined;
      if (isWanted && run.length > 0 && (part.position !== end || bytes >= SPILL_WRITE_BYTES_TARGET)) break;
      this.#unwritten.shift();
      if (!isWanted) continue;
      run.push(part);
      bytes += part.size;
      end = part.position + part.size;
    }
    return run;
  }

  #dropUnwritten(): void {
    for (const part of this.#unwritten) this.#written(part);
    this.#unwritten.clear();
  }

  #written(part: Part): void {
    if (part.data === undefined) return;
    part.data = undefined;
    this.#wait(-part.size);
  }

  #break(error: unknown): void {
    if (this.#extents.used === 0 || this.#isOver) return;
    this.#isBroken = true;
    this.#space.failed(error);
  }

  /** The file, made where there is none; undefined when it cannot be. Only the writer makes one: what is read was written. */
  async #opened(): Promise<SpillFile | undefined> {
    if (this.#file !== undefined) return this.#file;
    try {
      const file = await this.#space.open();
      if (this.#isOver) void file.close();
      else this.#file = file;
      return file;
    } catch (error) {
      this.#break(error);
      this.#progressed();
      return undefined;
    }
  }

  #wait(more: number): void {
    this.#unwrittenBytes += more;
    this.#space.use.unwrittenBytes += more;
  }

  #count(more: number): void {
    this.#results += more;
    this.#space.use.results += more;
  }

  #grow(): void {
    const more = this.#extents.end - this.#length;
    if (more <= 0) return;
    if (this.#length === 0) this.#space.use.files++;
    this.#space.use.bytes += more;
    this.#length += more;
  }

  /** Gives the disk back. */
  #reset(): void {
    void this.#file?.close();
    this.#file = undefined;
    if (this.#length > 0) this.#space.use.files--;
    this.#space.use.bytes -= this.#length;
    this.#length = 0;
    if (this.#isBroken) this.#space.recovered();
    this.#isBroken = false;
  }
}
