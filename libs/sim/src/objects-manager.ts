import type { Command, Effect, Operation, Reply, SnapshotPiece } from "@heddle/core-objects";
import { isWrite } from "@heddle/core-objects";
import type { Millis, Random } from "@heddle/kernel";
import { ObjectsOracle, type ObjectsUnderTest, PromiseBroken } from "./objects-oracle.ts";
import { WORLD_TTL_MS } from "./objects-plan.ts";

/** What a client says; `stream`: which of its streams says it. */
export type ToManager =
  | { readonly type: "open"; readonly nonce: string }
  | { readonly type: "attach"; readonly session: number }
  | { readonly type: "keep-alive"; readonly round: number }
  | { readonly type: "close-owner"; readonly owner: number }
  | { readonly type: "close" }
  | {
      readonly type: "ask";
      readonly owner: number;
      readonly acknowledged: readonly number[];
      readonly operations: readonly Operation[];
    };

/** What the manager says. */
export type ToClient =
  | { readonly type: "opened"; readonly session: number }
  | { readonly type: "ended"; readonly session: number }
  | { readonly type: "kept"; readonly round: number }
  | { readonly type: "reply"; readonly owner: number; readonly reply: Reply };

/** A stream as the manager sees it. */
export interface Stream {
  readonly client: string;
  /** The manager that it was dialled at: none outlives a restart. */
  readonly life: number;
  session: number | undefined;
  /** Says something to its client, unless the stream is broken. */
  readonly say: (message: ToClient) => void;
}

/** What the manager needs of the world. */
export interface ManagerWorld {
  readonly nowMs: Millis;
  readonly commitMsMax: Millis;
  /** Lease that the manager counts; another than clients count is a bug. */
  readonly leaseMs: Millis;
  after(delayMs: Millis, run: () => void): void;
  trace(line: string): void;
  /** The lease of a session ran out at the manager. */
  expiring(session: number): void;
}

/** How cores are made. */
export interface Cores {
  readonly make: () => ObjectsUnderTest;
  readonly restore: (pieces: readonly SnapshotPiece[]) => ObjectsUnderTest;
}

/** How much faster or slower the clocks of two machines may go. */
const RHO = 0.002;

/** The manager's shell and its journal, as little of them as leases and a log need. What it says is durable before. */
export class ModelManager {
  readonly oracle = new ObjectsOracle();
  readonly log: Command[] = [];
  readonly #world: ManagerWorld;
  readonly #cores: Cores;
  readonly #random: Random;
  /** Follows the log as far as it is durable. */
  readonly #follower: ObjectsUnderTest;
  #live: ObjectsUnderTest;
  #snapshot: { readonly position: number; readonly pieces: readonly SnapshotPiece[] } | undefined;
  /** Done and not durable yet. */
  #volatile: { readonly command: Command; readonly effects: readonly Effect[] }[] = [];
  #committing = 0;
  #outbox: { readonly position: number; readonly say: () => void }[] = [];
  #streams = new Map<number, Stream>();
  #opening = new Map<string, Stream>();
  #deadlines = new Map<number, Millis>();
  /** Readers that wait: their replies are no part of the log. */
  #reading = new Set<string>();
  #life = 0;
  #lastTickMs = 0;
  up = true;

  constructor(world: ManagerWorld, cores: Cores, random: Random) {
    this.#world = world;
    this.#cores = cores;
    this.#random = random;
    this.#follower = cores.make();
    this.#live = cores.make();
    this.#tick(0);
  }

  /** What is durable. */
  get core(): ObjectsUnderTest {
    return this.#follower;
  }

  /** Which of its lives this is. */
  get life(): number {
    return this.#life;
  }

  get isQuiet(): boolean {
    return this.#volatile.length === 0 && this.#outbox.length === 0;
  }

