import {
  type ClientKey,
  type Effect,
  type Input,
  type JobKey,
  type NodeKey,
  type PoolKey,
  type Requirements,
  Scheduler,
  type SchedulerOptions,
} from "@heddle/core-scheduler";
import { Heap, hash32, type Millis, type Random, seededRandom } from "@heddle/kernel";
import {
  type AgentWorld,
  type Equipment,
  type FromNode,
  ModelAgent,
  type NodeLife,
  newLife,
  type ToNode,
  type Workload,
} from "./scheduler-agents.ts";
import { bytesOf, Consumers } from "./scheduler-consumers.ts";
import { drawTrouble, RUN_LIMITS, type SwarmOptions, swarm } from "./scheduler-faults.ts";
import { SchedulerOracle } from "./scheduler-oracle.ts";
import { drawResume, settledOf } from "./scheduler-resumes.ts";
import type { TailWatch } from "./scheduler-tail.ts";
import { Throttles } from "./scheduler-throttles.ts";
import { isPoisoned, items } from "./scheduler-workload.ts";

/** What is simulated: a Scheduler, or one with a planted bug. */
export type SchedulerUnderTest = Pick<Scheduler, "step" | "validate" | "jobs" | "nodes">;

/** How a run is made. */
export interface RunOptions {
  readonly make?: (options: SchedulerOptions) => SchedulerUnderTest;
  /** Called with a line per step. */
  readonly trace?: (line: string) => void;
  /** Changes what the seed drew. */
  readonly override?: Partial<SwarmOptions>;
  /** Sees that no slot idles beside chunks that wait; told of each step. */
  readonly tail?: TailWatch;
}

/** What a run was. The same seed gives the same report, digest included, on every machine. */
export interface RunReport {
  readonly seed: number;
  readonly options: SwarmOptions;
  readonly steps: number;
  readonly virtualMs: Millis;
  /** Of every input and effect, in order. */
  readonly digest: string;
  readonly ends: ReadonlyMap<JobKey, string>;
  /** Why the run failed; undefined when every promise was kept. */
  readonly failure: string | undefined;
}

/** All work must be over this long after everything healed. */
const LIVENESS_BOUND_MS = 120_000;
/** Steps after which a run that goes round in circles is given up. */
const STEPS_MAX = 100_000;

