import {
  Fifo,
  type HeddleError,
  LimitError,
  MESSAGE_BYTES_MAX,
  type Millis,
  ProtocolError,
  UnavailableError,
} from "@heddle/kernel";
import type { Link, LinkEnd, MessageCodec } from "@heddle/port-rpc";
import type { Life } from "./life.ts";
import type { Network } from "./network.ts";

/** Bytes that a side may have sent and its peer not read. Above: `send` answers false and messages wait at the sender. */
const LINK_WINDOW_BYTES = 64 * 1024;
/** Longest time that closing waits for the peer to take what was sent; then the link is reset. */
const CLOSE_MS = 2_000;

/** What travels between the two sides. */
type Packet =
  /** First of the accepting side: the stream is open. */
  | { readonly type: "accepted" }
  | { readonly type: "message"; readonly bytes: Uint8Array }
  /** Everything was sent. */
  | { readonly type: "end" }
  | { readonly type: "end-seen" }
  /** The peer has read so much more. */
  | { readonly type: "window"; readonly bytes: number }
  /** The connection is gone. */
  | { readonly type: "reset"; readonly cause: HeddleError };

/** A side, whatever it speaks. */
export interface AnySide {
  readonly life: Life;
  /** Nothing of this side is under way: it is over and all it sent is taken or lost. */
  readonly isSettled: boolean;
  /** A packet of the peer's. */
  arrive(packet: Packet): void;
  /** The link is over for this side, now: unread messages are dropped. */
  finish(end: LinkEnd): void;
}

/** One direction. */
interface Lane {
  readonly from: AnySide;
  readonly to: AnySide;
  /** Packets that found the way blocked, in order. */
  readonly held: Packet[];
  blackholed: boolean;
  /** Nothing sent later arrives earlier. */
  lastArrivalMs: Millis;
}

/** What a side is made of. */
export interface Endpoint<Out, In> {
  readonly life: Life;
  readonly out: MessageCodec<Out>;
  readonly in: MessageCodec<In>;
}

/**
 * One stream between two processes: two lanes, each ordered and lossless until the connection is severed; then an unknown suffix of each is lost,
 * and each side hears of it in its own time. A blackholed lane, or one whose machines are parted, holds what is sent until it is mended.
 */
export class Connection {
  readonly id: number;
  readonly path: string;
  readonly dialer: Side<never, never>;
  readonly acceptor: Side<never, never>;
  readonly #network: Network;
  readonly #lanes: readonly [Lane, Lane];
  #severed = false;
  /** A side's machine went silent: the other side will only ever be reset. */
  #orphaned = false;

  constructor(
    network: Network,
    at: { readonly id: number; readonly path: string },
    dialer: Endpoint<never, never>,
    acceptor: Endpoint<never, never>,
  ) {
    this.id = at.id;
    this.path = at.path;
    this.#network = network;
    this.dialer = new Side(this, dialer, acceptor.life.name);
    this.acceptor = new Side(this, acceptor, dialer.life.name);
    const lane = (from: AnySide, to: AnySide): Lane => {
      return { from, to, held: [], blackholed: false, lastArrivalMs: 0 };
    };
    this.#lanes = [lane(this.dialer, this.acceptor), lane(this.acceptor, this.dialer)];
  }

  /** Nothing travels any more; the sides know or will know. */
  get severed(): boolean {
    return this.#severed;
  }

  /** For people: who talks to whom, and what stands in the way. */
  get description(): string {
    const lanes = this.#lanes.map((lane) => `${lane.held.length}${lane.blackholed ? " blackholed" : ""}`);
    return `link ${this.id} ${this.dialer.life.name}>${this.acceptor.life.name} ${this.path}, held ${lanes.join("/")}`;
  }

  /** Whether it runs between these machines, in whichever direction it was dialled. */
  joins(one: string, other: string): boolean {
    const [dialer, acceptor] = [this.dialer.life.machine.name, this.acceptor.life.machine.name];
    return (dialer === one && acceptor === other) || (dialer === other && acceptor === one);
  }

