import { Heap, PART_BYTES_MAX } from "@heddle/kernel";
import { type Payload, PayloadFlow, type RunResponseEntry } from "@heddle/wire";
import { JobSpill, type SpilledBytes } from "./job-spill.ts";
import type { ClientRecord } from "./ledger.ts";
import { JOB_SPILL_BYTES_MAX, SPILL_BACKLOG_BYTES } from "./limits.ts";
import type { SpillSpace } from "./spill-space.ts";

/** Where a result stands among the others of its job. */
export interface Place {
  readonly chunk: number;
  readonly offset: number;
}

/** What an outlet needs to know. */
export interface OutletOptions {
  readonly client: ClientRecord;
  readonly space: SpillSpace;
  /** Result bytes that may be sent and not taken; 0 for no bound. */
  readonly unreadBytesMax: number;
  /** Of them, what the client has from a session before. */
  readonly unreadBytes: number;
  /** Chunks below this number leave a gap before a result that it has. */
  readonly gapChunks: number;
  /** Whether its program takes results in order. */
  readonly ordered: boolean;
  /** Whether there is room for results of what was never placed; told when that changes. */
  readonly throttle: (throttled: boolean) => void;
  /** What was on disk cannot be read: the client has to have it run again. */
  readonly unreadable: (error: unknown) => void;
}

/** A result on its way to disk. */
export interface Kept {
  /** All of it came: it counts, or not. */
  end(aborted: boolean): void;
}

interface KeptResult extends Place {
  readonly sequence: number;
  readonly values: Pick<Payload, "encoding" | "count" | "size">;
  readonly bytes: SpilledBytes;
  /** What announces it. */
  readonly entry: (values: Payload) => RunResponseEntry;
}

/**
 * The way of one job's results to its client. While the client has no time for them they go to disk, and from there to the client as it reads: in the order in
 * which its program takes them, where it takes them in order. A result that stands before one that was sent never waits: the program may be unable to take
 * anything else.
 */
export class Outlet implements Disposable {
  readonly #options: OutletOptions;
  /** Of the first result that goes to disk on. */
  #spill: JobSpill | undefined;
  #waiting: Heap<KeptResult> | undefined;
  /** Results that wait on disk, or are being sent from there. */
  #kept = 0;
  /** Results whose values come, on their way to disk: nobody knows yet whether they count. */
  #coming = 0;
  /** Bytes of the largest result so far. */
  #largest = 1;
  #sequence = 0;
  /** Sent and not taken. */
  #unreadBytes: number;
  /** The last place of which a result was sent, or is known to be at the client. */
  #furthest: Place;
  #isSending = false;
  /** Why there is no room: the disk is full, or slow. */
  #lack: "full" | "slow" | undefined;
  #end: (() => void) | undefined;
  #isOver = false;

  constructor(options: OutletOptions) {
    this.#options = options;
    this.#unreadBytes = options.unreadBytes;
    this.#furthest = { chunk: options.gapChunks, offset: 0 };
  }

  /** Nothing waits to be sent. */
  get isEmpty(): boolean {
    return this.#kept === 0;
  }

  /** What comes more goes to disk, or is held back for this job alone. */
  get absorbs(): boolean {
    return this.#isDiverting || this.#lack !== undefined || this.#hasRoomFor(this.#largest);
  }

