import { isWrite, type Operation, type Reply } from "@heddle/core-objects";
import type { Millis, Random } from "@heddle/kernel";
import { encodeValue } from "@heddle/wire";
import type { ToClient, ToManager } from "./objects-manager.ts";
import { WORLD_TTL_MS } from "./objects-plan.ts";
import { type Act, type Call, live, type Script, type Stage } from "./objects-scripts.ts";

/** What a client needs of the world. */
export interface ClientWorld extends Omit<Stage, "random"> {
  readonly nowMs: Millis;
  after(delayMs: Millis, run: () => void): void;
  /** Dials a new stream; what the client had before is broken. Undefined: nobody is there. */
  dial(client: ModelClient): ((message: ToManager) => void) | undefined;
}

/** Margin for scheduling, and for clocks of other rates, by which a client thinks its lease shorter. */
const MARGIN_MS = 50;
const RHO = 0.002;

/** An owner of the client's session, playing its script. */
interface Player {
  readonly owner: number;
  readonly script: Script;
  seq: number;
  /** Asked and not answered, by number. */
  readonly pending: Map<number, { readonly operation: Operation; readonly answered: (reply: Reply) => void }>;
  /** Answered, and the manager does not know yet that this was heard. */
  acknowledged: number[];
  ended: boolean;
}

/**
 * A client, or an agent with its workers: a session with leases, owners that ask, and streams that come and go. What has no reply when a
 * stream breaks is asked again on the next one.
 */
export class ModelClient {
  readonly name: string;
  readonly #world: ClientWorld;
  readonly #random: Random;
  /** Its clock against the world's. */
  readonly #rate: number;
  readonly #owners: number;
  #players = new Map<number, Player>();
  #lastOwner = -1;
  /** Owners of this session that died: told again on each new stream, for nobody says that it was heard. */
  #gone: number[] = [];
  #nonce: string;
  session: number | undefined;
  #send: ((message: ToManager) => void) | undefined;
  /** Operations go out only on a stream that is attached: those that have no reply first, in order. */
  #attached = false;
  #sentMs = new Map<number, Millis>();
  #round = 0;
  /** By its own clock: until then what it holds is its own. */
  #validUntilMs = 0;
  dead = false;
  closed = false;

  constructor(world: ClientWorld, name: string, random: Random, owners: number) {
    this.#world = world;
    this.name = name;
    this.#random = random;
    this.#owners = owners;
    this.#rate = 1 + (random.float() - 0.5) * RHO;
    this.#nonce = world.mint();
    for (let at = 0; at < owners; at++) this.#addPlayer();
    this.#keepAlive();
  }

  /** Whether it thinks, by its own clock, that what it holds is its own. */
  get trusts(): boolean {
    return !this.dead && this.#nowMs < this.#validUntilMs;
  }

  /** All of its owners are done. */
  get isDone(): boolean {
    return this.dead || (this.closed && this.session === undefined);
  }

  /** A stream to dial, or the one that breaks. */
  connect(): void {
    if (this.dead || this.closed) return;
    this.#attached = false;
    this.#send = this.#world.dial(this);
    if (this.#send === undefined) {
      this.#world.after(20 + this.#random.int(100), () => this.connect());
      return;
    }
    this.#sentMs.set(0, this.#nowMs);
    this.#send(
      this.session === undefined ? { type: "open", nonce: this.#nonce } : { type: "attach", session: this.session },
    );
  }

