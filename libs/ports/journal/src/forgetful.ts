import { ClosedError } from "@heddle/kernel";
import type { Journal } from "./index.ts";

/** A journal that keeps nothing, for an owner whose state ends with its process: it says at once that everything is kept. */
export function forgetfulJournal(): Journal {
  return new ForgetfulJournal();
}

class ForgetfulJournal implements Journal {
  /** Nothing is read again, so no snapshot ever pays. */
  readonly bytesSinceSnapshot = 0;
  #position = 0;
  #isClosed = false;

  get position(): number {
    return this.#position;
  }

  async *recover(): AsyncGenerator<never> {}

  async append({ length }: readonly Uint8Array[]): Promise<void> {
    if (this.#isClosed) throw new ClosedError("the journal was closed");
    this.#position += length;
  }

  async saveSnapshot(): Promise<void> {
    if (this.#isClosed) throw new ClosedError("the journal was closed");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
  }
}