  /**
   * Whether a result of so many bytes goes to disk. While others are there it does, whatever room there is: what was under way when its job was held back is
   * no more than that, and one that went past them would have them all sent after it.
   */
  diverts(place: Place, size: number): boolean {
    this.#largest = Math.max(this.#largest, size);
    if (size === 0 || this.#isOver || this.#end !== undefined || this.#isBehind(place)) return false;
    return this.#isDiverting || (!this.#isClear() && this.#hasRoomFor(size));
  }

  /** Takes a result that goes to disk, complete or as it comes. */
  keep(place: Place, values: PayloadFlow, entry: (values: Payload) => RunResponseEntry): Kept {
    this.#spill ??= new JobSpill(this.#options.space, () => this.judge());
    this.#waiting ??= new Heap<KeptResult>(this.#options.ordered ? isBefore : isEarlier);
    const waiting = this.#waiting;
    const bytes = this.#spill.take(values.size);
    const { encoding, count, size } = values; // not the flow itself, which may hold its bytes
    const result: KeptResult = {
      ...place,
      ...{ sequence: this.#sequence++, values: { encoding, count, size }, bytes, entry },
    };
    this.#coming++;
    const follower = { piece: (data: Uint8Array): void => bytes.push(data), end: (): void => undefined };
    values.follow(follower);
    return {
      end: (aborted) => {
        values.unfollow(follower);
        this.#coming--;
        if (this.#isOver) return;
        if (aborted) return bytes.release(); // and judges
        this.#kept++;
        waiting.push(result);
        this.#sendLater();
      },
    };
  }

  /** A result was sent as it came. */
  sent(place: Place, bytes: number): void {
    this.#unreadBytes += bytes;
    if (isBefore(this.#furthest, place)) this.#furthest = place;
  }

  /** The program took results. */
  taken(bytes: number): void {
    this.#unreadBytes = Math.max(0, this.#unreadBytes - bytes);
    this.judge();
    this.#sendLater();
  }

  /** Tells whether there is room, when that has changed. */
  judge(): void {
    if (this.#isOver) return;
    const lack = this.#lackNow();
    const isChange = (lack === undefined) !== (this.#lack === undefined);
    this.#lack = lack;
    if (isChange) this.#options.throttle(lack !== undefined);
  }

  /** Calls `end` once all that waits was sent; nothing more comes. */
  finish(end: () => void): void {
    if (this.#kept === 0) return end();
    this.#end = end;
    this.#sendLater();
  }

  /** What waits is not wanted any more. */
  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#spill?.[Symbol.dispose]();
    this.#kept = 0;
    this.#spill = undefined; // its job is remembered for long, and it with that
    this.#waiting = undefined;
    this.#end = undefined;
  }

  get #isDiverting(): boolean {
    return this.#kept + this.#coming > 0;
  }

  /** The program may be sent more, and its client's queue is short. */
  #isClear(): boolean {
    return this.#hasCredit() && this.#options.client.session.queuedBytes < SPILL_BACKLOG_BYTES;
  }

  #hasCredit(): boolean {
    const { unreadBytesMax } = this.#options;
    return unreadBytesMax === 0 || this.#unreadBytes < unreadBytesMax;
  }

  /** What stands before something that was sent, to a program that takes in order. */
  #isBehind(place: Place): boolean {
    return this.#options.ordered && isBefore(place, this.#furthest);
  }

  #hasRoomFor(size: number): boolean {
    return this.#spill?.hasRoomFor(size) ?? (size < JOB_SPILL_BYTES_MAX && this.#options.space.has(size, true));
  }

  /** A full disk is waited for until nothing waits there, a slow one until it has caught up by half. */
  #lackNow(): "full" | "slow" | undefined {
    const isOpen = !this.#isDiverting && this.#hasCredit();
    if (isOpen) return undefined;
    if (!this.#hasRoomFor(this.#largest) || (this.#lack === "full" && this.#isDiverting)) return "full";
    const lateness = this.#spill?.lateness ?? 0;
    return lateness >= (this.#lack === "slow" ? 0.5 : 1) ? "slow" : undefined;
  }

  #gone({ bytes }: KeptResult): void {
    if (this.#isOver) return;
    this.#kept--;
    bytes.release(); // and judges
    if (this.#kept === 0) this.#end?.();
  }

  #sendLater(): void {
    if (this.#isSending || this.#isOver || this.#kept === 0) return;
    this.#isSending = true;
    this.#sendKept().catch((error: unknown) => {
      if (!this.#isOver) this.#options.unreadable(error);
    });
  }

  async #sendKept(): Promise<void> {
    const { session } = this.#options.client;
    for (;;) {
      await session.drained();
      const next = this.#isOver ? undefined : this.#waiting?.peek();
      if (next === undefined || !(this.#hasCredit() || this.#isBehind(next))) break;
      this.#waiting?.pop();
      await this.#send(next);
    }
    this.#isSending = false;
  }

  async #send(result: KeptResult): Promise<void> {
    const { session, outflow } = this.#options.client;
    const { values, bytes, entry } = result;
    const isWhole = values.size <= PART_BYTES_MAX;
    const flow = new PayloadFlow(values, isWhole);
    const start = (): void => {
      const outgoing = outflow.send(flow);
      session.send(entry(outgoing.header), outgoing.inlineBytes);
      outgoing.start();
      this.sent(result, values.size);
    };
    if (!isWhole) start();
    let isRead = false;
    try {
      for await (const piece of bytes.read()) {
        flow.push(piece);
        if (!isWhole) await session.drained();
      }
      isRead = !this.#isOver;
    } finally {
      if (isRead || !isWhole) flow.finish(!isRead);
    }
    if (isWhole && isRead) start();
    this.#gone(result);
  }
}

function isBefore(a: Place, b: Place): boolean {
  return a.chunk < b.chunk || (a.chunk === b.chunk && a.offset < b.offset);
}

function isEarlier(a: KeptResult, b: KeptResult): boolean {
  return a.sequence < b.sequence;
}