  /** The stream is broken, and the client knows. */
  disconnected(): void {
    if (this.#send === undefined) return;
    this.#send = undefined;
    this.#world.after(this.#random.int(200), () => this.connect());
  }

  receive(message: ToClient): void {
    if (this.dead || this.#send === undefined) return;
    switch (message.type) {
      case "opened":
        this.#opened(message.session);
        return;
      case "ended":
        if (message.session === this.session || this.session === undefined) this.#sessionLost();
        return;
      case "kept":
        this.#renewed(message.round);
        return;
      case "reply":
        this.#heard(message.owner, message.reply);
        return;
    }
  }

  /** One of its owners dies: the manager is told, and another takes its place. */
  killOwner(): void {
    const alive = [...this.#players.values()].filter(({ ended }) => !ended);
    const player = alive[this.#random.int(Math.max(1, alive.length))];
    if (player === undefined || this.session === undefined || this.#send === undefined) return;
    player.ended = true;
    this.#players.delete(player.owner);
    this.#gone.push(player.owner);
    this.#send({ type: "close-owner", owner: player.owner });
    this.#addPlayer();
  }

  /** It has nothing left to do, and says so until it is heard. */
  closeWhenDone(): void {
    const done = [...this.#players.values()].every(({ ended, pending }) => ended && pending.size === 0);
    if (this.dead || !done || this.closed) return;
    if (this.session === undefined) this.closed = true;
    else this.#send?.({ type: "close" });
  }

  describe(): string {
    const players = [...this.#players.values()].map(
      ({ owner, ended, pending }) =>
        `${owner}${ended ? "" : "..."} ${[...pending.values()].map(({ operation: { seq, verb } }) => `${seq}:${verb}`)}`,
    );
    return `${this.name} in session ${this.session}: ${players.join("; ")}`;
  }

  get #nowMs(): Millis {
    return this.#world.nowMs * this.#rate;
  }

  #opened(session: number): void {
    if (this.session !== undefined && this.session !== session) return;
    this.session = session;
    if (this.#attached) return;
    this.#attached = true;
    this.#renewed(0);
    for (const owner of this.#gone) this.#send?.({ type: "close-owner", owner });
    for (const player of this.#players.values()) this.#askAgain(player);
  }

  /** What it acknowledged may be lost too: it says again what it has, which is all but what is pending. */
  #askAgain(player: Player): void {
    player.acknowledged = [];
    let from = 1;
    for (const seq of [...player.pending.keys(), player.seq + 1]) {
      if (seq > from) player.acknowledged.push(from, seq - from);
      from = seq + 1;
    }
    const operations = [...player.pending.values()].map(({ operation }) => operation);
    if (operations.length > 0) this.#ask(player, operations);
  }

  #renewed(round: number): void {
    const sentMs = this.#sentMs.get(round);
    if (sentMs === undefined) return;
    this.#validUntilMs = Math.max(this.#validUntilMs, sentMs + WORLD_TTL_MS * (1 - RHO) - MARGIN_MS);
  }

  #keepAlive(): void {
    if (this.dead || this.closed) return;
    if (this.session !== undefined && this.#send !== undefined) {
      const round = ++this.#round;
      this.#sentMs.set(round, this.#nowMs);
      this.#sentMs.delete(round - 10);
      this.#send({ type: "keep-alive", round });
    }
    this.#world.after(WORLD_TTL_MS / 3, () => this.#keepAlive());
  }

  /** Everything of the session is over; a new one begins. */
  #sessionLost(): void {
    this.session = undefined;
    this.#validUntilMs = 0;
    this.#sentMs = new Map();
    this.#nonce = this.#world.mint();
    const done = [...this.#players.values()].every(({ ended }) => ended);
    for (const player of this.#players.values()) player.ended = true;
    this.#players = new Map();
    this.#gone = [];
    if (this.#world.healed && done) {
      this.closed = true;
      return;
    }
    for (let at = 0; at < this.#owners; at++) this.#addPlayer();
    this.connect();
  }

  #addPlayer(): void {
    const owner = ++this.#lastOwner;
    const stage: Stage = {
      random: this.#random,
      mint: () => this.#world.mint(),
      noted: (kind, mark) => this.#world.noted(kind, mark),
      healed: false,
    };
    const world = this.#world;
    const script = live(Object.defineProperty(stage, "healed", { get: () => world.healed }));
    const player: Player = { owner, script, seq: 0, pending: new Map(), acknowledged: [], ended: false };
    this.#players.set(owner, player);
    this.#world.after(this.#random.int(50), () => this.#play(player, undefined));
  }

  #play(player: Player, reply: Reply | undefined): void {
    if (this.dead || player.ended) return;
    for (let told = reply; ; told = undefined) {
      const { done, value: act } = player.script.next(told);
      if (done) player.ended = true;
      else if (act.type === "rest") this.#world.after(act.forMs, () => this.#play(player, undefined));
      else if (this.#act(player, act)) continue;
      return;
    }
  }

  /** Whether the script goes on at once. */
  #act(player: Player, act: Act & { readonly type: "ask" }): boolean {
    const operation = operationOf(++player.seq, act.call);
    const goesOn = act.goOn === true;
    const answered = (reply: Reply): void => {
      if (!goesOn) this.#play(player, reply);
    };
    player.pending.set(operation.seq, { operation, answered });
    this.#ask(player, [operation]);
    if (act.timeoutMs !== undefined) this.#world.after(act.timeoutMs, () => this.#cancel(player, operation));
    return goesOn;
  }

  #cancel(player: Player, { seq, object }: Operation): void {
    if (this.dead || player.ended || !player.pending.has(seq)) return;
    const operation = operationOf(++player.seq, { verb: "cancel", object, numbers: [seq] });
    player.pending.set(operation.seq, { operation, answered: () => undefined });
    this.#ask(player, [operation]);
  }

  #ask(player: Player, operations: readonly Operation[]): void {
    if (this.#send === undefined || !this.#attached) return;
    this.#send({ type: "ask", owner: player.owner, acknowledged: player.acknowledged, operations });
    player.acknowledged = [];
  }

  #heard(owner: number, reply: Reply): void {
    const player = this.#players.get(owner);
    const pending = player?.pending.get(reply.seq);
    if (player === undefined || pending === undefined) return;
    player.pending.delete(reply.seq);
    if (isWrite(pending.operation.verb)) player.acknowledged.push(reply.seq, 1);
    pending.answered(reply);
  }
}

function operationOf(seq: number, call: Call): Operation {
  const { verb, object, values = [], numbers = [], guards = [], calls = [], expectations = [] } = call;
  const operations = calls.map((each, at) => operationOf(at + 1, each));
  const encoded = values.map((value) => new Uint8Array(encodeValue(value, "value")));
  return { seq, verb, object, values: encoded, numbers, guards, operations, expectations };
}
