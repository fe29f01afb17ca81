import { Fifo, ProtocolError } from "@heddle/kernel";
import type { Frame } from "./frame.ts";
import { ENTRY_OVERHEAD_BYTES, type SessionSizes } from "./limits.ts";

/** A frame that the peer has not acknowledged, and the bulk bytes it holds of the window. */
interface Retained<Out> {
  readonly sequence: number;
  readonly entries: Out[];
  readonly bulkBytes: number;
}

/**
 * The sending half of a session's bookkeeping: lanes, sequences, the window, and the frames kept until acknowledged. Pure.
 * An entry is in `#control` or `#bulk` until a frame takes it, then in `#retained` until the peer acknowledges the frame.
 */
export class Outbox<Out> {
  readonly #sizes: SessionSizes;
  readonly #control = new Fifo<Out>();
  /** Bulk entries that wait for the window, and, in step with them, what each costs. */
  readonly #bulk = new Fifo<Out>();
  readonly #bulkCosts = new Fifo<number>();
  readonly #retained = new Fifo<Retained<Out>>();
  /** Retained frames that the present link has yet to carry, oldest first. */
  #again = new Fifo<Retained<Out>>();
  #queuedBytes = 0;
  #windowBytes = 0;
  #lastSequence = 0;
  #acknowledged = 0;

  constructor(sizes: SessionSizes) {
    this.#sizes = sizes;
  }

  /** Bytes of bulk that no frame has taken yet. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Bytes of bulk that left in frames and are not acknowledged. */
  get unacknowledgedBytes(): number {
    return this.#windowBytes;
  }

  get retainedCount(): number {
    return this.#retained.size;
  }

  /** Nothing waits to be sent, again or for the first time. */
  get empty(): boolean {
    return this.#control.size === 0 && this.#bulk.size === 0 && this.#again.size === 0;
  }

  /** Takes an entry for the control lane. False: there are more than `controlEntriesMax`, the session must end. */
  pushControl(entry: Out): boolean {
    this.#control.push(entry);
    return this.#control.size <= this.#sizes.controlEntriesMax;
  }

  pushBulk(entry: Out, payloadBytes: number): void {
    const cost = payloadBytes + ENTRY_OVERHEAD_BYTES;
    this.#bulk.push(entry);
    this.#bulkCosts.push(cost);
    this.#queuedBytes += cost;
  }

  /** The next frame to send, without its acknowledgement, or undefined when nothing may leave now. */
  next(): Frame<Out> | undefined {
    const again = this.#again.shift();
    if (again !== undefined) return asFrame(again);
    if (this.#retained.size >= this.#sizes.retainedFramesMax) return undefined;
    const entries: Out[] = [];
    this.#takeControl(entries);
    const bulkBytes = this.#takeBulk(entries);
    if (entries.length === 0) return undefined;
    const retained: Retained<Out> = { sequence: ++this.#lastSequence, entries, bulkBytes };
    this.#retained.push(retained);
    this.#windowBytes += bulkBytes;
    this.#queuedBytes -= bulkBytes;
    return asFrame(retained);
  }

  /** The peer has received all frames up to `sequence`. Throws ProtocolError when no such frame was sent. */
  acknowledge(sequence: number): void {
    if (sequence > this.#lastSequence) {
      throw new ProtocolError(`frame ${sequence} was acknowledged, but the last one sent is ${this.#lastSequence}`);
    }
    if (sequence <= this.#acknowledged) return;
    this.#acknowledged = sequence;
    for (let oldest = this.#retained.peek(); oldest !== undefined; oldest = this.#retained.peek()) {
      if (oldest.sequence > sequence) return;
      this.#windowBytes -= oldest.bulkBytes;
      this.#retained.shift();
    }
  }

  /** A new link begins; the peer has received all frames up to `received`: those after it are sent again, first. */
  resume(received: number): void {
    if (received < this.#acknowledged) {
      throw new ProtocolError(
        `the peer wants frame ${received + 1} again, but acknowledged up to ${this.#acknowledged}`,
      );
    }
    this.acknowledge(received);
    this.#again = new Fifo<Retained<Out>>();
    for (const retained of this.#retained) this.#again.push(retained);
  }

  /** Forgets everything: the session is over. */
  clear(): void {
    for (const queue of [this.#control, this.#bulk, this.#bulkCosts, this.#retained, this.#again]) queue.clear();
    this.#queuedBytes = 0;
    this.#windowBytes = 0;
  }

  #takeControl(entries: Out[]): void {
    const count = Math.min(this.#control.size, this.#sizes.frameEntriesMax);
    for (let taken = 0; taken < count; taken++) entries.push(this.#control.shift() as Out);
  }

  /** Moves bulk into the frame as far as frame and window allow; returns its bytes. An entry larger than either leaves alone. */
  #takeBulk(entries: Out[]): number {
    const { frameEntriesMax, frameBytesMax, windowBytes } = this.#sizes;
    let frameBytes = entries.length * ENTRY_OVERHEAD_BYTES;
    let bulkBytes = 0;
    while (entries.length < frameEntriesMax) {
      const cost = this.#bulkCosts.peek();
      if (cost === undefined) break;
      if (frameBytes + cost > frameBytesMax && entries.length > 0) break;
      const inFlightBytes = this.#windowBytes + bulkBytes;
      if (inFlightBytes + cost > windowBytes && inFlightBytes > 0) break;
      entries.push(this.#bulk.shift() as Out);
      this.#bulkCosts.shift();
      frameBytes += cost;
      bulkBytes += cost;
    }
    return bulkBytes;
  }
}

function asFrame<Out>(retained: Retained<Out>): Frame<Out> {
  return { sequence: retained.sequence, acknowledged: 0, control: undefined, entries: retained.entries };
}
