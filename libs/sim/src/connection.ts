import { type HeddleError, type Millis, UnavailableError } from "@heddle/kernel";
import type { Network } from "./network.ts";
import { type AnySide, type Endpoint, type Packet, Side } from "./side.ts";

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
