import { Heap, type Millis } from "@heddle/kernel";
import { Digest } from "./digest.ts";

/** Lines of the trace that are kept for whoever asks what happened last. */
const TRACE_LINES_MAX = 60;

/** Whose event it is: decides whether it happens at all. Implemented by `Life`. */
export interface EventOwner {
  readonly name: string;
  /** False: what is still planned for it never happens. */
  readonly alive: boolean;
  /** Takes the event when its time has come but its owner is paused; true when taken. */
  hold(event: SimEvent): boolean;
}

/** Something that will happen, once, at `atMs`; what has the same time happens in order of `sequence`. */
export interface SimEvent {
  /** Only changed while the event is held, outside the heap. */
  atMs: Millis;
  sequence: number;
  readonly owner: EventOwner | undefined;
  /** For trace and digest: constant for the same seed, so without addresses, stacks or real times. */
  readonly what: string;
  /** Part of the digest when the event happens. */
  readonly bytes: Uint8Array | undefined;
  readonly run: () => void;
  cancelled: boolean;
}

/** What `post` is told. */
export interface Plan {
  readonly atMs: Millis;
  readonly owner: EventOwner | undefined;
  readonly what: string;
  readonly bytes?: Uint8Array | undefined;
  readonly run: () => void;
}

/** Something in the simulated world threw out of its own event: a programmer's error. Names the moment, so that the seed shows it again. */
export class SimFailure extends Error {
  override readonly name = "SimFailure";
}

/**
 * Virtual time: a heap of (atMs, sequence). `step` takes one event, moves the clock to it and runs it; the caller drains microtasks between steps.
 * Nothing here is real time, random or asynchronous.
 */
export class EventLoop {
  readonly #heap = new Heap<SimEvent>((a, b) => (a.atMs !== b.atMs ? a.atMs < b.atMs : a.sequence < b.sequence));
  readonly #digest = new Digest();
  readonly #trace: string[] = [];
  #nowMs: Millis = 0;
  #sequence = 0;
  #eventCount = 0;
  #woken: (() => void) | undefined;

  get nowMs(): Millis {
    return this.#nowMs;
  }

  /** Events that happened. */
  get eventCount(): number {
    return this.#eventCount;
  }

  get digest(): string {
    return this.#digest.hex();
  }

  /** The last events, oldest first. */
  get trace(): readonly string[] {
    return this.#trace;
  }

  /** Plans an event; a time in the past means now, after what is already planned for now. Never runs it inline. */
  post(plan: Plan): Disposable {
    const event: SimEvent = {
      atMs: Math.max(this.#nowMs, Math.ceil(plan.atMs)),
      sequence: this.#sequence++,
      owner: plan.owner,
      what: plan.what,
      bytes: plan.bytes,
      run: plan.run,
      cancelled: false,
    };
    this.#push(event);
    return {
      [Symbol.dispose]: () => {
        event.cancelled = true;
      },
    };
  }

  /** Plans events that were held, for now and in the order given; cancelling them still works. */
  release(events: readonly SimEvent[]): void {
    for (const event of events) {
      event.atMs = this.#nowMs;
      event.sequence = this.#sequence++;
      this.#push(event);
    }
  }

  /** Runs the next event, if there is one at or before `deadlineMs`; else says what stands in the way ("deadline" moves the clock there). */
  step(deadlineMs: Millis): "stepped" | "idle" | "deadline" {
    for (;;) {
      const next = this.#heap.peek();
      if (next === undefined) return "idle";
      if (next.cancelled || next.owner?.alive === false) {
        this.#heap.pop();
        continue;
      }
      if (next.atMs > deadlineMs) {
        this.#nowMs = Math.max(this.#nowMs, deadlineMs);
        return "deadline";
      }
      this.#heap.pop();
      this.#nowMs = next.atMs;
      if (next.owner?.hold(next)) continue;
      this.#happen(next);
      return "stepped";
    }
  }

  /** Resolves at the next `post`. One waiter at a time. */
  posted(): Promise<void> {
    return new Promise((resolve) => {
      this.#woken = resolve;
    });
  }

  #push(event: SimEvent): void {
    this.#heap.push(event);
    this.#woken?.();
    this.#woken = undefined;
  }

  #happen(event: SimEvent): void {
    const line = `${event.atMs} ${event.owner?.name ?? "world"} ${event.what}`;
    this.#eventCount++;
    this.#digest.text(line);
    if (event.bytes !== undefined) this.#digest.bytes(event.bytes);
    this.#trace.push(line);
    if (this.#trace.length > TRACE_LINES_MAX) this.#trace.shift();
    try {
      event.run();
    } catch (cause) {
      throw new SimFailure(`at ${line}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    }
  }
}
