import { randomBytes } from "node:crypto";
import { closeSync, existsSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Mark } from "@heddle/port-processes";

/** A mark in bytes: u32 assignment, u32 offset, u32 1, little-endian. All zero: no mark. */
const MARK_BYTES = 12;

/**
 * Where a worker leaves its mark: twelve bytes of a nameless file in memory, written over and over. It survives whatever the
 * worker does, and unlike a pipe it never fills up, costs the agent nothing while the worker lives and keeps the last one only.
 */
export class MarkFile {
  readonly fd: number;

  /** Throws when there is nowhere to make one. */
  constructor() {
    const folder = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
    const path = join(folder, `heddle-mark-${process.pid}-${randomBytes(8).toString("hex")}`);
    this.fd = openSync(path, "wx+", 0o600);
    unlinkSync(path);
    writeSync(this.fd, new Uint8Array(MARK_BYTES), 0, MARK_BYTES, 0); // its page is there from now on: a full disk cannot stop a mark
  }

  /** The last mark written, or null. */
  read(): Mark | null {
    const bytes = Buffer.alloc(MARK_BYTES);
    const length = readSync(this.fd, bytes, 0, MARK_BYTES, 0);
    if (length < MARK_BYTES || bytes.readUInt32LE(8) !== 1) return null;
    return { assignment: bytes.readUInt32LE(0), offset: bytes.readUInt32LE(4) };
  }

  close(): void {
    closeSync(this.fd);
  }
}

/** The worker's end: a function that writes the mark, synchronously. */
export function markWriter(fd: number): (assignment: number, offset: number) => void {
  const words = new Uint32Array([0, 0, 1]); // every platform that Node runs on is little-endian
  const bytes = new Uint8Array(words.buffer);
  return (assignment, offset) => {
    words[0] = assignment;
    words[1] = offset;
    writeSync(fd, bytes, 0, MARK_BYTES, 0);
  };
}
