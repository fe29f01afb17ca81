import type { EncodedPayload } from "@heddle/wire";

/** What tells a kept job from another of the same id: SHA-256 over its chunks as they are offered, and over what it is beside them. */
export class KeptDigest {
  readonly #sha256Hex: (bytes: Uint8Array) => string;
  /** Of all chunks so far. */
  #state = "";

  constructor(sha256Hex: (bytes: Uint8Array) => string) {
    this.#sha256Hex = sha256Hex;
  }

  /** The next chunk. Where chunks begin counts: that is ruled by the inputs and options alone. */
  add({ encoding, count, bytes }: EncodedPayload): void {
    this.#state = this.#ofText(`${this.#state} ${encoding} ${count} ${this.#sha256Hex(bytes)}`);
  }

  /** Of all that was added. `about`: what the job is beside its inputs, as JSON; its fields count in their order. 64 hex digits. */
  hex(about: unknown): string {
    return this.#ofText(`${this.#state} ${JSON.stringify(about)}`);
  }

  #ofText(text: string): string {
    return this.#sha256Hex(new TextEncoder().encode(text));
  }
}