  /** Sends a packet on its way from `from`. */
  carry(from: AnySide, packet: Packet): void {
    if (this.#severed) return;
    const lane = this.#lane(from);
    if (packet.type === "message") this.#obeyRules(lane, packet.bytes);
    if (this.#severed) return;
    if (this.#isBlocked(lane)) lane.held.push(packet);
    else this.#travel(lane, packet);
  }

  /** Resets the connection: what is on its way may or may not arrive, and each side hears of it in its own time. */
  sever(why: string): void {
    if (this.#severed) return;
    this.#severed = true;
    this.#network.forget(this);
    const cause = new UnavailableError(`connection reset: ${why}`);
    for (const lane of this.#lanes) this.#travel({ ...lane, lastArrivalMs: 0 }, { type: "reset", cause });
  }

  /** Nothing passes in these directions until `mend`. */
  blackhole(directions: "both" | "out" | "back"): void {
    const [out, back] = this.#lanes;
    if (directions !== "back") out.blackholed = true;
    if (directions !== "out") back.blackholed = true;
  }

  /** Ends blackholes. What was held goes on its way, unless the connection has to be reset. */
  mend(goesOn: boolean): void {
    for (const lane of this.#lanes) lane.blackholed = false;
    this.release(goesOn);
  }

  /** Sends what was held as far as the way is free. */
  release(goesOn: boolean): void {
    const blocked = this.#lanes.some((lane) => lane.held.length > 0 || lane.blackholed);
    if (this.#orphaned || (blocked && !goesOn)) {
      this.sever("outage");
      return;
    }
    for (const lane of this.#lanes) for (const packet of lane.held.splice(0)) this.carry(lane.from, packet);
  }

  /** A side's process has ended. `silent`: nobody tells the peer, until the world heals. */
  widow(side: AnySide, silent: boolean): void {
    if (this.#severed) return;
    const lane = this.#lane(side);
    if (silent) {
      this.#orphaned = true;
      this.blackhole("both");
    } else if (this.#isBlocked(lane)) {
      lane.held.push({ type: "reset", cause: new UnavailableError(`connection reset: ${side.life.name} is gone`) });
    } else {
      this.sever(`${side.life.name} is gone`);
    }
  }

  /** A side has nothing more to say or to hear: forgotten when the other has neither. */
  settled(): void {
    if (this.dialer.isSettled && this.acceptor.isSettled) this.#network.forget(this);
  }

  /** One side has broken the rules of the transport: both hear of it. */
  abort(side: AnySide, cause: HeddleError): void {
    this.carry(side, { type: "reset", cause });
    side.finish({ reason: "broken", cause });
  }

  #obeyRules(lane: Lane, bytes: Uint8Array): void {
    const [from, to] = [lane.from.life.machine.name, lane.to.life.machine.name];
    const verdict = this.#network.judge({ linkId: this.id, path: this.path, from, to, bytes });
    if (verdict === "sever") this.sever("by rule");
    else if (verdict === "blackhole") this.blackhole("both");
  }

  #isBlocked(lane: Lane): boolean {
    return lane.blackholed || this.#network.isParted(lane.from.life.machine, lane.to.life.machine);
  }

  #travel(lane: Lane, packet: Packet): void {
    const nowMs = this.#network.nowMs;
    const arrivalMs = Math.max(
      nowMs + this.#network.delayMs(lane.from.life.machine, lane.to.life.machine),
      lane.lastArrivalMs,
    );
    lane.lastArrivalMs = arrivalMs;
    const bytes = packet.type === "message" ? packet.bytes : undefined;
    const what = `${packet.type} ${bytes?.length ?? ""} of link ${this.id} from ${lane.from.life.name}`;
    lane.to.life.post(arrivalMs - nowMs, what, () => lane.to.arrive(packet), bytes);
  }

  #lane(from: AnySide): Lane {
    return this.#lanes[from === this.dialer ? 0 : 1];
  }
}

/** One end of a connection. */
export class Side<Out, In> implements Link<Out, In>, AnySide {
  readonly life: Life;
  readonly peer: string;
  readonly closed: Promise<LinkEnd>;
  readonly incoming: AsyncIterable<In>;
  readonly #connection: Connection;
  readonly #endpoint: Endpoint<Out, In>;
  /** Encoded, waiting for the window. */
  readonly #outbox = new Fifo<Uint8Array>();
  /** Arrived, not read. */
  readonly #inbox = new Fifo<{ readonly message: In; readonly size: number }>();
  readonly #drainWaiters = new Set<() => void>();
  readonly #readers: (() => void)[] = [];
  #settleClosed: (end: LinkEnd) => void = () => undefined;
  #settleFlushed: () => void = () => undefined;
  /** Resolves when the peer has everything, or never will. Set by the first close. */
  #flushed: Promise<void> | undefined;
  #end: LinkEnd | undefined;
  /** Sent, not known to be read. */
  #unreadByPeer = 0;
  /** Read, not told to the peer. */
  #readSince = 0;
  #receivedBytes = 0;
  /** The peer sends no more; the link is over once the inbox is read. */
  #peerEnded = false;
  #endSent = false;
  #flushSettled = false;
  #opened: (() => void) | undefined;

  constructor(connection: Connection, endpoint: Endpoint<Out, In>, peer: string) {
    this.#connection = connection;
    this.#endpoint = endpoint;
    this.life = endpoint.life;
    this.peer = peer;
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
    this.incoming = { [Symbol.asyncIterator]: () => ({ next: () => this.#next() }) };
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  get isSettled(): boolean {
    return !this.life.alive || (this.#end !== undefined && this.#flushSettled);
  }

  send(message: Out): boolean {
    if (this.#end !== undefined || this.#flushed !== undefined || !this.life.alive) return false;
    const bytes = this.#endpoint.out.encode(message).finish();
    if (bytes.length > MESSAGE_BYTES_MAX) {
      this.#fail(new LimitError("MESSAGE_BYTES_MAX", MESSAGE_BYTES_MAX, bytes.length));
      return false;
    }
    // A copy: generated encoders may hand out views of a buffer that they use again, and a wire never aliases.
    this.#outbox.push(bytes.slice());
    this.#flush();
    return this.#outbox.size === 0;
  }

  drained(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#outbox.size === 0 || this.#end !== undefined) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        signal?.removeEventListener("abort", aborted);
        resolve();
      };
      const aborted = (): void => {
        this.#drainWaiters.delete(settle);
        reject(signal?.reason);
      };
      this.#drainWaiters.add(settle);
      signal?.addEventListener("abort", aborted, { once: true });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#flushed === undefined && this.#end === undefined && this.life.alive) {
      this.#flushed = new Promise((resolve) => {
        this.#settleFlushed = resolve;
      });
      const timer = this.life.post(CLOSE_MS, "close timer", () => this.#connection.sever("the peer does not read"));
      void this.#flushed.then(() => timer[Symbol.dispose]());
      this.#over({ reason: "local" });
      this.#flush();
    }
    await this.#flushed;
  }

  /** Calls `opened` when the acceptor's answer arrives. For the dialing side. */
  whenOpened(opened: () => void): void {
    this.#opened = opened;
  }

  arrive(packet: Packet): void {
    switch (packet.type) {
      case "accepted":
        this.#opened?.();
        return;
      case "message":
        this.#receive(packet.bytes);
        return;
      case "window":
        this.#unreadByPeer -= packet.bytes;
        this.#flush();
        return;
      case "end":
        this.#connection.carry(this, { type: "end-seen" });
        this.#peerEnded = true;
        this.#endWhenRead();
        return;
      case "end-seen":
        this.#settleFlushed();
        this.#flushSettled = true;
        this.#connection.settled();
        return;
      case "reset":
        this.finish({ reason: "broken", cause: packet.cause });
        return;
    }
  }

  finish(end: LinkEnd): void {
    this.#outbox.clear();
    this.#settleFlushed();
    this.#flushSettled = true;
    this.#over(end);
    this.#connection.settled();
  }

  #over(end: LinkEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#inbox.clear();
    this.#settleClosed(end);
    for (const reader of this.#readers.splice(0)) reader();
    this.#wakeDrained();
  }

  #receive(bytes: Uint8Array): void {
    if (this.#end !== undefined) return;
    let message: In;
    try {
      message = this.#endpoint.in.decode(bytes);
    } catch (cause) {
      this.#fail(new ProtocolError(`${this.#connection.path}: a message cannot be read`, { cause }));
      return;
    }
    this.#inbox.push({ message, size: bytes.length });
    this.#readers.shift()?.();
  }

  async #next(): Promise<IteratorResult<In>> {
    while (this.#inbox.size === 0) {
      if (this.#end !== undefined) return { done: true, value: undefined };
      await new Promise<void>((resolve) => this.#readers.push(resolve));
    }
    const read = this.#inbox.shift();
    if (read === undefined) return { done: true, value: undefined };
    this.#receivedBytes += read.size;
    this.#readSince += read.size;
    if (this.#readSince >= LINK_WINDOW_BYTES / 2) {
      this.#connection.carry(this, { type: "window", bytes: this.#readSince });
      this.#readSince = 0;
    }
    this.#endWhenRead();
    return { done: false, value: read.message };
  }

  /** Sends what the window allows; the first message over it still goes, so that one of any size can. */
  #flush(): void {
    while (this.#outbox.size > 0 && this.#unreadByPeer < LINK_WINDOW_BYTES) {
      const bytes = this.#outbox.shift();
      if (bytes === undefined) break;
      this.#unreadByPeer += bytes.length;
      this.#connection.carry(this, { type: "message", bytes });
    }
    if (this.#outbox.size > 0) return;
    if (this.#flushed !== undefined && !this.#endSent) {
      this.#endSent = true;
      this.#connection.carry(this, { type: "end" });
    }
    this.#wakeDrained();
  }

  #endWhenRead(): void {
    if (this.#peerEnded && this.#inbox.size === 0) this.finish({ reason: "remote" });
  }

  #wakeDrained(): void {
    for (const waiter of this.#drainWaiters) waiter();
    this.#drainWaiters.clear();
  }

  #fail(cause: HeddleError): void {
    this.#connection.abort(this, cause);
  }
}
