import { assert, type Millis } from "@heddle/kernel";
import type { JobQueues } from "./fairness.ts";
import { isBusy, Lifetimes } from "./lifetimes.ts";
import { couldTake, hasFree } from "./needs.ts";
import { Ranking } from "./ranking.ts";
import { isEmptying, isReady, type Job, loadOf, type Node, newNode, type Pool, type Share } from "./state.ts";
import type { Input, NodeKey } from "./types.ts";

/** Slots and number of the nodes that are ready. */
export interface Capacity {
  readonly slots: number;
  readonly nodes: number;
}

/** The nodes, and which of them the next chunk goes to. */
export class Fleet {
  readonly nodes = new Map<NodeKey, Node>();
  /** Nodes that take work and hold less than their credit; the one with the most free slots per slot first, then the one that joined first. */
  readonly #free = new Ranking<Node>((a, b) => a.load < b.load || (a.load === b.load && a.joined < b.joined));
  readonly #queue: JobQueues;
  readonly lifetimes: Lifetimes;
  /** Pools with parked jobs. */
  readonly #parkedPools = new Set<Pool>();
  /** Nodes that may have room for one of their `waitingJobs`. */
  readonly #stirred = new Set<Node>();
  /** Sums over the nodes. */
  #idleSlots = 0;
  #overfullNodes = 0;
  #joined = 0;
  #sharesVersion = 0;
  #announced: Capacity = { slots: 0, nodes: 0 };
  /** Idle slots or what waits at full nodes changed since this was last set to false, by who looks at them. */
  tailChanged = false;

  /** `lifetimeMinMs`: as in SchedulerLimits. */
  constructor(queue: JobQueues, lifetimeMinMs: Millis) {
    this.#queue = queue;
    this.lifetimes = new Lifetimes(lifetimeMinMs);
  }

  /** Whether any node has room. */
  get hasRoom(): boolean {
    return this.#free.size > 0;
  }

  /** Slots without an assignment on nodes with room. */
  get idleSlots(): number {
    return this.#idleSlots;
  }

  /** Slots without an assignment on nodes with room, beside nodes where chunks wait for slots; 0 when none wait. */
  get slotsForTail(): number {
    return this.#overfullNodes === 0 ? 0 : this.#idleSlots;
  }

