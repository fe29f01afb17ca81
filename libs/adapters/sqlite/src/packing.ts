import type { JobChange } from "@heddle/port-job-store";
import { ROOM_BYTES_FIRST, ROOM_BYTES_MAX } from "./limits.ts";

/** Changes on their way to a thread, and the buffers that go with them. */
export interface Packed {
  readonly changes: readonly JobChange[];
  readonly transfer: readonly ArrayBuffer[];
}

/** Copies all bytes once, to where their thread takes them from: the buffers around them are others' and may be far larger. */
export function packed(changes: readonly JobChange[]): Packed {
  const packing = new Packing();
  return { changes: changes.map((change) => packing.change(change)), transfer: packing.buffers };
}

class Packing {
  readonly buffers: ArrayBuffer[] = [];
  #room = new Uint8Array(0);
  #usedBytes = 0;
  #nextRoomBytes = ROOM_BYTES_FIRST;

  change(change: JobChange): JobChange {
    switch (change.type) {
      case "job-added":
        return { ...change, spec: this.#copied(change.spec) };
      case "code-added":
        return { ...change, bytes: this.#copied(change.bytes) };
      case "chunk-added":
        return { ...change, about: this.#copied(change.about), input: this.#copied(change.input) };
      case "job-noted":
        return { ...change, note: this.#copied(change.note) };
      case "answer-added":
        return { ...change, about: this.#copied(change.about), bytes: this.#copied(change.bytes) };
      case "history-added":
        return { ...change, entry: this.#copied(change.entry) };
      case "inputs-dropped":
      case "job-dropped":
        return change;
    }
  }

  #copied(bytes: Uint8Array): Uint8Array {
    if (bytes.byteLength > ROOM_BYTES_MAX / 4) return this.#kept(new Uint8Array(bytes));
    if (this.#usedBytes + bytes.byteLength > this.#room.byteLength) {
      this.#room = this.#kept(new Uint8Array(Math.max(this.#nextRoomBytes, bytes.byteLength)));
      this.#usedBytes = 0;
      this.#nextRoomBytes = Math.min(4 * this.#nextRoomBytes, ROOM_BYTES_MAX);
    }
    const start = this.#usedBytes;
    this.#usedBytes += bytes.byteLength;
    this.#room.set(bytes, start);
    return this.#room.subarray(start, this.#usedBytes);
  }

  #kept(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    this.buffers.push(bytes.buffer);
    return bytes;
  }
}
