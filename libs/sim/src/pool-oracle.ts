import type {
  Assignment,
  Effect,
  Input,
  ItemMark,
  JobNumber,
  JobTerms,
  PoolNumber,
  WorkerKey,
} from "@heddle/core-pool";
import { InvariantViolation, type Millis } from "@heddle/kernel";
import type { PoolPlan } from "./pool-plan.ts";

type ExitInput = Extract<Input, { type: "worker-exited" }>;

/** Throws unless the core kept its promise. */
export function check(condition: boolean, why: string): void {
  if (!condition) throw new InvariantViolation(why);
}

/** What the coordinator knows of an assignment that is not finished. */
export interface Placed {
  readonly job: JobNumber;
  readonly pool: PoolNumber;
  readonly fresh: boolean;
  readonly grains: number;
  revoked: "no" | "unstarted" | "stop";
  /** Virtual run time; Infinity for one that never ends. */
  readonly runMs: Millis;
}

/** What the oracle believes of a worker from what was said about it. */
export interface Seen {
  pool: string | undefined;
  ready: boolean;
  held: Assignment[];
  told: boolean;
  /** Grains of chunks that it was given and did not leave out or give back. */
  taken: number;
  /** Its pool's initializer is through, or there is none. Means nothing before its first chunk. */
  joined: boolean;
  /** It was seen to be larger than its pool allows. */
  worn: boolean;
  /** The item that was seen to run for too long. */
  overdue: ItemMark | undefined;
  /** Its task waits, and its slot is lent. */
  waiting: boolean;
  /** Chunks it was asked to leave out. */
  readonly asked: Set<Assignment>;
  /** It had a chunk when the coordinator was lost. */
  abandoned: boolean;
}

/** Judges every effect by rules of its own. Knows nothing of the core's state. */
export class Oracle {
  readonly placed = new Map<Assignment, Placed>();
  readonly workers = new Map<WorkerKey, Seen>();
  readonly jobs = new Map<
    JobNumber,
    { readonly pool: PoolNumber; code: "awaited" | "ready" | "broken"; readonly terms: JobTerms }
  >();
  /** What a pool's latest job asked for. */
  readonly terms = new Map<PoolNumber, JobTerms>();
  /** How deep a pool's tasks are: the deepest of its jobs'. */
  readonly depths = new Map<PoolNumber, number>();
  readonly retired = new Set<PoolNumber>();
  readonly poolSlots = new Map<PoolNumber, number>();
  generation = 0;
  draining = false;
  drained = false;
  finished = 0;
  credit = 0;
  readonly #plan: PoolPlan;
  /** What its holder returned in this step. */
  #answered: Assignment | undefined = undefined;
  #exit: { readonly input: ExitInput; readonly seen: Seen } | undefined = undefined;
  /** The chunk before which an initializer failed in this step. */
  #unjoined: Assignment | undefined = undefined;

  constructor(plan: PoolPlan) {
    this.#plan = plan;
  }

  before(input: Input): void {
    this.#exit = undefined;
    this.#answered = undefined;
    this.#unjoined = undefined;
    if (input.type === "worker-joined" || input.type === "init-failed" || input.type === "mark-seen")
      this.#hears(input);
    if (input.type === "worker-exited") {
      const seen = this.workers.get(input.worker);
      if (seen !== undefined) this.#exit = { input, seen };
      this.workers.delete(input.worker);
    }
    if (input.type === "worker-ready") {
      const seen = this.workers.get(input.worker);
      if (seen !== undefined) seen.ready = true;
    }
    if (input.type === "task-waiting") {
      const seen = this.workers.get(input.worker);
      if (seen !== undefined) seen.waiting = input.waiting && seen.held.length > 0 && !seen.told;
    }
    if (input.type === "chunk-returned") {
      const seen = this.workers.get(input.worker);
      if (seen?.held.includes(input.assignment) && seen.overdue?.assignment !== input.assignment) {
        if (seen.held[0] === input.assignment) seen.waiting = false;
        seen.asked.delete(input.assignment);
        seen.held.splice(seen.held.indexOf(input.assignment), 1);
        const grains = this.placed.get(input.assignment)?.grains ?? 1;
        seen.taken -= input.skipped ? grains : grains - (input.grains ?? grains);
        seen.worn ||= !input.skipped && (input.rssBytes ?? 0) > this.#rssMaxOf(seen);
        if (!input.skipped) this.#answered = input.assignment;
      }
    }
    if (input.type === "drain-requested") this.draining = true;
    if (input.type === "pool-retired") this.retired.add(input.pool);
    if (input.type === "coordinator-lost") this.#forget();
  }

