import { OUTPUT_LINE_BYTES_MAX, STDERR_TAIL_BYTES } from "@heddle/kernel";

const LINE_END = 0x0a;

/** Cuts a stream of bytes into lines of text, and a line above OUTPUT_LINE_BYTES_MAX into several, never inside a character. */
export class LineSplitter {
  readonly #emit: (line: string) => void;
  #rest: Buffer = Buffer.alloc(0);

  constructor(emit: (line: string) => void) {
    this.#emit = emit;
  }

  push(bytes: Buffer): void {
    let left = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    for (;;) {
      const end = left.indexOf(LINE_END);
      const length = end === -1 ? left.length : end;
      if (length > OUTPUT_LINE_BYTES_MAX) {
        const cut = characterStart(left, OUTPUT_LINE_BYTES_MAX);
        this.#emit(left.toString("utf8", 0, cut));
        left = left.subarray(cut);
      } else if (end === -1) {
        this.#rest = Buffer.from(left); // a copy: the rest of a line must not keep a whole read alive
        return;
      } else {
        this.#emit(left.toString("utf8", 0, end));
        left = left.subarray(end + 1);
      }
    }
  }

  /** The stream is over: what is left is a line. */
  end(): void {
    if (this.#rest.length > 0) this.#emit(this.#rest.toString("utf8"));
    this.#rest = Buffer.alloc(0);
  }
}

/** The end of a stream, at most STDERR_TAIL_BYTES. */
export class Tail {
  #bytes: Buffer = Buffer.alloc(0);

  push(bytes: Buffer): void {
    const joined = bytes.length >= STDERR_TAIL_BYTES ? bytes : Buffer.concat([this.#bytes, bytes]);
    this.#bytes = Buffer.from(joined.subarray(Math.max(0, joined.length - STDERR_TAIL_BYTES)));
  }

  toString(): string {
    let start = 0;
    if (this.#bytes.length === STDERR_TAIL_BYTES) while (start < 4 && isContinuation(this.#bytes[start])) start++;
    return this.#bytes.toString("utf8", start);
  }
}

/** The largest index up to `at` where a character begins; `at` itself when the bytes are no UTF-8. */
function characterStart(bytes: Buffer, at: number): number {
  for (let back = 0; back < 4; back++) if (!isContinuation(bytes[at - back])) return at - back;
  return at;
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}