  join(joined: Extract<Input, { readonly type: "node-joined" }>): Node {
    const node = newNode(joined, this.#joined++, this.lifetimes.nowMs);
    this.nodes.set(joined.node, node);
    return node;
  }

  /** Takes a node out for good. Its assignments are the caller's business. */
  remove(node: Node): void {
    this.nodes.delete(node.key);
    this.#free.remove(node);
    this.#stirred.delete(node);
    if (node.takesWork || node.assignments.size > 0) this.#sharesChanged();
    node.takesWork = false;
    this.#count(node, 0, false);
  }

  /** Brings the order in line with the node's credit, flags and assignments. Call after any change of them. */
  refresh(node: Node): void {
    node.load = loadOf(node);
    const takesWork = isReady(node) && node.heldUntilMs === undefined && node.credit > 0 && node.slots > 0;
    if (takesWork !== node.takesWork) {
      node.takesWork = takesWork;
      this.#sharesChanged();
    }
    if (!takesWork)
      node.waitingJobs.clear(); // with the change of shares they were woken
    else if (!node.waitingJobs.isEmpty) this.#stirred.add(node);
    if (!takesWork || node.outer >= node.credit) this.#free.remove(node);
    else {
      this.#free.update(node);
      if (node.waiting.size > 0) this.#wakeWaiting(node);
    }
    this.#recount(node);
  }

  /** An assignment was placed on `node`, which has less room now. */
  filled(node: Node): void {
    node.load = loadOf(node);
    if (node.outer >= node.credit) this.#free.remove(node);
    else this.#free.update(node);
    this.#recount(node);
    this.tailChanged = true;
  }

  /** An assignment of `job` has left `node`. */
  freed(node: Node, { pool }: Job): void {
    if (!node.takesWork && pool.slotsMax !== undefined) this.#sharesChanged();
    this.refresh(node);
    if (pool.isNested && pool.parked.size > 0) this.#wake(pool);
  }

  /** The node for the next chunk of `job`, or undefined when none has room for it, or none of those with room lasts for it. */
  choose(job: Job): Share | undefined {
    if (job.needs === undefined && job.depth === 0 && job.pool.slotsMax === undefined) {
      const node = this.#free.peek(); // nearly always: nothing else has to be looked at
      if (node !== undefined && node.stopsAtMs === undefined) return { node, slots: node.slots };
    }
    this.lifetimes.isShort = false;
    const share = this.peek(job);
    if (job.pool.passedOver.length > 0) this.lifetimes.isShort = true;
    if (share !== undefined || !this.lifetimes.isShort) return share;
    if (!this.#areMisplaced(job.pool)) return undefined;
    this.#distribute(job.pool);
    this.#wake(job.pool); // its other jobs may have room where slots came to
    return this.peek(job);
  }

  /** Whether slots of the pool are where they are of no use, or left where they would be: never twice in a step, as what is of use changes with inputs only. */
  #areMisplaced(pool: Pool): boolean {
    if (pool.passedOver.some((node) => this.lifetimes.lastsForAny(node, pool))) return true;
    return pool.shares.some(
      ({ node, slots }) =>
        slots > Math.max(pool.placed.get(node)?.count ?? 0, Number(this.#isKept(pool, node))) &&
        !this.lifetimes.lastsForAny(node, pool),
    );
  }

  /** Whether a slot of the pool is kept on the node, and would be still. */
  #isKept(pool: Pool, node: Node): boolean {
    const job = pool.keptOn.get(node);
    return job !== undefined && job === firstServed(pool.kinds.get(job.kind)) && this.lifetimes.lasts(node, job);
  }

  /** The same; leaves the slots of a bounded pool where they are. */
  peek(job: Job): Share | undefined {
    const { pool, depth } = job;
    if (job.needs !== undefined) return this.#chooseFitting(job);
    if (depth > 0) return this.#chooseNested(job);
    if (pool.slotsMax !== undefined) return this.#chooseShare(job);
    const node = this.#free.peek();
    if (node === undefined || this.lifetimes.fits(node, job)) return node && wholeNode(node);
    return this.#chooseLasting(job);
  }

  /** Has a parked job woken when there may be room for it: with needs by the nodes that fit, of jobs from outside by those with a share of its pool. */
  awaitRoom(job: Job): void {
    const { pool, depth } = job;
    this.#parkedPools.add(pool);
    this.lifetimes.awaitTime(pool);
    if (job.needs !== undefined) {
      for (const node of job.fitting) if (this.lifetimes.lasts(node, job)) node.waitingJobs.add(job);
    } else if (depth > 0) return;
    else if (pool.slotsMax === undefined) {
      for (const node of this.nodes.values()) if (this.lifetimes.lasts(node, job)) node.waiting.add(pool);
    } else for (const { node } of pool.shares) node.waiting.add(pool);
  }

  /** Of the parked jobs with needs that a node now has room for, wakes the one that was charged least, for each node that has more room than before. */
  wakeStirred(): void {
    if (this.#stirred.size === 0) return;
    for (const node of this.#stirred) this.#wakeJob(node);
    this.#stirred.clear();
  }

  /** A job that a node's room had woken was placed or parked again: if there is room left, it is the next one's. */
  passOn(job: Job): void {
    if (job.wokenBy?.waitingJobs.isEmpty === false) this.#stirred.add(job.wokenBy);
    job.wokenBy = undefined;
  }

  /** A job with needs of its own may have a slot kept for its kind. */
  jobOpened(job: Job): void {
    const { pool, kind } = job;
    if (job.needs === pool.needs || pool.slotsMax === undefined) return;
    const others = pool.kinds.get(kind);
    others?.add(job);
    if (others !== undefined) return;
    pool.kinds.set(kind, new Set([job]));
    this.#reshare(pool);
  }

  /** A chunk of the job has ended: if it waits for a node that lasts, some may do now; if nothing of it is left to run, slots may be of use elsewhere. */
  timesChanged(job: Job): void {
    const { pool } = job;
    if (!this.lifetimes.isAwaited(pool)) return;
    if (pool.parked.delete(job)) this.#queue.refresh(job);
    else if (pool.slotsMax !== undefined && !isBusy(job)) this.#wake(pool);
  }

  /** A job is over: nothing of it waits, and unless there are others of its kind no slot is kept for it. */
  jobEnded(job: Job): void {
    const { pool, kind } = job;
    if (pool.slotsMax !== undefined && this.lifetimes.forget(pool)) this.#reshare(pool);
    for (const node of job.fitting) node.waitingJobs.delete(job);
    job.fitting = [];
    const others = pool.kinds.get(kind);
    if (others === undefined) return;
    const wasOldest = others.values().next().value === job;
    others.delete(job);
    if (others.size === 0) pool.kinds.delete(kind);
    if (others.size === 0 || (wasOldest && !pool.keepsForAll)) this.#reshare(pool);
  }

  /** Whether `node` would begin a chunk of `job` at once. */
  wouldBegin(node: Node, job: Job): boolean {
    if (!this.lifetimes.lasts(node, job)) return false;
    if (node.idleSlots === 0 || (job.needs !== undefined && !(couldTake(node, job.needs) && hasFree(node, job.needs))))
      return false;
    const { pool } = job;
    if (pool.slotsMax === undefined) return true;
    const share = pool.shares.find((it) => it.node === node);
    return share !== undefined && (pool.placed.get(node)?.count ?? 0) < share.slots;
  }

  /** Whether another node could run chunks of `job`, were it empty. O(nodes). */
  hasOther(node: Node, job: Job): boolean {
    return this.nodes.values().some((other) => other !== node && isReady(other) && couldTake(other, job.needs));
  }

  /** A node takes more than before: pools of tasks that had no room anywhere may have some now. */
  wakeNested(): void {
    for (const pool of [...this.#parkedPools]) if ([...pool.parked].some(({ depth }) => depth > 0)) this.#wake(pool);
  }

  /** A closed pool waits for nothing. */
  forget(pool: Pool): void {
    this.lifetimes.forget(pool);
    this.#parkedPools.delete(pool);
    for (const { node } of pool.shares) node.waiting.delete(pool);
  }

  /** The sum over ready nodes if it is not the one that was announced last, else undefined. */
  changedCapacity(): Capacity | undefined {
    const capacity = this.capacity();
    const { slots, nodes } = this.#announced;
    if (capacity.slots === slots && capacity.nodes === nodes) return undefined;
    this.#announced = capacity;
    return capacity;
  }

  capacity(): Capacity {
    let [slots, nodes] = [0, 0];
    for (const node of this.nodes.values()) {
      if (!isReady(node)) continue;
      slots += node.slots;
      nodes++;
    }
    return { slots, nodes };
  }

  /** Throws InvariantViolation when the order or a sum is broken. */
  validate(): void {
    this.#free.validate();
    const nodes = [...this.nodes.values()];
    assert(this.#idleSlots === nodes.reduce((sum, node) => sum + node.idleSlots, 0), "idle slots are counted");
    assert(this.#overfullNodes === nodes.filter((node) => node.isOverfull).length, "overfull nodes are counted");
  }

  /** Keeps the sums that the tail is watched by. */
  #recount(node: Node): void {
    const idle = node.rankAt < 0 ? 0 : Math.max(0, Math.min(node.slots, node.credit) - node.assignments.size);
    const isOverfull = node.outer > node.slots && !node.silent && !isEmptying(node);
    if (idle !== node.idleSlots || isOverfull !== node.isOverfull) this.#count(node, idle, isOverfull);
  }

  #count(node: Node, idle: number, isOverfull: boolean): void {
    this.#idleSlots += idle - node.idleSlots;
    this.#overfullNodes += Number(isOverfull) - Number(node.isOverfull);
    node.idleSlots = idle;
    node.isOverfull = isOverfull;
    this.tailChanged = true;
  }

  /** The node with room that holds the fewest, of those that last for the job: the first does not. O(nodes) */
  #chooseLasting(job: Job): Share | undefined {
    let best: Node | undefined;
    for (const node of this.nodes.values())
      if (node.rankAt >= 0 && (best === undefined || node.load < best.load) && this.lifetimes.lasts(node, job))
        best = node;
    return best && wholeNode(best);
  }

  /** O(nodes that fit), or with a bound O(nodes with a share). */
  #chooseFitting(job: Job): Share | undefined {
    const { pool } = job;
    const fitting = this.#fitting(job);
    if (pool.slotsMax !== undefined && pool.sharesVersion !== this.#sharesVersion) this.#distribute(pool);
    let best: Share | undefined;
    const isBounded = pool.slotsMax !== undefined;
    for (const share of isBounded ? pool.shares : fitting.map(wholeNode)) {
      // Where a share is full that does not last, it waits for time, too: what comes free there wakes only those that it lasts for.
      if (isBounded && !(couldTake(share.node, job.needs) && this.lifetimes.fits(share.node, job))) continue;
      if (!hasRoomFor(job, share) || !this.lifetimes.fits(share.node, job)) continue;
      if (best === undefined || share.node.load < best.node.load) best = share;
    }
    return best;
  }

  #fitting(job: Job): readonly Node[] {
    if (job.fittingVersion === this.#sharesVersion) return job.fitting;
    job.fitting = [...this.nodes.values()].filter((node) => node.takesWork && couldTake(node, job.needs));
    job.fittingVersion = this.#sharesVersion;
    return job.fitting;
  }

  #wakeJob(node: Node): void {
    const first = node.waitingJobs.next(
      (job) => this.#roomAt(node, job),
      (job) => this.#isInTime(node, job),
    );
    if (first === undefined) return;
    node.waitingJobs.delete(first);
    first.pool.parked.delete(first);
    first.wokenBy = node;
    this.#queue.refresh(first);
  }

  /** Whether the node lasts for a job that waits there; else it waits for others, or to be shorter. */
  #isInTime(node: Node, job: Job): boolean {
    this.lifetimes.isShort = false;
    if (this.lifetimes.fits(node, job)) return true;
    this.lifetimes.awaitTime(job.pool);
    return false;
  }

  #roomAt(node: Node, job: Job): boolean {
    const { pool } = job;
    if (!this.lifetimes.lasts(node, job)) return false;
    if (pool.slotsMax === undefined) return hasRoomFor(job, wholeNode(node));
    const share = pool.shares.find((it) => it.node === node);
    return share !== undefined && hasRoomFor(job, share);
  }

  /**
   * Room for chunks of tasks is counted for each pool alone: whatever else a node holds may be waiting for just these. O(nodes), as a
   * pool of a task rarely has many chunks.
   */
  #chooseNested(job: Job): Share | undefined {
    const { pool } = job;
    if (pool.slotsMax !== undefined && pool.sharesVersion !== this.#sharesVersion) this.#distribute(pool);
    let best: Share | undefined;
    for (const share of pool.slotsMax === undefined ? this.#wholeNodes() : pool.shares) {
      const { node } = share;
      if (!node.takesWork || !hasShareLeft(pool, share) || !this.lifetimes.fits(node, job)) continue;
      if (best === undefined || node.load < best.node.load) best = share;
    }
    return best;
  }

  *#wholeNodes(): Generator<Share> {
    for (const node of this.nodes.values()) yield wholeNode(node);
  }

  /** The share with the most room relative to it; a pool prefetches in proportion to its share, so that it cannot fill a node it may hardly use. */
  #chooseShare(job: Job): Share | undefined {
    const { pool } = job;
    if (pool.sharesVersion !== this.#sharesVersion) this.#distribute(pool);
    let best: Share | undefined;
    let bestLoad = Number.POSITIVE_INFINITY;
    for (const share of pool.shares) {
      const { node, slots } = share;
      const placed = pool.placed.get(node)?.count ?? 0;
      if (node.rankAt < 0 || !hasShareLeft(pool, share) || !this.lifetimes.fits(node, job)) continue;
      const load = Math.max(node.load, placed / slots);
      if (load >= bestLoad) continue;
      best = share;
      bestLoad = load;
    }
    return best;
  }

  /** Hands the pool's slots out in join order, after one for each job that needs what no node before has. What still runs on nodes that take no more work stays reserved for them. */
  #distribute(pool: Pool): void {
    const before = new Map(pool.shares.map((share) => [share.node, share.slots]));
    let remaining = pool.slotsMax ?? 0;
    const isOfUse = (node: Node): boolean => node.takesWork && this.lifetimes.lastsForAny(node, pool);
    const held = (node: Node): number =>
      isOfUse(node) ? 0 : Math.min(pool.placed.get(node)?.count ?? 0, before.get(node) ?? 0);
    for (const node of pool.placed.keys()) remaining -= held(node);
    const kept = this.#reserve(pool, remaining);
    for (const node of kept.keys()) if (held(node) === 0) remaining--;
    pool.shares = [];
    const passedOver: Node[] = [];
    for (const node of this.nodes.values()) {
      const own = kept.has(node) ? 1 : 0;
      const more = couldTake(node, pool.needs) ? Math.min(node.slots - own, Math.max(0, remaining)) : 0;
      const isGiven = isOfUse(node);
      if (!isGiven && node.takesWork && more > 0) passedOver.push(node);
      const slots = isGiven ? own + more : Math.max(own, held(node));
      if (slots === 0) continue;
      pool.shares.push({ node, slots });
      if (isGiven) remaining -= more;
    }
    pool.sharesVersion = this.#sharesVersion;
    pool.passedOver = remaining > 0 ? passedOver : [];
    pool.keptOn = kept;
  }

