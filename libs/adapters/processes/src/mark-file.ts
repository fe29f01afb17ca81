import { randomBytes } from "node:crypto";
import { closeSync, existsSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MARK_SLOTS_MAX, type Mark, type SeenMark } from "@heddle/port-processes";

/** A slot in bytes: f64 time in milliseconds, u32 assignment, u32 offset, u32 1, u32 0, as the machine has them. All zero: no mark. */
const SLOT_BYTES = 24;
const FILE_BYTES = SLOT_BYTES * MARK_SLOTS_MAX;
/** Looks at a file that is being written to before what was seen last is taken as it is. */
const READS_MAX = 4;

/** What is in a slot. */
interface SlotMark extends Mark {
  /** On the clock that all processes of the machine share. */
  readonly atMs: number;
}

/**
 * Where a worker leaves its marks: a nameless file in memory with a slot for each item under way, written over and over. It survives
 * whatever the worker does, and unlike a pipe it never fills up and costs the agent nothing while nobody looks.
 */
export class MarkFile {
  readonly fd: number;
  #isOpen = true;

  /** Throws when there is nowhere to make one. */
  constructor() {
    const folder = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
    const path = join(folder, `heddle-mark-${process.pid}-${randomBytes(8).toString("hex")}`);
    this.fd = openSync(path, "wx+", 0o600);
    unlinkSync(path);
    writeSync(this.fd, new Uint8Array(FILE_BYTES), 0, FILE_BYTES, 0); // its pages are there from now on: a full disk cannot stop a mark
  }

  /** The only mark there is; null when there is none, or more than one: nobody knows then which item did it. */
  read(): Mark | null {
    const [only, ...others] = this.#marks();
    return only === undefined || others.length > 0 ? null : { assignment: only.assignment, offset: only.offset };
  }

  /** The mark written longest ago. */
  oldest(): SeenMark | null {
    if (!this.#isOpen) return null;
    let oldest: SlotMark | undefined;
    for (const mark of this.#marks()) if (oldest === undefined || mark.atMs < oldest.atMs) oldest = mark;
    if (oldest === undefined) return null;
    return { assignment: oldest.assignment, offset: oldest.offset, forMs: Math.max(0, machineMs() - oldest.atMs) };
  }

  close(): void {
    this.#isOpen = false;
    closeSync(this.fd);
  }

  /** A mark that is being written may be seen in halves: what two looks agree about is whole. */
  #marks(): SlotMark[] {
    let before = this.#bytes();
    for (let reads = 1; reads < READS_MAX; reads++) {
      const bytes = this.#bytes();
      if (bytes.equals(before)) break;
      before = bytes;
    }
    const numbers = new Uint32Array(before.buffer);
    const times = new Float64Array(before.buffer);
    const marks: SlotMark[] = [];
    for (let slot = 0; slot < MARK_SLOTS_MAX; slot++) {
      const [assignment = 0, offset = 0, isMarked] = numbers.subarray(slot * 6 + 2, slot * 6 + 5);
      if (isMarked === 1) marks.push({ assignment, offset, atMs: times[slot * 3] ?? 0 });
    }
    return marks;
  }

  #bytes(): Buffer {
    const bytes = Buffer.from(new ArrayBuffer(FILE_BYTES));
    readSync(this.fd, bytes, 0, FILE_BYTES, 0);
    return bytes;
  }
}

/** The worker's end. Writes at once, synchronously. */
export interface MarkWriter {
  /** "I am about to run this item", in the place of the mark that was in the slot. */
  readonly mark: (assignment: number, offset: number, slot: number) => void;
  /** Nothing of the slot is under way any more. */
  readonly unmark: (slot: number) => void;
}

export function markWriter(fd: number): MarkWriter {
  const bytes = new Uint8Array(SLOT_BYTES);
  const time = new Float64Array(bytes.buffer, 0, 1);
  const words = new Uint32Array(bytes.buffer, 8, 4);
  const empty = new Uint8Array(SLOT_BYTES);
  words[2] = 1;
  return {
    mark: (assignment, offset, slot) => {
      time[0] = machineMs();
      words[0] = assignment;
      words[1] = offset;
      writeSync(fd, bytes, 0, SLOT_BYTES, slot * SLOT_BYTES);
    },
    unmark: (slot) => {
      writeSync(fd, empty, 0, SLOT_BYTES, slot * SLOT_BYTES);
    },
  };
}

/** What this process's own time has to be added to: the monotonic clock that the system keeps for all processes. */
const machineStartMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();

function machineMs(): number {
  return machineStartMs + performance.now();
}
