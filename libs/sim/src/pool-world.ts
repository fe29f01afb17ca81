import type { Assignment, Effect, Input, JobNumber, PoolNumber, PoolOptions, WorkerKey } from "@heddle/core-pool";
import { WorkerPool } from "@heddle/core-pool";
import { Heap, hash32, InvariantViolation, type Millis, type Random, seededRandom } from "@heddle/kernel";
import { check, Oracle, type Placed } from "./pool-oracle.ts";

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

/** One run: probabilities are per occasion; half of the kinds of trouble are off in any run. */
export interface PoolPlan {
  readonly slots: number;
  readonly chunksPerWorkerMax: number | undefined;
  readonly pools: number;
  readonly chunks: number;
  readonly spawnMs: number;
  readonly pipeMs: number;
  readonly marks: boolean;
  /** Workers answer a skip at once, before their head. */
  readonly eagerSkips: boolean;
  readonly endsByDrain: boolean;
  readonly spawnFailure: number;
  readonly spawnHang: number;
  readonly crash: number;
  readonly idleCrash: number;
  readonly hang: number;
  readonly ignoreTerm: number;
  readonly lostTail: number;
  readonly revoke: number;
  readonly retire: number;
  readonly coordinatorLoss: number;
  readonly earlyDrain: number;
  readonly brokenCode: number;
  readonly repeat: number;
  readonly fresh: number;
  /** Of each chunk: its task waits for the fabric in the middle, once or more. */
  readonly waits: number;
  /** Of each turn: somebody says that some worker's task waits, or goes on. */
  readonly lies: number;
  /** Jobs are inside of up to so many tasks. */
  readonly depth: number;
}

/** Mild or severe, from the seed. */
function drawPlan(random: Random): PoolPlan {
  const maybe = (most: number): number => (random.int(2) === 0 ? 0 : random.float() * most);
  return {
    slots: 1 + random.int(4),
    chunksPerWorkerMax: random.int(3) === 0 ? 1 + random.int(12) : undefined,
    pools: 1 + random.int(4),
    chunks: 20 + random.int(160),
    spawnMs: 1 + random.int(60),
    pipeMs: random.int(3) * 0.2,
    marks: random.int(2) === 0,
    eagerSkips: random.int(2) === 0,
    endsByDrain: random.int(2) === 0,
    spawnFailure: maybe(0.7),
    spawnHang: maybe(0.05),
    crash: maybe(0.1),
    idleCrash: maybe(0.1),
    hang: maybe(0.04),
    ignoreTerm: maybe(0.5),
    lostTail: maybe(0.8),
    revoke: maybe(0.3),
    retire: maybe(0.02),
    coordinatorLoss: maybe(0.01),
    earlyDrain: maybe(0.005),
    brokenCode: maybe(0.2),
    repeat: maybe(0.3),
    fresh: maybe(0.5),
    waits: maybe(1),
    lies: maybe(0.5),
    depth: random.int(2) * random.int(4),
  };
}

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

