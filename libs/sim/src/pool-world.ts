import type {
  Assignment,
  Effect,
  Input,
  JobNumber,
  JobTerms,
  PoolNumber,
  PoolOptions,
  WorkerKey,
} from "@heddle/core-pool";
import { WorkerPool } from "@heddle/core-pool";
import { Heap, hash32, InvariantViolation, type Millis, type Random, seededRandom } from "@heddle/kernel";
import { check, Oracle, type Placed } from "./pool-oracle.ts";
import { drawPlan, type PoolPlan } from "./pool-plan.ts";
import { PoolProcesses, RSS_BYTES_MAX } from "./pool-processes.ts";

/** What the world drives: the pool core, or one with a planted bug. */
export type PoolCore = Pick<WorkerPool, "step" | "validate" | "view">;

export interface PoolWorldOptions {
  /** Plants a bug; the real core by default. */
  readonly makeCore?: (options: PoolOptions) => PoolCore;
  /** Hears every fact and wish. */
  readonly trace?: (line: string) => void;
}

/** What a run came to. Same seed, same report. */
export interface PoolWorldReport {
  readonly seed: number;
  readonly steps: number;
  readonly finished: number;
  readonly virtualMs: Millis;
  /** Of every input and effect. */
  readonly digest: number;
}

/** Trouble ends at the latest after this. */
const TROUBLE_MS = 60_000;
/** Everything must be finished this long after the last fault. */
const LIVENESS_MS = 200_000;
const REPEATABLE_MAX = 30;

/** Runs one seed to its end. Throws InvariantViolation that names the seed when something is not as promised. */
export function runPoolWorld(seed: number, options: PoolWorldOptions = {}): PoolWorldReport {
  const world = new PoolWorld(seed, options);
  try {
    return world.run();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const last = world.lastLines.join("\n  ");
    throw new InvariantViolation(`seed ${seed}: ${why}\nlast:\n  ${last}`, { cause });
  }
}

interface Event {
  readonly atMs: Millis;
  readonly sequence: number;
  readonly run: () => void;
}

class PoolWorld {
  readonly lastLines: string[] = [];
  readonly #seed: number;
  readonly #options: PoolWorldOptions;
  readonly #plan: PoolPlan;
  readonly #workload: Random;
  readonly #fate: Random;
  readonly #delay: Random;
  readonly #core: PoolCore;
  readonly #oracle: Oracle;
  readonly #events = new Heap<Event>((a, b) => a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence));
  readonly #processes: PoolProcesses;
  readonly #repeatable: Input[] = [];
  #nowMs: Millis = 0;
  #sequence = 0;
  #timer = 0;
  #steps = 0;
  #digest = 0;
  #healed = false;
  #toAssign: number;
  #nextAssignment = 1;
  #nextJob = 1;