  receive(stream: Stream, message: ToManager): void {
    if (!this.up || stream.life !== this.#life) return;
    switch (message.type) {
      case "open":
        this.#opening.set(message.nonce, stream);
        this.propose({ type: "session-opened", nonce: message.nonce, ttlMs: WORLD_TTL_MS, description: stream.client });
        return;
      case "attach":
        this.#attach(stream, message.session);
        return;
      default:
        if (stream.session === undefined || !this.#deadlines.has(stream.session)) return;
        this.#receiveOf(stream, stream.session, message);
    }
  }

  propose(command: Command): void {
    if (!this.up) return;
    const effects = this.#live.step(command);
    this.#live.validate();
    this.#volatile.push({ command, effects });
    this.#queue(effects);
    this.#commit();
  }

  saveSnapshot(): void {
    this.#snapshot = { position: this.log.length, pieces: structuredClone([...this.#follower.snapshot()]) };
  }

  /** Everything that is not durable is lost; of a commit under way nobody knows before it is back. */
  crash(backAfterMs: Millis): void {
    if (!this.up) return;
    this.up = false;
    this.#life++;
    if (this.#committing > 0 && this.#random.int(2) === 0) this.#makeDurable(this.#committing);
    this.#committing = 0;
    this.#volatile = [];
    this.#outbox = [];
    this.#streams = new Map();
    this.#opening = new Map();
    this.#deadlines = new Map();
    this.#reading = new Set();
    this.#world.trace("the manager crashes");
    this.#world.after(backAfterMs, () => this.#start());
  }

  #start(): void {
    const { position, pieces } = this.#snapshot ?? { position: 0, pieces: undefined };
    this.#live = pieces === undefined ? this.#cores.make() : this.#cores.restore(pieces);
    for (const command of this.log.slice(position)) this.#live.step(command);
    this.#live.validate();
    const [is, was] = [this.#live, this.#follower].map((core) => JSON.stringify([...core.snapshot()], plainBytes));
    if (is !== was) throw new PromiseBroken(`10: replayed from ${position} it is ${differs(is, was)}`);
    this.up = true;
    const nowMs = this.#world.nowMs;
    for (const { session } of this.#live.sessions())
      this.#deadlines.set(session, nowMs + this.#world.leaseMs * (1 + RHO));
    this.#lastTickMs = nowMs - WORLD_TTL_MS / 8;
    this.#world.trace("the manager is back");
    this.#tick(this.#life);
  }

  #attach(stream: Stream, session: number): void {
    if (!this.#deadlines.has(session)) {
      stream.say({ type: "ended", session });
      return;
    }
    this.#hear(stream, session);
    stream.say({ type: "opened", session });
  }

  /** An older stream of the session is answered no more. */
  #hear(stream: Stream, session: number): void {
    stream.session = session;
    this.#streams.set(session, stream);
    this.#deadlines.set(session, this.#world.nowMs + this.#world.leaseMs * (1 + RHO));
  }

  #receiveOf(stream: Stream, session: number, message: Exclude<ToManager, { type: "open" | "attach" }>): void {
    switch (message.type) {
      case "keep-alive":
        this.#deadlines.set(session, this.#world.nowMs + this.#world.leaseMs * (1 + RHO));
        stream.say({ type: "kept", round: message.round });
        return;
      case "close-owner":
        this.propose({ type: "owner-closed", session, owner: message.owner });
        return;
      case "close":
        this.propose({ type: "session-closed", session });
        return;
      case "ask":
        this.#ask(session, message);
        return;
    }
  }

  /** In order: what reads sees what was written before it. */
  #ask(session: number, { owner, acknowledged, operations }: ToManager & { type: "ask" }): void {
    let writes: Operation[] = [];
    const flush = (): void => {
      if (writes.length > 0)
        this.propose({ type: "operations-asked", session, owner, acknowledged, operations: writes });
      writes = [];
    };
    for (const operation of operations) {
      if (isWrite(operation.verb)) {
        writes.push(operation);
        continue;
      }
      flush();
      this.#reading.add(`${session}.${owner}/${operation.seq}`);
      this.#queue(this.#live.read(session, owner, operation));
      this.#live.validate();
    }
    flush();
  }