/** Runs the scheduler through the faults of `seed`, then through the time after. Never throws: what broke is in the report. */
export function runSeed(seed: number, run: RunOptions = {}): RunReport {
  const world = new SchedulerWorld(seed, run);
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

interface ClientPlan {
  readonly key: ClientKey;
  readonly pools: readonly PoolKey[];
}

/** The simulated world of one Scheduler: clients, links, nodes, time. */
class SchedulerWorld implements AgentWorld {
  readonly options: SwarmOptions;
  readonly random: Random;
  readonly workload: Workload;
  readonly #seed: number;
  readonly #core: SchedulerUnderTest;
  readonly #oracle: SchedulerOracle;
  readonly #trace: ((line: string) => void) | undefined;
  readonly #events = new Heap<Event>((a, b) => a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence));
  readonly #network: Random;
  readonly #trouble: Random;
  readonly #plan: Random;
  readonly #depths: Random;
  readonly #wants: Random;
  readonly #resumes: Random;
  readonly #speculates: Random;
  readonly #mortals: Random;
  readonly #consumers: Consumers;
  readonly #throttles: Throttles;
  readonly #tail: TailWatch | undefined;
  readonly #lives = new Map<NodeKey, NodeLife>();
  readonly #clients: ClientPlan[] = [];
  readonly #jobs: JobKey[] = [];
  #nowMs: Millis = 0;
  #sequence = 0;
  #steps = 0;
  #digest = 0;
  #lastKey = 0;
  /** The timer the core asked for; an older one is void. */
  #timer = 0;
  #healed = false;

  constructor(seed: number, run: RunOptions) {
    this.#seed = seed;
    this.options = { ...swarm(seed), ...run.override };
    this.random = seededRandom(seed, "duration");
    this.#network = seededRandom(seed, "network");
    this.#trouble = seededRandom(seed, "trouble");
    this.#plan = seededRandom(seed, "workload");
    this.#depths = seededRandom(seed, "depths");
    const make = run.make ?? ((options) => new Scheduler(options));
    this.#core = make({
      random: seededRandom(seed, "jitter"),
      limits: { ...RUN_LIMITS, unschedulableMs: this.options.unschedulableMs },
    });
    this.#wants = seededRandom(seed, "wants");
    this.#resumes = seededRandom(seed, "resumes");
    this.#speculates = seededRandom(seed, "speculates");
    this.#mortals = seededRandom(seed, "mortals");
    this.#consumers = new Consumers(this, seededRandom(seed, "consumers"));
    const throttled = { after: this.after.bind(this), feed: (input: Input): void => this.#feed(input) };
    this.#throttles = new Throttles(throttled, this.options, this.#plan, seededRandom(seed, "throttles"));
    this.#tail = run.tail;
    this.#trace = run.trace;
    this.workload = items(seed, this.options);
    const { kills, markLoss, sickNodes } = this.options;
    const isPoison = (job: JobKey, chunk: number, offset: number): boolean =>
      isPoisoned(seed, this.options, job, chunk, offset);
    this.#oracle = new SchedulerOracle({
      isPoison: kills + markLoss + sickNodes === 0 ? isPoison : undefined,
      unschedulableMs: this.options.unschedulableMs,
    });
  }

  get faulty(): boolean {
    return !this.#healed;
  }

  after(delayMs: Millis, run: () => void): void {
    this.#events.push({ atMs: this.#nowMs + Math.max(0, Math.round(delayMs)), sequence: this.#sequence++, run });
  }

  /** Phase 1 with faults, phase 2 without, and at the end everything late has arrived and nothing is left. */
  run(): void {
    for (let at = 0; at < this.options.nodes; at++) this.#joinNode(this.#equip(), at < this.options.sickNodes);
    for (let at = 0; at < this.options.clients; at++) this.#joinClient();
    for (let at = 0; at < this.options.jobs; at++) this.after(this.#plan.int(1_000), () => this.#openJob());
    this.after(this.options.faultsUntilMs, () => this.#heal());
    for (let event = this.#events.pop(); event !== undefined; event = this.#events.pop()) {
      this.#nowMs = event.atMs;
      if (this.#nowMs > this.options.faultsUntilMs + LIVENESS_BOUND_MS || this.#steps > STEPS_MAX) break;
      event.run();
    }
    const stuck = this.#core.jobs();
    if (stuck.length > 0)
      throw new Error(`no progress: ${JSON.stringify(stuck)} on ${JSON.stringify(this.#core.nodes())}`);
    this.#oracle.checkQuiet();
  }

  report(): Omit<RunReport, "failure"> {
    const ends = new Map(this.#jobs.map((job) => [job, this.#oracle.endOf(job) ?? "open"]));
    const digest = (this.#digest >>> 0).toString(16).padStart(8, "0");
    return { seed: this.#seed, options: this.options, steps: this.#steps, virtualMs: this.#nowMs, digest, ends };
  }

  /** A message from an agent. */
  send(agent: ModelAgent, message: FromNode): void {
    const life = this.#lives.get(agent.key);
    if (life !== undefined) this.#transmit(life, 1, message.type, () => this.#feed(message));
  }

  /** The consumer of a job's results took some. */
  take(job: JobKey, bytes: number): void {
    this.#feed({ type: "results-taken", job, bytes });
  }

  #feed(input: Input): void {
    this.#steps++;
    const effects = this.#core.step(this.#nowMs, input);
    const line = `${this.#nowMs} ${JSON.stringify(input)} -> ${JSON.stringify(effects)}`;
    this.#trace?.(line);
    this.#digest = Math.imul(this.#digest, 31) + hash32(line);
    this.#core.validate();
    this.#oracle.observe(this.#nowMs, input, effects, this.#core.nodes());
    this.#tail?.observe(this.#nowMs, input, effects, this.#core);
    for (const effect of effects) {
      if (effect.type === "deliver-span" || effect.type === "fail-item") this.#consumers.heard(effect, bytesOf(input));
      this.#perform(effect);
    }
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case "assign-chunk":
      case "revoke-chunk":
        this.#sendToNode(effect);
        return;
      case "set-timer": {
        const timer = ++this.#timer;
        this.after(effect.atMs - this.#nowMs, () => {
          if (timer === this.#timer) this.#feed({ type: "timer-fired" });
        });
        return;
      }
      case "node-drained":
        if (this.#lives.get(effect.node)?.leaving === true)
          this.after(this.#network.int(this.options.delayMsMax), () => this.#loseNode(effect.node));
        return;
      case "deliver-span":
      case "fail-item":
      case "end-job":
      case "release-chunk":
      case "forget-job":
      case "retire-pool":
      case "announce-capacity":
        return;
    }
  }

  // ---- links

  #sendToNode(message: ToNode): void {
    const life = this.#lives.get(message.node);
    if (life !== undefined) this.#transmit(life, 0, message.type, () => life.agent.receive(message, this.#nowMs));
  }

  #transmit(life: NodeLife, direction: 0 | 1, type: string, arrive: () => void): void {
    const { model, delayMsMax } = this.options;
    const delayMs = this.#network.int(delayMsMax) + 1;
    if (model === "hostile" && !this.#healed) {
      this.#transmitHostile(life, type, delayMs, arrive);
      return;
    }
    const atMs = Math.max(life.arrivedMs[direction], this.#nowMs + delayMs);
    life.arrivedMs[direction] = atMs;
    this.after(atMs - this.#nowMs, () => this.#arrive(life, arrive));
  }

  /** A session carries on where the link broke, so what is on its way then arrives in order later, if the node is not lost. */
  #arrive(life: NodeLife, arrive: () => void): void {
    if (life.broken) life.waiting.push(arrive);
    else arrive();
  }

  /** A lost assignment or answer is noticed by nobody but the lease. */
  #transmitHostile(life: NodeLife, type: string, delayMs: Millis, arrive: () => void): void {
    const { drop, duplicate, reorder, leaseMs } = this.options;
    const draw = (): boolean => this.#network.float() < reorder;
    if (this.#network.float() < drop) {
      if (type === "credit-granted") this.after(leaseMs, () => life.agent.grant());
      else if (type !== "chunk-started") this.after(leaseMs, () => this.#crash(life));
      return;
    }
    this.after(draw() ? delayMs * 10 : delayMs, () => this.#arrive(life, arrive));
    if (this.#network.float() < duplicate) this.after(delayMs * (draw() ? 20 : 1), () => this.#arrive(life, arrive));
  }

  // ---- nodes and their trouble

  #joinNode(equipment = this.#equip(), isSick = false): void {
    const agent = new ModelAgent(this, ++this.#lastKey as NodeKey, equipment, isSick);
    const isMortal = !this.#healed && this.#mortals.float() < this.options.mortals;
    const lastsMs = isMortal ? this.#mortals.int(3_000) : undefined;
    const life = newLife(agent);
    this.#lives.set(agent.key, life);
    this.#feed({ type: "node-joined", node: agent.key, slots: agent.slots, ...equipment, lastsMs });
    agent.grant();
    this.#planTrouble(life);
    if (lastsMs !== undefined) this.after(lastsMs, () => this.#comeToEnd(life));
  }

  /** It leaves, and whatever still runs there is gone with it. */
  #comeToEnd(life: NodeLife): void {
    if (life.lost) return;
    life.leaving = true;
    this.#feed({ type: "node-leaving", node: life.agent.key });
    this.after(this.#mortals.int(this.options.leaseMs), () => this.#crash(life));
  }

  #equip(): Equipment {
    const zone = this.#wants.int(2) === 0 ? "a" : "b";
    return { labels: new Map([["zone", zone]]), resources: new Map([["gpu", this.#wants.int(3)]]) };
  }

  #want(): Requirements | undefined {
    if (this.#wants.float() >= this.options.needs) return undefined;
    const labels = new Map(this.#wants.int(2) === 0 ? [] : [["zone", "a"]]);
    return { labels, resources: new Map([["gpu", this.#wants.int(5) / 2]]) };
  }

  #planTrouble(life: NodeLife): void {
    if (this.#healed) return;
    this.after(this.#trouble.int(2 * this.options.troubleEveryMs), () => {
      if (this.#healed || life.lost) return;
      this.#makeTrouble(life);
      this.#planTrouble(life);
    });
  }

  #makeTrouble(life: NodeLife): void {
    const node = life.agent.key;
    const lastsMs = this.#trouble.int(2 * this.options.leaseMs);
    switch (drawTrouble(this.options, this.#trouble.float())) {
      case "break":
        this.#break(life);
        return;
      case "crash":
        this.#crash(life);
        return;
      case "drain":
        this.#drain(node, lastsMs);
        return;
      case "leave":
        life.leaving = true;
        this.#feed({ type: "node-leaving", node });
        return;
      case "cordon":
        this.#feed({ type: "node-cordoned", node, cordoned: true });
        this.after(lastsMs, () => this.#feed({ type: "node-cordoned", node, cordoned: false }));
        return;
      case "start-fault":
        life.agent.brokenUntilMs = this.#nowMs + lastsMs;
        return;
      case undefined:
        return;
    }
  }

  /** By an operator who may think of another deadline, and uncordons it at last, done or not. */
  #drain(node: NodeKey, lastsMs: Millis): void {
    const { leaseMs } = this.options;
    const ask = (): void =>
      this.#feed({
        type: "node-drain-requested",
        node,
        stopAfterMs: this.#trouble.int(3) * this.#trouble.int(leaseMs),
      });
    ask();
    if (this.#trouble.int(3) === 0) this.after(this.#trouble.int(lastsMs + 1), ask);
    this.after(lastsMs, () => this.#feed({ type: "node-cordoned", node, cordoned: false }));
  }

  /** The link breaks and comes back, or not before the lease is over. */
  #break(life: NodeLife): void {
    if (life.broken || life.lost) return;
    const { leaseMs } = this.options;
    const node = life.agent.key;
    life.broken = true;
    this.#feed({ type: "node-silent", node, silent: true });
    const mendsAfterMs = this.#trouble.int(2 * leaseMs);
    if (mendsAfterMs < leaseMs) this.after(mendsAfterMs, () => this.#mend(life));
    else this.after(leaseMs, () => this.#loseNode(node));
  }

  #mend(life: NodeLife): void {
    if (!life.broken || life.lost) return;
    life.broken = false;
    this.#feed({ type: "node-silent", node: life.agent.key, silent: false });
    for (const arrive of life.waiting.splice(0)) arrive();
  }

  #crash(life: NodeLife): void {
    life.agent.dead = true;
    this.#loseNode(life.agent.key);
  }

  /** Given up by the coordinator; old answers may still arrive, and a new life of the node begins. */
  #loseNode(node: NodeKey): void {
    const life = this.#lives.get(node);
    if (life === undefined || life.lost) return;
    life.lost = true;
    this.#feed({ type: "node-lost", node });
    life.broken = false;
    for (const arrive of life.waiting.splice(0)) this.after(this.#network.int(this.options.leaseMs), arrive);
    this.after(this.#network.int(this.options.leaseMs), () => {
      life.agent.dead = true;
      this.#joinNode(this.#equip(), life.agent.isSick);
    });
  }

  /** Faults end: links mend, nodes come back into service or are replaced, clients read, and one node has all that is asked for. */
  #heal(): void {
    this.#healed = true;
    if (this.options.needs > 0) this.#joinNode({ labels: new Map([["zone", "a"]]), resources: new Map([["gpu", 2]]) });
    for (const life of [...this.#lives.values()]) {
      if (life.lost) continue;
      this.#mend(life);
      const node = life.agent.key;
      this.#feed({ type: "node-cordoned", node, cordoned: false });
      life.agent.grant();
    }
    this.#throttles.heal();
  }

  // ---- clients

  #joinClient(): void {
    const client = ++this.#lastKey as ClientKey;
    this.#feed({ type: "client-joined", client });
    const pools = Array.from({ length: 1 + this.#plan.int(2) }, () => this.#openPool(client));
    this.#clients.push({ key: client, pools });
    this.#throttles.client(client);
    if (this.#plan.float() < this.options.cancels / 4) {
      this.after(this.#plan.int(this.options.faultsUntilMs), () => this.#feed({ type: "client-left", client }));
    }
  }

  #openPool(client: ClientKey): PoolKey {
    const pool = ++this.#lastKey as PoolKey;
    const slotsMax = this.#plan.float() < this.options.bounded ? 1 + this.#plan.int(6) : undefined;
    this.#feedTwice({ type: "pool-opened", pool, client, slotsMax, requirements: this.#want() });
    if (this.#plan.float() < this.options.cancels / 4) {
      this.after(this.#plan.int(this.options.faultsUntilMs), () => this.#feedTwice({ type: "pool-closed", pool }));
    }
    return pool;
  }

  #openJob(): void {
    const client = this.#clients[this.#plan.int(this.#clients.length)];
    const pool = client?.pools[this.#plan.int(client.pools.length)];
    if (pool === undefined) return;
    const job = ++this.#lastKey as JobKey;
    this.#jobs.push(job);
    const chunks = this.#plan.int(this.options.chunksMax + 1);
    const retries = this.#plan.int(this.options.retriesMax + 1);
    const depth = this.#depths.float() < this.options.nested ? 1 + this.#depths.int(3) : 0;
    const modes = this.#modes();
    const isResumed = this.#resumes.float() < this.options.resumes;
    const resume = isResumed ? drawResume(this.#resumes, this.options.itemsMax, modes.ordered) : undefined;
    const speculate = this.#speculates.float() < this.options.speculates;
    const more = { ...modes, speculate, resumed: resume?.resumed };
    const opened: Input = { type: "job-opened", job, pool, retries, depth, ...more };
    if (opened.unreadBytesMax !== undefined) this.#consumers.opened(opened);
    this.#feedTwice(opened);
    this.#throttles.job(job);
    if (this.#plan.float() < this.options.cancels) {
      this.after(this.#plan.int(1_500), () => this.#feedTwice({ type: "job-cancel-requested", job }));
    }
    for (const [chunk, items] of (resume?.chunks ?? []).entries())
      this.#offerOne({ type: "chunk-offered", job, chunk, ...this.#cut(items.length), settled: settledOf(items) });
    const first = resume?.chunks.length ?? 0;
    this.#offer(job, first, Math.max(first, chunks));
  }

  #modes() {
    const { collects, unreads } = this.options;
    const collect = this.#wants.float() < collects;
    const unreadBytesMax = this.#wants.float() < unreads ? 1 + this.#wants.int(40) : undefined;
    return { collect, unreadBytesMax, ordered: this.#wants.int(2) === 0, requirements: this.#want() };
  }

  /** One chunk after the other, some at once, some later; the client does not know yet that its job may be over. */
  #offer(job: JobKey, from: number, chunks: number): void {
    let chunk = from;
    do {
      if (chunk === chunks) {
        this.#feedTwice({ type: "job-sealed", job, chunks });
        return;
      }
      this.#offerOne({ type: "chunk-offered", job, chunk, ...this.#cut(1 + this.#plan.int(this.options.itemsMax)) });
      chunk++;
    } while (this.#plan.float() < 0.8);
    this.after(this.#plan.int(100), () => this.#offer(job, chunk, chunks));
  }

  #cut(count: number): { readonly count: number; readonly grain: number } {
    return { count, grain: this.#wants.float() < this.options.grains ? 1 + this.#wants.int(count) : 0 };
  }

  #offerOne(offered: Extract<Input, { type: "chunk-offered" }>): void {
    this.#consumers.offered(offered);
    this.#feedTwice(offered);
  }

  /** Clients' facts come in order; in the hostile model each may come again much later. */
  #feedTwice(input: Input): void {
    this.#feed(input);
    if (this.options.model !== "hostile" || this.#network.float() >= this.options.duplicate) return;
    this.after(this.#network.int(1_000), () => this.#feed(input));
  }
}