  constructor(seed: number, options: PoolWorldOptions) {
    this.#seed = seed;
    this.#options = options;
    this.#plan = drawPlan(seededRandom(seed, "plan"));
    this.#workload = seededRandom(seed, "workload");
    this.#fate = seededRandom(seed, "fate");
    this.#delay = seededRandom(seed, "delay");
    this.#toAssign = this.#plan.chunks;
    const make = options.makeCore ?? ((coreOptions) => new WorkerPool(coreOptions));
    this.#core = make({ slots: this.#plan.slots, chunksPerWorkerMax: this.#plan.chunksPerWorkerMax });
    this.#oracle = new Oracle(this.#plan);
    this.#processes = new PoolProcesses({
      plan: this.#plan,
      oracle: this.#oracle,
      fate: this.#fate,
      delay: this.#delay,
      nowMs: () => this.#nowMs,
      isHealed: () => this.#healed,
      at: (delayMs, run) => this.#at(delayMs, run),
      feed: (input) => this.#feed(input),
    });
  }

  run(): PoolWorldReport {
    this.#note(`plan ${JSON.stringify(this.#plan)}`);
    this.#feed({ type: "started" });
    this.#at(0, () => this.#coordinate());
    this.#drive(() => this.#toAssign === 0, TROUBLE_MS);
    this.#drive(() => this.#oracle.placed.size === 0, this.#workload.int(3_000));
    this.#heal();
    this.#drive(() => this.#oracle.placed.size === 0, LIVENESS_MS);
    check(this.#oracle.placed.size === 0, `no progress: ${[...this.#oracle.placed.keys()].join(" ")} never finish`);
    if (this.#plan.endsByDrain) this.#feed({ type: "drain-requested" });
    this.#drive(() => false, LIVENESS_MS);
    this.#checkEnd();
    return {
      seed: this.#seed,
      steps: this.#steps,
      finished: this.#oracle.finished,
      virtualMs: this.#nowMs,
      digest: this.#digest,
    };
  }

  #checkEnd(): void {
    const live = this.#processes.live;
    const { workers, queued, running, credit } = this.#core.view();
    check(queued === 0 && running === 0 && workers.busy === 0, "nothing is left at the end");
    check(workers.spawning === 0 && workers.stopping === 0, "no worker is in between at the end");
    check(credit === this.#oracle.credit, "the view's credit is the granted one");
    if (this.#oracle.draining) check(this.#oracle.drained && live === 0, "a drain ends with no worker left");
    else check(live >= this.#plan.slots, "as many workers as slots are kept warm");
  }

  #drive(done: () => boolean, forMs: Millis): void {
    const untilMs = this.#nowMs + forMs;
    for (let event = this.#events.peek(); event !== undefined && !done(); event = this.#events.peek()) {
      if (event.atMs > untilMs) return;
      this.#events.pop();
      this.#nowMs = Math.max(this.#nowMs, event.atMs);
      event.run();
    }
  }

  #at(delayMs: Millis, run: () => void): void {
    this.#events.push({ atMs: this.#nowMs + delayMs, sequence: this.#sequence++, run });
  }

  #feed(input: Input): void {
    this.#oracle.before(input);
    this.#note(`< ${JSON.stringify(input)}`);
    const effects = this.#core.step(this.#nowMs, input);
    for (const effect of effects) this.#note(`> ${JSON.stringify(effect)}`);
    this.#core.validate();
    this.#oracle.after(input, effects);
    this.#steps++;
    for (const effect of effects) this.#perform(effect);
    this.#processes.checkTimeouts();
    this.#repeatSometimes(input);
  }

  #note(line: string): void {
    const stamped = `${this.#nowMs} ${line}`;
    this.#digest = (Math.imul(this.#digest, 31) + hash32(stamped)) | 0;
    this.#options.trace?.(stamped);
    if (this.lastLines.push(stamped) > 40) this.lastLines.shift();
  }

  /** Hostile: what was said before is said again. Not what would be a new fact the second time. */
  #repeatSometimes(input: Input): void {
    const isNew = input.type === "coordinator-lost" || input.type === "job-broken";
    if (isNew) this.#repeatable.length = 0;
    else if (input.type !== "chunk-returned" || !input.skipped) this.#repeatable.push(input);
    if (this.#repeatable.length > REPEATABLE_MAX) this.#repeatable.shift();
    if (this.#healed || this.#repeatable.length === 0 || this.#fate.float() >= this.#plan.repeat) return;
    const again = this.#repeatable[this.#fate.int(this.#repeatable.length)];
    if (again !== undefined) this.#at(0, () => this.#repeat(again));
  }

  #repeat(input: Input): void {
    // A re-sent placement, or a job of a life before this one, would be news.
    const isStale = !this.#repeatable.includes(input);
    if (!isStale) this.#feed(input);
  }

  #perform(effect: Effect): void {
    if (effect.type === "spawn-worker") this.#processes.spawn(effect.worker);
    else if (effect.type === "run-chunk") this.#processes.run(effect.worker, effect.assignment);
    else if (effect.type === "skip-chunk") this.#processes.skip(effect.worker, effect.assignment);
    else if (effect.type === "kill-worker") this.#processes.signal(effect.worker, effect.signal);
    else if (effect.type === "read-mark") this.#at(0, () => this.#processes.readMark(effect.worker));
    else if (effect.type === "set-timer") {
      const timer = ++this.#timer;
      this.#at(Math.max(0, effect.atMs - this.#nowMs) + this.#delay.int(2) * 0.1, () => {
        if (timer === this.#timer) this.#feed({ type: "timer-fired" });
      });
    }
  }

  /** One turn of the coordinator's; the next one follows until everything is assigned. */
  #coordinate(): void {
    if (this.#healed) return;
    if (this.#oracle.jobs.size < this.#plan.pools && this.#workload.int(2) === 0) this.#describe();
    const room = Math.min(this.#oracle.credit - this.#oracle.placed.size, 1 + this.#workload.int(12), this.#toAssign);
    for (let count = 0; count < room; count++) this.#assign();
    if (this.#oracle.draining) this.#toAssign = 0;
    if (this.#workload.float() < this.#plan.revoke) this.#revoke();
    if (this.#workload.float() < this.#plan.retire) this.#retire();
    if (this.#workload.float() < this.#plan.coordinatorLoss) this.#lose();
    if (this.#workload.float() < this.#plan.earlyDrain) this.#feed({ type: "drain-requested" });
    if (this.#workload.float() < this.#plan.lies) this.#lie();
    this.#at(this.#workload.int(20), () => this.#coordinate());
  }

  #describe(): void {
    const job = this.#nextJob++ as JobNumber;
    let pool = (1 + this.#workload.int(this.#plan.pools)) as PoolNumber;
    while (this.#oracle.retired.has(pool)) pool = (pool + this.#plan.pools) as PoolNumber;
    const terms = this.#drawTerms(pool);
    this.#oracle.jobs.set(job, { pool, code: "awaited", terms });
    this.#oracle.terms.set(pool, terms);
    const depth = this.#workload.int(this.#plan.depth + 1);
    this.#oracle.depths.set(pool, Math.max(this.#oracle.depths.get(pool) ?? 0, depth));
    this.#feed({ type: "job-described", job, pool, depth, terms });
    this.#at(this.#workload.int(40), () => this.#fetch(job, this.#workload.float() < this.#plan.brokenCode));
  }

  /** What a pool asks for is the same for all its jobs. */
  #drawTerms(pool: PoolNumber): JobTerms {
    const kind = pool + this.#seed;
    const { initializers, itemTimeout, heavy } = this.#plan;
    return {
      hasInitializer: initializers && kind % 2 === 0,
      chunksPerWorkerMax: kind % 5 === 0 ? 1 + (kind % 7) : undefined,
      rssBytesPerWorkerMax: heavy > 0 ? RSS_BYTES_MAX : undefined,
      itemTimeoutMs: this.#workload.float() < itemTimeout ? 50 + this.#workload.int(300) : undefined,
    };
  }

  #fetch(job: JobNumber, breaks: boolean): void {
    const record = this.#oracle.jobs.get(job);
    if (record?.code !== "awaited") return;
    record.code = breaks ? "broken" : "ready";
    this.#feed(breaks ? { type: "job-broken", job, fault: "code is gone" } : { type: "job-ready", job });
    if (breaks) this.#forgetJob(job);
  }

  #forgetJob(job: JobNumber): void {
    this.#oracle.jobs.delete(job);
    this.#feed({ type: "job-forgotten", job });
  }

  #assign(): void {
    const jobs = [...this.#oracle.jobs.entries()];
    const entry = jobs[this.#workload.int(Math.max(1, jobs.length))];
    if (entry === undefined) return;
    const [job, { pool }] = entry;
    const assignment = this.#nextAssignment++ as Assignment;
    const poolSlots = 1 + this.#workload.int(this.#plan.slots);
    this.#toAssign--;
    this.#oracle.poolSlots.set(pool, poolSlots);
    const fresh = this.#workload.float() < this.#plan.fresh;
    const grains = this.#workload.float() < this.#plan.grains ? 1 + this.#workload.int(9) : 1;
    this.#oracle.placed.set(assignment, { job, pool, fresh, grains, revoked: "no", runMs: this.#drawRunMs(pool) });
    this.#feed({ type: "chunk-assigned", assignment, job, poolSlots, fresh, grains });
  }

  /** Each pool has chunks of its own kind, with exceptions. */
  #drawRunMs(pool: PoolNumber): Millis {
    if (this.#workload.float() < this.#plan.hang) return Number.POSITIVE_INFINITY;
    const kind = this.#workload.int(12) === 0 ? this.#workload.int(3) : (pool + this.#seed) % 3;
    if (kind === 0) return 0.01 + this.#workload.float() * 0.05;
    return kind === 1 ? 1 + this.#workload.float() * 5 : 30 + this.#workload.float() * 200;
  }

  #revoke(): void {
    const placed = [...this.#oracle.placed.entries()];
    const entry = placed[this.#workload.int(Math.max(1, placed.length))];
    if (entry === undefined) return;
    this.#revokeOne(entry[0], entry[1], this.#workload.int(2) === 0);
  }

  #revokeOne(assignment: Assignment, placed: Placed, stop: boolean): void {
    if (stop) placed.revoked = "stop";
    else if (placed.revoked === "no") placed.revoked = "unstarted";
    this.#feed({ type: "revoke-requested", assignment, stop });
  }

  #retire(): void {
    const pool = [...this.#oracle.jobs.values()][0]?.pool;
    if (pool === undefined) return;
    for (const [job, record] of this.#oracle.jobs) if (record.pool === pool) this.#oracle.jobs.delete(job);
    this.#feed({ type: "pool-retired", pool });
  }

  /** Not true of the worker, nor need there be one. */
  #lie(): void {
    const worker = (1 + this.#workload.int(this.#processes.count + 2)) as WorkerKey;
    this.#feed({ type: "task-waiting", worker, waiting: this.#workload.int(3) > 0 });
  }

  /** The next coordinator counts from one again. */
  #lose(): void {
    this.#feed({ type: "coordinator-lost" });
    this.#nextAssignment = 1;
  }

  /** No more trouble: code arrives, what hangs is stopped. */
  #heal(): void {
    this.#healed = true;
    this.#note("healed");
    for (const job of [...this.#oracle.jobs.keys()]) this.#fetch(job, false);
    for (const [assignment, placed] of [...this.#oracle.placed]) {
      const isPlaced = this.#oracle.placed.has(assignment);
      if (isPlaced && placed.runMs === Number.POSITIVE_INFINITY) this.#revokeOne(assignment, placed, true);
    }
  }
}
