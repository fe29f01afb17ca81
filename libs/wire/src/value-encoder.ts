import type { SerializationSide } from "@heddle/kernel";
import type { ValueWriterHooks } from "./msgpack/hooks.ts";
import { ValueWriter } from "./msgpack/writer.ts";

/** Encodes single values as `encodeValue`, many of them: each in no more memory than it needs, and faster. */
export class ValueEncoder {
  readonly #side: SerializationSide;
  readonly #hooks: ValueWriterHooks | undefined;
  readonly #writer: ValueWriter;
  /** A value is being written: what its getters and handles encode meanwhile is written elsewhere. */
  #isWriting = false;

  constructor(side: SerializationSide, hooks?: ValueWriterHooks) {
    this.#side = side;
    this.#hooks = hooks;
    this.#writer = new ValueWriter(side, hooks);
  }

  /** One value in the MSGPACK encoding. Throws as `encodeValue`. */
  encode(value: unknown): Uint8Array {
    if (this.#isWriting) return new ValueEncoder(this.#side, this.#hooks).encode(value);
    this.#isWriting = true;
    try {
      this.#writer.write(value);
    } finally {
      this.#isWriting = false;
    }
    return this.#writer.cut();
  }
}
