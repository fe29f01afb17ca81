import { LimitError, PAYLOAD_BYTES_MAX } from "@heddle/kernel";
import { type EncodedPayload, Encoding, encodeValue } from "@heddle/wire";
import { OUTCOME_BYTES_MAX } from "./limits.ts";
import type { Results } from "./results.ts";
import type { LoopResults } from "./tight-loop.ts";

/** Values one by one, each in bytes of its own: as the manager keeps them of items whose writes count once. */
export class OutcomeResults implements Results {
  readonly room = Number.POSITIVE_INFINITY;
  readonly #outcomes: Uint8Array[] = [];
  #size = 0;

  get completed(): number {
    return this.#outcomes.length;
  }

  get size(): number {
    return this.#size;
  }

  /** A value as it is kept; `ahead`: bytes of values before it that are not kept yet. Throws SerializationError and LimitError when it cannot be. */
  encode(value: unknown, ahead: number): Uint8Array {
    const bytes = encodeValue(value, "result");
    const { length } = bytes;
    if (length > OUTCOME_BYTES_MAX) {
      const message = `with effects: "once" the result of an item has ${OUTCOME_BYTES_MAX} bytes at most, this one has ${length}: write it to a file, and return its name`;
      throw new LimitError("OUTCOME_BYTES_MAX", OUTCOME_BYTES_MAX, length, message);
    }
    this.#check(ahead + length);
    return bytes;
  }

  /** Takes the next item's value. Throws LimitError where there is no room for it among the others of its chunk. */
  keep(outcome: Uint8Array): void {
    this.#check(outcome.length);
    this.#outcomes.push(outcome);
    this.#size += outcome.length;
  }

  add(value: unknown): void {
    this.keep(this.encode(value, 0));
  }

  addAll(values: LoopResults, count: number): void {
    for (let at = 0; at < count; at++) this.add(values[at]);
  }

  finish(): EncodedPayload {
    const bytes = new Uint8Array(this.#size);
    let at = 0;
    for (const outcome of this.#outcomes) {
      bytes.set(outcome, at);
      at += outcome.length;
    }
    return { encoding: Encoding.MSGPACK, count: this.#outcomes.length, bytes };
  }

  #check(more: number): void {
    const grown = this.#size + more;
    if (grown > PAYLOAD_BYTES_MAX) throw new LimitError("PAYLOAD_BYTES_MAX", PAYLOAD_BYTES_MAX, grown);
  }
}