  after(input: Input, effects: readonly Effect[]): void {
    for (const effect of effects) this.#judge(effect, input);
    if (this.#answered !== undefined) {
      check(!this.placed.has(this.#answered), `returned chunk ${this.#answered} is not finished`);
    }
    for (const { waiting, held, asked } of this.workers.values()) {
      if (waiting)
        check(
          held.slice(1).every((behind) => asked.has(behind)),
          "chunks stay behind a task that waits",
        );
    }
    this.#checkIdle();
  }

  /** Longest run of the items of a chunk that is placed. */
  timeoutOf(assignment: Assignment): Millis | undefined {
    const job = this.placed.get(assignment)?.job;
    return job === undefined ? undefined : this.jobs.get(job)?.terms.itemTimeoutMs;
  }

  #hears(input: Extract<Input, { type: "worker-joined" | "init-failed" | "mark-seen" }>): void {
    const seen = this.workers.get(input.worker);
    if (seen === undefined) return;
    if (input.type === "worker-joined") seen.joined = true;
    else if (input.type === "mark-seen") {
      const mark = input.mark;
      if (mark === null || seen.told || !seen.held.includes(mark.assignment)) return;
      if (mark.forMs >= (this.timeoutOf(mark.assignment) ?? Number.POSITIVE_INFINITY)) seen.overdue = mark;
    } else if (!seen.joined && seen.held.includes(input.assignment)) {
      this.#unjoined = input.assignment;
      seen.held = [];
      seen.waiting = false;
    }
  }

  #rssMaxOf({ pool }: Seen): number {
    const number = Number(pool?.split("/")[1]) as PoolNumber;
    return this.terms.get(number)?.rssBytesPerWorkerMax ?? Number.POSITIVE_INFINITY;
  }

