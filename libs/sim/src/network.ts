import type { Millis, Random } from "@heddle/kernel";
import type { Connection } from "./connection.ts";
import type { EventLoop } from "./event-loop.ts";
import { drawMs, type FaultPlan } from "./fault-plan.ts";
import type { Life, Machine } from "./life.ts";
import type { ProcessRpc } from "./process-rpc.ts";

/** A message about to leave, as rules see it. */
export interface Envelope {
  readonly linkId: number;
  /** The stream's method. */
  readonly path: string;
  /** Machines. */
  readonly from: string;
  readonly to: string;
  readonly bytes: Uint8Array;
}

/** What a rule does to the link that carries a message: reset it, or let nothing pass until it is mended. */
export type Verdict = "pass" | "sever" | "blackhole";

/** A fault aimed at a certain message. The first verdict other than "pass" counts. */
export type Rule = (envelope: Envelope) => Verdict;

/** The wires between all machines: who is parted from whom, which connections exist, how long a packet takes. */
export class Network {
  readonly #loop: EventLoop;
  readonly #random: Random;
  readonly #connections = new Set<Connection>();
  /** "from>to" of machines: what `from` sends does not reach `to`. */
  readonly #parted = new Set<string>();
  readonly #rules = new Set<Rule>();
  /** The process that serves each machine's addresses. Written at boot. */
  readonly #servers = new Map<string, ProcessRpc>();
  #linkCount = 0;
  #plan: FaultPlan;

  constructor(loop: EventLoop, random: Random, plan: FaultPlan) {
    this.#loop = loop;
    this.#random = random;
    this.#plan = plan;
  }

  get nowMs(): Millis {
    return this.#loop.nowMs;
  }

  /** Connections that carry or may carry something, oldest first. */
  get connections(): readonly Connection[] {
    return [...this.#connections];
  }

  /** Faults by chance end; delays stay. */
  calm(): void {
    this.#plan = { ...this.#plan, refuseDial: 0 };
  }

  nextLinkId(): number {
    return ++this.#linkCount;
  }

  /** How long a packet takes. On one machine: no time. */
  delayMs(from: Machine, to: Machine): Millis {
    return from === to ? 0 : drawMs(this.#random, this.#plan.delayMs);
  }

  /** Whether this dial or question is refused by chance. */
  refuses(): boolean {
    return this.#plan.refuseDial > 0 && this.#random.float() < this.#plan.refuseDial;
  }

  serve(machine: Machine, server: ProcessRpc): void {
    this.#servers.set(machine.name, server);
  }

  /** The process behind an address, alive or dead; undefined when there never was such a machine. */
  serverAt(address: string): ProcessRpc | undefined {
    return this.#servers.get(address.slice(0, Math.max(0, address.lastIndexOf(":"))));
  }

  add(connection: Connection): void {
    this.#connections.add(connection);
  }

  forget(connection: Connection): void {
    this.#connections.delete(connection);
  }

  isParted(from: Machine, to: Machine): boolean {
    return this.#parted.has(`${from.name}>${to.name}`);
  }

  /** What `from` sends does not reach `to` until `rejoin`. The other direction is another matter. */
  part(from: string, to: string): void {
    this.#parted.add(`${from}>${to}`);
  }

  /** Ends a `part`: what was held goes on its way, or the connection is reset. */
  rejoin(from: string, to: string): void {
    if (!this.#parted.delete(`${from}>${to}`)) return;
    for (const connection of this.connections) {
      if (connection.joins(from, to)) connection.release(this.#goesOn());
    }
  }

  /** Ends every outage. */
  heal(): void {
    this.calm();
    this.#parted.clear();
    this.#rules.clear();
    for (const connection of this.connections) connection.mend(this.#goesOn());
  }

  /** Ends the blackhole of one connection. */
  mend(connection: Connection): void {
    connection.mend(this.#goesOn());
  }

  rule(rule: Rule): Disposable {
    this.#rules.add(rule);
    return {
      [Symbol.dispose]: () => {
        this.#rules.delete(rule);
      },
    };
  }

  judge(envelope: Envelope): Verdict {
    for (const rule of this.#rules) {
      const verdict = rule(envelope);
      if (verdict !== "pass") return verdict;
    }
    return "pass";
  }

  /** The process on `life` has ended: its connections are reset, or say nothing more at all. */
  bury(life: Life, silent: boolean): void {
    for (const connection of this.connections) {
      for (const side of [connection.dialer, connection.acceptor])
        if (side.life === life) connection.widow(side, silent);
    }
  }

  /** A machine boots: its kernel resets what an earlier life left behind. */
  disown(machine: Machine): void {
    for (const connection of this.connections) {
      for (const side of [connection.dialer, connection.acceptor]) {
        if (side.life.machine === machine && !side.life.alive) connection.sever(`${machine.name} has booted`);
      }
    }
  }

  #goesOn(): boolean {
    return this.#random.int(3) > 0;
  }
}