  /** Nodes on which one slot of a bounded pool is kept, so that its jobs with needs of their own have one while there are `slots`, the older first. */
  #reserve(pool: Pool, slots: number): Map<Node, Job> {
    const reserved = new Map<Node, Job>();
    const served = [...pool.kinds.values()].flatMap((jobs) => firstServed(jobs) ?? []);
    pool.keepsForAll = true;
    for (const job of served.sort((a, b) => a.key - b.key)) {
      const fitting = this.#fitting(job).filter((node) => this.lifetimes.lasts(node, job));
      const [first] = fitting;
      if (first === undefined || fitting.some((node) => reserved.has(node))) continue;
      if (reserved.size < slots) reserved.set(first, job);
      else pool.keepsForAll = false;
    }
    return reserved;
  }

  /** Which nodes the pool's slots belong on has changed. */
  #reshare(pool: Pool): void {
    pool.sharesVersion = -1;
    this.#wake(pool);
  }

  #sharesChanged(): void {
    this.#sharesVersion++;
    this.lifetimes.clear();
    for (const pool of this.#parkedPools) this.#queue.wake(pool);
    this.#parkedPools.clear();
  }

  #wakeWaiting(node: Node): void {
    for (const pool of node.waiting) this.#wake(pool);
    node.waiting.clear();
  }

  #wake(pool: Pool): void {
    this.#parkedPools.delete(pool);
    this.#queue.wake(pool);
  }
}

/** For which of the open jobs of one kind a slot is kept: the oldest that has something to run, or the oldest. */
function firstServed(jobs: ReadonlySet<Job> | undefined): Job | undefined {
  return jobs?.values().find(isBusy) ?? jobs?.values().next().value;
}

function wholeNode(node: Node): Share {
  return { node, slots: node.slots };
}

/** A pool prefetches in proportion to its share, so that it cannot fill a node it may hardly use. */
function hasShareLeft(pool: Pool, { node, slots }: Share): boolean {
  return (pool.placed.get(node)?.count ?? 0) < Math.ceil((node.credit * slots) / node.slots);
}

/** Whether a node that fits a job with needs may be given one more chunk of it now. */
function hasRoomFor({ pool, depth, needs }: Job, share: Share): boolean {
  const { node } = share;
  if (!node.takesWork || (needs !== undefined && !hasFree(node, needs))) return false;
  if (depth === 0 && node.rankAt < 0) return false;
  return (depth === 0 && pool.slotsMax === undefined) || hasShareLeft(pool, share);
}
