import { Objects, type Operation, type SnapshotPiece } from "@heddle/core-objects";
import { Heap, type Millis, mintId, type Random, seededRandom } from "@heddle/kernel";
import { decodeValue, encodeValue } from "@heddle/wire";
import { Digest } from "./digest.ts";
import { type ClientWorld, ModelClient } from "./objects-client.ts";
import {
  type Cores,
  type ManagerWorld,
  ModelManager,
  type Stream,
  type ToClient,
  type ToManager,
} from "./objects-manager.ts";
import { SHARED_JOB, worldObjects } from "./objects-model.ts";
import { type ObjectsUnderTest, PromiseBroken } from "./objects-oracle.ts";
import { drawPlan, type ObjectsPlan, WORLD_TTL_MS } from "./objects-plan.ts";

/** How a run is made. */
export interface ObjectsRunOptions {
  /** Wraps each core that is made, to plant a bug. */
  readonly plant?: (core: Objects) => ObjectsUnderTest;
  /** What becomes of a snapshot on its way to disk and back. */
  readonly spoil?: (pieces: readonly SnapshotPiece[]) => readonly SnapshotPiece[];
  /** Lease that the manager counts, when it is not what it promised. */
  readonly leaseMs?: Millis;
  /** Called with a line per command. */
  readonly trace?: (line: string) => void;
  /** Changes what the seed drew. */
  readonly override?: Partial<ObjectsPlan>;
}

/** What a run was. The same seed gives the same report on every machine. */
export interface ObjectsRunReport {
  readonly seed: number;
  readonly plan: ObjectsPlan;
  readonly commands: number;
  readonly virtualMs: Millis;
  /** Of every command and effect, in order. */
  readonly digest: string;
  /** Writes that were acknowledged, by kind. */
  readonly acknowledged: Readonly<Record<string, number>>;
  /** Why the run failed; undefined when every promise was kept. */
  readonly failure: string | undefined;
}

/** All that waits must be over this long after everything healed. */
const LIVENESS_BOUND_MS = 60_000;
/** By then what everybody finds by name is there, and durable. */
const FURNISHED_MS = 100;
/** Events after which a run that goes round in circles is given up. */
const EVENTS_MAX = 400_000;