  /** Workers that occupy a slot now. */
  get #running(): number {
    return [...this.workers.values()].filter((seen) => (seen.held.length > 0 || seen.abandoned) && !seen.waiting)
      .length;
  }

  get #waiting(): number {
    return [...this.workers.values()].filter(({ waiting }) => waiting).length;
  }

  /** No slot is free while a chunk and a worker for it are there: what waits has lent its slot. */
  #checkIdle(): void {
    const free = [...this.workers.values()].filter((seen) => seen.ready && !seen.told && seen.held.length === 0);
    check(!free.some(({ worn }) => worn), "a worker that is too large lives on without a chunk");
    if (free.length === 0 || this.#running >= this.#plan.slots) return;
    const isBlank = free.some(({ pool }) => pool === undefined);
    const held = new Set([...this.workers.values()].flatMap((seen) => seen.held));
    for (const [assignment, { job, pool: number, fresh }] of this.placed) {
      const pool = `${this.generation}/${number}`;
      const canRun = isBlank || (!fresh && free.some((seen) => seen.pool === pool));
      if (!canRun || held.has(assignment) || this.jobs.get(job)?.code !== "ready" || !this.#admits(number)) continue;
      const ofPool = [...this.workers.values()].filter((seen) => seen.pool === pool && isOccupied(seen)).length;
      check(ofPool >= (this.poolSlots.get(number) ?? 0), `a slot is free, but chunk ${assignment} waits`);
    }
  }

  /** Tasks that wait leave room for what is deeper: four per slot and level. */
  #admits(pool: PoolNumber): boolean {
    return this.#waiting < ((this.depths.get(pool) ?? 0) + 1) * 4 * this.#plan.slots;
  }

  #judge(effect: Effect, input: Input): void {
    if (effect.type === "spawn-worker") this.#spawned(effect.worker);
    else if (effect.type === "run-chunk") this.#runs(effect.worker, effect.assignment);
    else if (effect.type === "kill-worker") this.#told(effect.worker, effect.signal);
    else if (effect.type === "skip-chunk") {
      const seen = this.workers.get(effect.worker);
      check(seen?.told === false, `worker ${effect.worker} is asked to skip, but was told to end`);
      const at = seen?.held.indexOf(effect.assignment) ?? -1;
      check(at > 0 || (at === 0 && seen?.joined === false), `skip of ${effect.assignment}, which does not wait`);
      seen?.asked.add(effect.assignment);
    } else if (effect.type === "grant-credit") {
      check(effect.chunks !== this.credit || input.type === "coordinator-lost", "credit is told when it changes");
      check(!this.draining || effect.chunks === 0, "nothing is granted while draining");
      this.credit = effect.chunks;
    } else if (effect.type === "drained") {
      check(this.draining && !this.drained && this.workers.size === 0, "drained once, after the last worker");
      check(this.placed.size === 0, "drained after the last chunk");
      this.drained = true;
    } else if (effect.type !== "set-timer" && effect.type !== "report-started" && effect.type !== "read-mark")
      this.#finishes(effect);
  }

  #spawned(worker: WorkerKey): void {
    check(!this.draining, "no worker is started while draining");
    const clean = { joined: false, worn: false, overdue: undefined };
    const nothing = { pool: undefined, held: [], taken: 0, asked: new Set<Assignment>(), ...clean };
    this.workers.set(worker, { ...nothing, ready: false, told: false, waiting: false, abandoned: false });
    const workersMax = 2 * this.#plan.slots + this.#waiting;
    check(this.workers.size <= workersMax, `${this.workers.size} workers, ${workersMax} at most`);
  }

  #told(worker: WorkerKey, signal: string): void {
    const seen = this.workers.get(worker);
    check(seen !== undefined && seen.told === (signal === "SIGKILL"), `worker ${worker} gets SIGTERM, then SIGKILL`);
    if (seen !== undefined) [seen.told, seen.waiting] = [true, false];
  }

  #runs(worker: WorkerKey, assignment: Assignment): void {
    const seen = this.workers.get(worker);
    const placed = this.placed.get(assignment);
    if (seen === undefined || placed === undefined) {
      throw new InvariantViolation(`run of ${assignment} on ${worker}, one of which is not there`);
    }
    check(!seen.told, `worker ${worker} was told to end`);
    check(this.jobs.get(placed.job)?.code === "ready", `job ${placed.job} is not ready`);
    check(placed.revoked === "no", `chunk ${assignment} was revoked`);
    for (const other of this.workers.values())
      check(!other.held.includes(assignment), `chunk ${assignment} runs twice`);
    const pool = `${this.generation}/${placed.pool}`;
    check(seen.pool === undefined || seen.pool === pool, `worker ${worker} serves two pools`);
    check(!placed.fresh || seen.pool === undefined, `fresh chunk ${assignment} runs after others in worker ${worker}`);
    const isFresh = (held: Assignment): boolean => this.placed.get(held)?.fresh === true;
    check(!seen.held.some(isFresh), `chunk ${assignment} waits behind a fresh one`);
    check(!seen.waiting, `chunk ${assignment} is sent behind a task that waits`);
    const terms = this.terms.get(placed.pool);
    if (seen.pool === undefined) seen.joined = terms?.hasInitializer !== true;
    check(seen.held.length === 0 || seen.joined, `chunk ${assignment} waits behind an initializer`);
    check(!seen.worn, `chunk ${assignment} is sent to a worker that is too large`);
    seen.pool = pool;
    seen.held.push(assignment);
    const takenMax = terms?.chunksPerWorkerMax ?? this.#plan.chunksPerWorkerMax ?? Number.POSITIVE_INFINITY;
    check(seen.taken < takenMax, `worker ${worker} is overused`);
    seen.taken += placed.grains;
    check(
      seen.held.length === 1 || seen.taken <= takenMax,
      `worker ${worker} has more behind its head than it may run`,
    );
    const workers = [...this.workers.values()];
    const running = this.#running;
    const ofPool = workers.filter((worker) => worker.pool === pool && isOccupied(worker)).length;
    const ofPoolMax = this.poolSlots.get(placed.pool) ?? 0;
    if (seen.held.length === 1) {
      check(this.#admits(placed.pool), `chunk ${assignment} starts while too many wait`);
      check(running <= this.#plan.slots, `${running} chunks run on ${this.#plan.slots} slots`);
      check(ofPool <= ofPoolMax, `${ofPool} chunks of pool ${placed.pool} run`);
    } else if (running < this.#plan.slots && ofPool < ofPoolMax && this.#admits(placed.pool)) {
      const isFree = (worker: Seen): boolean => worker.pool === pool && worker.held.length === 0 && !worker.told;
      check(!workers.some(isFree), `chunk ${assignment} waits behind another while a worker is free`);
    }
  }

  #finishes(effect: Extract<Effect, { assignment: Assignment }>): void {
    const { assignment } = effect;
    const placed = this.placed.get(assignment);
    if (placed === undefined) throw new InvariantViolation(`chunk ${assignment} finishes, but is not placed`);
    this.placed.delete(assignment);
    this.finished++;
    const exit = this.#exit;
    if (effect.type === "finish-returned") {
      check(this.#answered === assignment, `chunk ${assignment} finishes as returned, but was not`);
    } else if (effect.type === "finish-death") {
      check(exit?.seen.held.includes(assignment) === true && !exit.seen.told, `chunk ${assignment} is blamed wrongly`);
      check(exit?.seen.joined === true, `chunk ${assignment} is blamed for the death of an initializer`);
      const mark = exit?.input.mark;
      const offset = mark?.assignment === assignment ? mark.offset : undefined;
      check(effect.markedOffset === offset, `chunk ${assignment} is blamed at the wrong offset`);
      const isVictim = mark != null && exit?.seen.held.includes(mark.assignment) ? mark.assignment : exit?.seen.held[0];
      check(isVictim === assignment, `chunk ${assignment} is blamed for another`);
    } else if (effect.type === "finish-overdue") {
      const overdue = exit?.seen.overdue;
      check(exit?.seen.held.includes(assignment) === true, `chunk ${assignment} is overdue, but its worker lives`);
      check(
        overdue?.assignment === assignment && overdue.offset === effect.offset,
        `chunk ${assignment} is not overdue`,
      );
    } else if (effect.type === "finish-init-failure") {
      const died = exit !== undefined && !exit.seen.joined && !exit.seen.told && exit.seen.held[0] === assignment;
      check(died || this.#unjoined === assignment, `no initializer failed before chunk ${assignment}`);
    } else if (effect.type === "finish-stopped") {
      check(placed.revoked === "stop" || this.retired.has(placed.pool), `chunk ${assignment} was stopped by nobody`);
      check(exit?.seen.held.includes(assignment) === true, `chunk ${assignment} is stopped, but did not run`);
    } else if (effect.type === "finish-not-started") {
      for (const seen of this.workers.values()) check(!seen.held.includes(assignment), `chunk ${assignment} was sent`);
      const wanted = placed.revoked === "no" && !this.retired.has(placed.pool) && !this.draining;
      check(!wanted || effect.fault !== undefined, `chunk ${assignment} is given back for no reason`);
    }
  }

  #forget(): void {
    this.generation++;
    for (const seen of this.workers.values()) {
      if (seen.held.length > 0) seen.abandoned = true;
      seen.waiting = false;
      seen.held = [];
    }
    this.placed.clear();
    this.jobs.clear();
    this.retired.clear();
    this.poolSlots.clear();
    this.depths.clear();
    this.terms.clear();
  }
}

/** It counts for its pool, also while its slot is lent. */
function isOccupied({ held, abandoned }: Seen): boolean {
  return held.length > 0 || abandoned;
}