  #queue(effects: readonly Effect[]): void {
    const position = this.log.length + this.#volatile.length;
    for (const effect of effects) {
      this.#prepare(effect);
      this.#outbox.push({ position, say: () => this.#say(effect) });
    }
    this.#flush();
  }

  /** What is the shell's own follows at once: it is lost with it in a crash. */
  #prepare(effect: Effect): void {
    if (effect.type === "end-session") this.#deadlines.delete(effect.session);
    if (effect.type === "open-session") {
      const stream = this.#opening.get(effect.nonce);
      if (stream !== undefined) this.#hear(stream, effect.session);
      else this.#deadlines.set(effect.session, this.#world.nowMs + this.#world.leaseMs * (1 + RHO));
    }
  }

  #say(effect: Effect): void {
    switch (effect.type) {
      case "open-session":
        this.#streams.get(effect.session)?.say({ type: "opened", session: effect.session });
        return;
      case "reply":
        this.#streams.get(effect.session)?.say({ type: "reply", owner: effect.owner, reply: effect.reply });
        return;
      case "revoke": // a hint, of which nothing depends
        return;
      case "end-session":
        this.#streams.get(effect.session)?.say({ type: "ended", session: effect.session });
        this.#streams.delete(effect.session);
        return;
      case "refuse-session":
        throw new PromiseBroken("so few sessions are not refused");
    }
  }

  #flush(): void {
    while (this.#outbox[0] !== undefined && this.#outbox[0].position <= this.log.length) this.#outbox.shift()?.say();
  }

  /** What is done while a commit is under way waits for the next one. */
  #commit(): void {
    if (this.#committing > 0 || this.#volatile.length === 0) return;
    this.#committing = this.#volatile.length;
    const life = this.#life;
    this.#world.after(1 + this.#random.int(this.#world.commitMsMax), () => {
      if (life !== this.#life) return;
      this.#makeDurable(this.#committing);
      this.#committing = 0;
      this.#flush();
      this.#commit();
    });
  }

  #makeDurable(count: number): void {
    for (const { command, effects } of this.#volatile.splice(0, count)) {
      const followed = this.#follower.step(command);
      this.#world.trace(`${JSON.stringify(command, plainBytes)} -> ${JSON.stringify(followed, plainBytes)}`);
      const logged = effects.filter((effect) => effect.type !== "reply" || !this.#isRead(effect));
      const [is, was] = [followed, logged].map((each) => JSON.stringify(each, plainBytes));
      if (is !== was) throw new PromiseBroken(`10: the same command made ${differs(is, was)}`);
      this.log.push(command);
      this.#follower.validate();
      this.oracle.observe(command, followed, this.#follower);
    }
  }

  #isRead({ session, owner, reply }: Effect & { type: "reply" }): boolean {
    return this.#reading.has(`${session}.${owner}/${reply.seq}`);
  }

  /** Leases run out, by a clock that stands still with the manager: the time that it was paused is nobody's fault. */
  #tick(life: number): void {
    const { nowMs } = this.#world;
    if (life !== this.#life) return;
    const lagMs = nowMs - this.#lastTickMs - WORLD_TTL_MS / 8;
    this.#lastTickMs = nowMs;
    for (const [session, deadlineMs] of this.#deadlines) {
      if (lagMs > WORLD_TTL_MS / 8) this.#deadlines.set(session, deadlineMs + lagMs);
      else if (deadlineMs < nowMs) {
        this.#world.expiring(session);
        this.propose({ type: "session-expired", session });
      }
    }
    this.#world.after(WORLD_TTL_MS / 8, () => this.#tick(life));
  }
}

/** Where two texts part, in words. */
function differs(is = "", was = ""): string {
  let at = 0;
  while (is[at] === was[at]) at++;
  const around = (text: string): string => text.slice(Math.max(0, at - 200), at + 200);
  return `...${around(is)}... where ...${around(was)}... was`;
}

/** Bytes as a plain array, to compare and to print. */
function plainBytes(_name: string, value: unknown): unknown {
  return value instanceof Uint8Array ? [...value] : value;
}