/** A modelled worker process: a pipe in, a pipe out, one chunk at a time. */
class Process {
  readonly key: WorkerKey;
  readonly ignoresTerm: boolean;
  state: "starting" | "ready" | "dead" = "starting";
  readonly inbox: Assignment[] = [];
  readonly skips = new Set<Assignment>();
  current: Assignment | undefined = undefined;
  mark: { readonly assignment: Assignment; readonly offset: number } | null = null;
  downAtMs: Millis = 0;
  upAtMs: Millis = 0;
  /** What it still had to say is lost. */
  tailLost = false;
  constructor(key: WorkerKey, ignoresTerm: boolean) {
    this.key = key;
    this.ignoresTerm = ignoresTerm;
  }
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
  readonly #processes = new Map<WorkerKey, Process>();
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
    const live = [...this.#processes.values()].filter((process) => process.state !== "dead");
    const { workers, queued, running, credit } = this.#core.view();
    check(queued === 0 && running === 0 && workers.busy === 0, "nothing is left at the end");
    check(workers.spawning === 0 && workers.stopping === 0, "no worker is in between at the end");
    check(credit === this.#oracle.credit, "the view's credit is the granted one");
    if (this.#oracle.draining) check(this.#oracle.drained && live.length === 0, "a drain ends with no worker left");
    else check(live.length >= this.#plan.slots, "as many workers as slots are kept warm");
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
    if (effect.type === "spawn-worker") this.#spawn(effect.worker);
    else if (effect.type === "run-chunk")
      this.#down(effect.worker, (process) => this.#receive(process, effect.assignment));
    else if (effect.type === "skip-chunk")
      this.#down(effect.worker, (process) => this.#skip(process, effect.assignment));
    else if (effect.type === "kill-worker") this.#signal(effect.worker, effect.signal);
    else if (effect.type === "set-timer") {
      const timer = ++this.#timer;
      this.#at(Math.max(0, effect.atMs - this.#nowMs) + this.#delay.int(2) * 0.1, () => {
        if (timer === this.#timer) this.#feed({ type: "timer-fired" });
      });
    }
  }

  // ---- processes ----

  #spawn(key: WorkerKey): void {
    const process = new Process(key, this.#fate.float() < this.#plan.ignoreTerm);
    this.#processes.set(key, process);
    const fate = this.#healed ? 1 : this.#fate.float();
    if (fate < this.#plan.spawnHang) return;
    const fails = fate < this.#plan.spawnHang + this.#plan.spawnFailure;
    this.#at(this.#delay.float() * this.#plan.spawnMs, () => {
      if (process.state !== "starting") return;
      if (fails) {
        this.#die(process, this.#fate.int(2) === 0 ? "no such file" : undefined);
        return;
      }
      process.state = "ready";
      this.#up(process, { type: "worker-ready", worker: key });
      if (!this.#healed && this.#fate.float() < this.#plan.idleCrash) {
        this.#at(this.#fate.int(300), () => this.#die(process, undefined));
      }
    });
  }

  #down(key: WorkerKey, act: (process: Process) => void): void {
    const process = this.#processes.get(key);
    if (process === undefined) throw new InvariantViolation(`worker ${key} was never started`);
    process.downAtMs = Math.max(process.downAtMs, this.#nowMs + this.#delay.float() * this.#plan.pipeMs);
    this.#at(process.downAtMs - this.#nowMs, () => {
      if (process.state !== "dead") act(process);
    });
  }

  #up(process: Process, input: Input): void {
    process.upAtMs = Math.max(process.upAtMs, this.#nowMs + this.#delay.float() * this.#plan.pipeMs);
    this.#at(process.upAtMs - this.#nowMs, () => {
      if (!process.tailLost || input.type === "worker-exited") this.#feed(input);
    });
  }

  #receive(process: Process, assignment: Assignment): void {
    process.inbox.push(assignment);
    this.#next(process);
  }

  #skip(process: Process, assignment: Assignment): void {
    const at = process.inbox.indexOf(assignment);
    if (at < 0) return;
    if (!this.#plan.eagerSkips) {
      process.skips.add(assignment);
      return;
    }
    process.inbox.splice(at, 1);
    this.#up(process, { type: "chunk-returned", worker: process.key, assignment, skipped: true, runMs: 0 });
  }

  #next(process: Process): void {
    if (process.state !== "ready" || process.current !== undefined) return;
    const assignment = process.inbox.shift();
    if (assignment === undefined) return;
    if (process.skips.delete(assignment)) {
      this.#up(process, { type: "chunk-returned", worker: process.key, assignment, skipped: true, runMs: 0 });
      this.#next(process);
      return;
    }
    process.current = assignment;
    const live = [...this.#processes.values()].filter((other) => other.current !== undefined).length;
    const isLent = this.#plan.waits > 0 || this.#plan.lies > 0;
    check(isLent || live <= this.#plan.slots, `${live} processes run user code on ${this.#plan.slots} slots`);
    this.#run(process, assignment);
  }

  #run(process: Process, assignment: Assignment): void {
    const runMs = this.#oracle.placed.get(assignment)?.runMs ?? 1;
    if (this.#plan.marks) process.mark = { assignment, offset: this.#fate.int(9) };
    const crashes = !this.#healed && this.#fate.float() < this.#plan.crash;
    if (runMs === Number.POSITIVE_INFINITY && !crashes) return;
    const forMs = crashes ? this.#fate.float() * Math.min(runMs, 50) : runMs;
    const waitedMs = this.#wait(process, assignment, forMs);
    this.#at(forMs + waitedMs, () => {
      if (process.state === "dead") return;
      if (crashes) {
        this.#die(process, undefined);
        return;
      }
      process.current = undefined;
      const took = runMs + waitedMs;
      this.#up(process, { type: "chunk-returned", worker: process.key, assignment, skipped: false, runMs: took });
      this.#next(process);
    });
  }

  /** Plans when the task waits; its end may come while it does, and ends that too. Returns for how long it waits in all. */
  #wait(process: Process, assignment: Assignment, forMs: Millis): Millis {
    let waitedMs = 0;
    while (this.#fate.float() < this.#plan.waits * 0.7) {
      const fromMs = waitedMs + this.#fate.float() * forMs;
      const untilMs = fromMs + this.#fate.float() * 60;
      this.#sayWaiting(process, assignment, fromMs, true);
      this.#sayWaiting(process, assignment, untilMs, false);
      waitedMs = untilMs;
    }
    return waitedMs;
  }

  #sayWaiting(process: Process, assignment: Assignment, afterMs: Millis, waiting: boolean): void {
    this.#at(afterMs, () => {
      if (process.state === "dead" || process.current !== assignment) return;
      this.#up(process, { type: "task-waiting", worker: process.key, waiting });
    });
  }

  #signal(key: WorkerKey, signal: "SIGTERM" | "SIGKILL"): void {
    const process = this.#processes.get(key);
    if (process === undefined || (signal === "SIGTERM" && process.ignoresTerm)) return;
    this.#at(this.#delay.float() * 3, () => this.#die(process, undefined));
  }

  #die(process: Process, fault: string | undefined): void {
    if (process.state === "dead") return;
    process.state = "dead";
    process.current = undefined;
    process.tailLost = this.#fate.float() < this.#plan.lostTail;
    this.#up(process, { type: "worker-exited", worker: process.key, mark: process.mark, fault });
  }

  // ---- coordinator ----

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
    this.#oracle.jobs.set(job, { pool, code: "awaited" });
    const depth = this.#workload.int(this.#plan.depth + 1);
    this.#oracle.depths.set(pool, Math.max(this.#oracle.depths.get(pool) ?? 0, depth));
    this.#feed({ type: "job-described", job, pool, depth });
    this.#at(this.#workload.int(40), () => this.#fetch(job, this.#workload.float() < this.#plan.brokenCode));
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
    this.#oracle.placed.set(assignment, { job, pool, fresh, revoked: "no", runMs: this.#drawRunMs(pool) });
    this.#feed({ type: "chunk-assigned", assignment, job, poolSlots, fresh });
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
    const worker = (1 + this.#workload.int(this.#processes.size + 2)) as WorkerKey;
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
