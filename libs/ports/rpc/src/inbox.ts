import { ProtocolError } from "@heddle/kernel";
import type { Frame } from "./frame.ts";
import { ENTRY_OVERHEAD_BYTES, type SessionSizes } from "./limits.ts";

/** The receiving half of a session's bookkeeping: which frames came, and when the peer must be told. Pure. */
export class Inbox {
  readonly #sizes: SessionSizes;
  #received = 0;
  /** Last sequence that came on the present link; undefined before the first. */
  #linkSequence: number | undefined;
  #untoldFrames = 0;
  #untoldBytes = 0;

  constructor(sizes: SessionSizes) {
    this.#sizes = sizes;
  }

  /** Last sequence received. */
  get received(): number {
    return this.#received;
  }

  /** Something came that was not acknowledged. */
  get untold(): boolean {
    return this.#untoldFrames > 0;
  }

  /** The peer waits for an acknowledgement, or soon will. */
  get acknowledgementDue(): boolean {
    if (this.#untoldFrames === 0) return false;
    return this.#untoldFrames >= this.#sizes.acknowledgeFrames || this.#untoldBytes >= this.#sizes.windowBytes / 4;
  }

  /** The sequence to acknowledge; counts as told from now on. */
  acknowledge(): number {
    this.#untoldFrames = 0;
    this.#untoldBytes = 0;
    return this.#received;
  }

  /** A new link begins, on which the peer may repeat frames from any point up to the first that is missing. */
  resume(): void {
    this.#linkSequence = undefined;
  }

  /**
   * Judges a frame that is `bytes` long (Infinity where the link cannot tell). True: its entries are new.
   * Throws ProtocolError for what no honest peer sends.
   */
  take(frame: Frame<unknown>, bytes: number): boolean {
    const { sequence, entries } = frame;
    if (entries.length > this.#sizes.frameEntriesMax) {
      throw new ProtocolError(`a frame holds ${entries.length} entries, at most ${this.#sizes.frameEntriesMax} may be`);
    }
    if ((sequence === 0) !== (entries.length === 0)) {
      throw new ProtocolError(`frame ${sequence} holds ${entries.length} entries`);
    }
    if (sequence === 0) return false;
    const isNext = this.#linkSequence === undefined || sequence === this.#linkSequence + 1;
    if (!isNext || sequence > this.#received + 1) {
      const expected = (this.#linkSequence ?? this.#received) + 1;
      throw new ProtocolError(`frame ${sequence} came where ${expected} was expected`);
    }
    this.#linkSequence = sequence;
    if (sequence <= this.#received) return false;
    this.#received = sequence;
    this.#untoldFrames++;
    this.#untoldBytes += bytes + entries.length * ENTRY_OVERHEAD_BYTES;
    return true;
  }
}