/** Runs shared objects through the faults of `seed`, then through the time after. Never throws: what broke is in the report. */
export function runObjectsSeed(seed: number, options: ObjectsRunOptions = {}): ObjectsRunReport {
  const world = new ObjectsWorld(seed, options);
  let failure: string | undefined;
  try {
    world.run();
  } catch (error) {
    failure = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
  return { ...world.report(), failure };
}

interface Event {
  readonly atMs: Millis;
  readonly sequence: number;
  readonly run: () => void;
}

/** A client and the way between it and the manager. */
interface Wire {
  readonly client: ModelClient;
  stream: Stream | undefined;
  /** Nothing arrives before what was said earlier, in each direction. */
  toManagerMs: Millis;
  toClientMs: Millis;
  readonly pause: Pause;
}

/** A process that stands still until then. */
interface Pause {
  untilMs: Millis;
}

class ObjectsWorld implements ManagerWorld, ClientWorld {
  readonly plan: ObjectsPlan;
  readonly leaseMs: Millis;
  readonly #seed: number;
  readonly #trace: ((line: string) => void) | undefined;
  readonly #digest = new Digest();
  readonly #events = new Heap<Event>((a, b) => a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence));
  readonly #network: Random;
  readonly #trouble: Random;
  readonly #ids: Random;
  readonly #manager: ModelManager;
  readonly #wires: Wire[] = [];
  readonly #noted = new Map<string, Set<unknown>>();
  #managerPausedUntilMs: Millis = 0;
  #sequence = 0;
  #eventCount = 0;
  nowMs: Millis = 0;
  healed = false;

  constructor(seed: number, { plant, spoil, leaseMs, trace, override }: ObjectsRunOptions) {
    this.leaseMs = leaseMs ?? WORLD_TTL_MS;
    this.#seed = seed;
    this.plan = { ...drawPlan(seed), ...override };
    this.#trace = trace;
    this.#network = seededRandom(seed, "network");
    this.#trouble = seededRandom(seed, "trouble");
    this.#ids = seededRandom(seed, "ids");
    const codec = {
      decode: (bytes: Uint8Array) => decodeValue(bytes),
      encode: (value: unknown) => encodeValue(value, "value"),
    };
    const planted = (core: Objects): ObjectsUnderTest => plant?.(core) ?? core;
    const cores: Cores = {
      make: () => planted(new Objects({ values: codec })),
      restore: (pieces) => planted(Objects.restore(spoil?.(pieces) ?? pieces, { values: codec })),
    };
    this.#manager = new ModelManager(this, cores, seededRandom(seed, "manager"));
  }

  get commitMsMax(): Millis {
    return this.plan.commitMsMax;
  }

  /** Phase 1 with faults, phase 2 without; at the end nobody waits, and nothing is left but what has a name. */
  run(): void {
    this.#furnish();
    for (let at = 0; at < this.plan.clients; at++) this.#addClient(`c${at}`);
    this.after(FURNISHED_MS, () => this.#planFaults());
    this.after(this.plan.faultsUntilMs, () => this.#heal());
    for (let event = this.#events.pop(); event !== undefined; event = this.#events.pop()) {
      this.nowMs = event.atMs;
      if (this.nowMs > this.plan.faultsUntilMs + LIVENESS_BOUND_MS || this.#eventCount++ > EVENTS_MAX) break;
      event.run();
      if (this.#isOver()) break;
    }
    this.#checkEnd();
  }

  report(): Omit<ObjectsRunReport, "failure"> {
    const acknowledged = Object.fromEntries([...this.#noted].map(([kind, marks]) => [kind, marks.size]));
    const told = { seed: this.#seed, plan: this.plan, commands: this.#manager.log.length, virtualMs: this.nowMs };
    return { ...told, digest: this.#digest.hex(), acknowledged };
  }

  after(delayMs: Millis, run: () => void): void {
    this.#events.push({ atMs: this.nowMs + Math.max(0, Math.round(delayMs)), sequence: this.#sequence++, run });
  }

  trace(line: string): void {
    this.#digest.text(line);
    this.#trace?.(`${this.nowMs} ${line}`);
  }

  mint(): string {
    return mintId(this.#ids);
  }

  noted(kind: string, mark: unknown): void {
    const marks = this.#noted.get(kind) ?? new Set();
    if (marks.has(mark)) throw new PromiseBroken(`7: ${kind} ${mark} twice`);
    this.#noted.set(kind, marks.add(mark));
  }

  /** 6: whoever holds the session must know, by its own clock, that it has lost it. */
  expiring(session: number): void {
    for (const { client } of this.#wires)
      if (client.session === session && client.trusts)
        throw new PromiseBroken(`6: session ${session} expires while ${client.name} trusts it`);
  }

  dial(client: ModelClient): ((message: ToManager) => void) | undefined {
    const wire = this.#wires.find((each) => each.client === client);
    if (wire === undefined || !this.#manager.up) return undefined;
    const { life } = this.#manager;
    const say = (message: ToClient): void => this.#toClient(wire, stream, message);
    const stream: Stream = { client: client.name, life, session: undefined, say };
    wire.stream = stream;
    return (message) => this.#toManager(wire, stream, message);
  }

  // ---- the way between clients and the manager

  #toManager(wire: Wire, stream: Stream, message: ToManager): void {
    wire.toManagerMs = Math.max(wire.toManagerMs, this.nowMs + 1 + this.#network.int(this.plan.delayMsMax));
    const arrive = (): void => {
      const isLate = wire.stream !== stream;
      if (isLate && (!this.plan.lateFrames || this.healed)) return;
      this.#whenManagerRuns(() => this.#manager.receive(stream, message));
    };
    this.after(wire.toManagerMs - this.nowMs, arrive);
    if (!this.healed && message.type === "ask" && this.#network.float() < this.plan.duplicates)
      this.after(wire.toManagerMs - this.nowMs + this.#network.int(300), arrive);
  }

  /** A process that stands still finds everything that came meanwhile when it goes on. */
  #whenManagerRuns(run: () => void): void {
    const waitMs = this.#managerPausedUntilMs - this.nowMs;
    if (waitMs <= 0) run();
    else this.after(waitMs, run);
  }

  #toClient(wire: Wire, stream: Stream, message: ToClient): void {
    wire.toClientMs = Math.max(wire.toClientMs, this.nowMs + 1 + this.#network.int(this.plan.delayMsMax));
    this.after(wire.toClientMs - this.nowMs, () => {
      if (wire.stream === stream)
        this.#whenClientRuns(wire.pause, () => wire.stream === stream && wire.client.receive(message));
    });
  }

  #whenClientRuns(pause: Pause, run: () => void): void {
    const waitMs = pause.untilMs - this.nowMs;
    if (waitMs <= 0) run();
    else this.after(waitMs, () => this.#whenClientRuns(pause, run));
  }

  #breakStream(wire: Wire): void {
    if (wire.stream === undefined) return;
    wire.stream = undefined;
    this.#whenClientRuns(wire.pause, () => wire.client.disconnected());
  }

  // ---- clients

  /** Somebody makes what everybody finds by name, and is never heard of again. */
  #furnish(): void {
    this.#manager.propose({ type: "session-opened", nonce: this.mint(), ttlMs: 60_000, description: "furnisher" });
    const operations: Operation[] = worldObjects.map(([object, ...values], at) => ({
      ...{ seq: at + 1, verb: "create" as const, object, numbers: [], guards: [], operations: [], expectations: [] },
      values: values.map((value) => encodeValue(value, "value")),
    }));
    const values = [encodeValue(SHARED_JOB, "value")];
    const nothing = { guards: [], operations: [], expectations: [] };
    operations.push({ seq: 99, verb: "effects-open", object: "", numbers: [1], values, ...nothing });
    this.#manager.propose({ type: "operations-asked", session: 1, owner: 0, acknowledged: [], operations });
  }

  #addClient(name: string): void {
    const random = seededRandom(this.#seed, `client ${name}`);
    const pause: Pause = { untilMs: 0 };
    const client = new ModelClient(this.#asSeenBy(pause), name, random, this.plan.owners);
    this.#wires.push({ client, stream: undefined, toManagerMs: 0, toClientMs: 0, pause });
    this.after(this.#network.int(100), () => client.connect());
  }

  /** The world for a client that may be paused: what is due meanwhile comes when it goes on. */
  #asSeenBy(pause: Pause): ClientWorld {
    const world = this;
    return {
      get nowMs() {
        return world.nowMs;
      },
      get healed() {
        return world.healed;
      },
      after: (delayMs, run) => this.after(delayMs, () => this.#whenClientRuns(pause, run)),
      dial: (client) => this.dial(client),
      mint: () => this.mint(),
      noted: (kind, mark) => this.noted(kind, mark),
    };
  }

  // ---- faults

  #planFaults(): void {
    const { plan } = this;
    this.#every(plan.breakEveryMs, () => this.#withWire((wire) => this.#breakStream(wire)));
    this.#every(plan.managerCrashEveryMs, () => this.#crashManager());
    this.#every(plan.managerPauseEveryMs, () => {
      this.#managerPausedUntilMs = Math.max(this.#managerPausedUntilMs, this.nowMs + this.#trouble.int(4_000));
    });
    this.#every(plan.clientPauseEveryMs, () =>
      this.#withWire((wire) => {
        wire.pause.untilMs = Math.max(wire.pause.untilMs, this.nowMs + this.#trouble.int(4_000));
      }),
    );
    this.#every(plan.clientCrashEveryMs, () => this.#withWire((wire) => this.#crashClient(wire)));
    this.#every(plan.ownerDeathEveryMs, () =>
      this.#withWire((wire) => this.#whenClientRuns(wire.pause, () => wire.client.killOwner())),
    );
    this.#every(plan.adminBreakEveryMs, () => {
      const object = this.#trouble.int(2) === 0 ? "@k" : "@r";
      this.#whenManagerRuns(() => this.#manager.propose({ type: "lock-broken", object, reason: "somebody said so" }));
    });
    this.#every(plan.snapshotEveryMs, () => this.#manager.saveSnapshot());
  }

  #every(meanMs: Millis, trouble: () => void): void {
    if (meanMs === 0) return;
    this.after(1 + this.#trouble.int(2 * meanMs), () => {
      if (this.healed) return;
      trouble();
      this.#every(meanMs, trouble);
    });
  }

  #withWire(trouble: (wire: Wire) => void): void {
    const wire = this.#wires[this.#trouble.int(this.#wires.length)];
    if (wire !== undefined && !wire.client.dead) trouble(wire);
  }

  #crashManager(): void {
    this.#manager.crash(this.#trouble.int(this.#trouble.int(2) === 0 ? 200 : 3_000));
    for (const wire of this.#wires) this.#breakStream(wire);
  }

  /** Nobody tells the manager: its lease has to run out. */
  #crashClient(wire: Wire): void {
    wire.client.dead = true;
    wire.stream = undefined;
    this.#addClient(`${wire.client.name}'`);
  }

  // ---- the end

  #heal(): void {
    this.healed = true;
    this.trace("healed");
    this.#closeAll();
  }

  #closeAll(): void {
    for (const { client } of this.#wires) client.closeWhenDone();
    this.after(500, () => this.#closeAll());
  }

  #isOver(): boolean {
    return (
      this.healed &&
      this.#manager.up &&
      this.#manager.isQuiet &&
      this.#manager.core.sessions().length === 0 &&
      this.#wires.every(({ client }) => client.isDone)
    );
  }

  #checkEnd(): void {
    const { core, oracle } = this.#manager;
    if (!this.#isOver()) {
      const clients = this.#wires.map(({ client }) => client.describe());
      throw new PromiseBroken(`no progress: ${clients.join(" | ")}; ${JSON.stringify(core.sessions())}`);
    }
    for (const { object, waiting } of core.objects())
      if (waiting > 0) throw new PromiseBroken(`8: ${waiting} wait at ${object} for ever`);
    for (const { object, holders } of core.locks())
      if (holders.length > 0) throw new PromiseBroken(`5: ${object} is held for ever`);
    if (oracle.model.waiting > 0) throw new PromiseBroken("8: somebody waits for ever");
    const log = oracle.model.log;
    if (new Set(log).size < log.length) throw new PromiseBroken("7: something was appended twice");
    for (const mark of this.#noted.get("appended") ?? [])
      if (!log.includes(mark)) throw new PromiseBroken(`${mark} was acknowledged and is lost`);
    const items = core.objects().find(({ object }) => object === "@log")?.items;
    if (items !== log.length) throw new PromiseBroken(`the log has ${items} items, not ${log.length}`);
    this.#checkOnce();
  }

  /** What items of the shared job have written is there once, if and only if they are settled. */
  #checkOnce(): void {
    const { core, oracle } = this.#manager;
    const written = new Map(entriesIn(core.snapshot(), "@once"));
    const own = [...written.keys()].filter((key) => key.startsWith(`${SHARED_JOB}/`));
    for (const key of own)
      if (written.get(key) !== 1) throw new PromiseBroken(`14: ${key} has written ${written.get(key)} times`);
    const { settled } = oracle.model;
    if (own.sort().join() !== [...settled].sort().join())
      throw new PromiseBroken(`14: ${own} have written, and ${settled} are settled`);
    for (const [key, times] of oracle.model.written)
      if (written.get(key) !== times) throw new PromiseBroken(`14: ${key}: ${written.get(key)}, not ${times}`);
  }
}

/** Keys and numbers of a dict, as a snapshot has them. */
function entriesIn(pieces: Iterable<SnapshotPiece>, ref: string): [key: string, value: number][] {
  const values: Uint8Array[] = [];
  let isIts = false;
  for (const piece of pieces) {
    if (piece.type === "items") values.push(...(isIts ? piece.items : []));
    else isIts = piece.type === "object" && piece.ref === ref;
  }
  const decoded = values.map((value) => decodeValue(value));
  return Array.from({ length: decoded.length / 2 }, (_, at) => [String(decoded[2 * at]), Number(decoded[2 * at + 1])]);
}
