import type { JobQueues } from "./fairness.ts";
import { Ranking } from "./ranking.ts";
import { isReady, type Job, loadOf, type Node, newNode, type Pool, type Share } from "./state.ts";
import type { NodeKey } from "./types.ts";

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
  /** Pools with parked jobs. */
  readonly #parkedPools = new Set<Pool>();
  #joined = 0;
  #sharesVersion = 0;
  #announced: Capacity = { slots: 0, nodes: 0 };

  constructor(queue: JobQueues) {
    this.#queue = queue;
  }

  /** Whether any node has room. */
  get hasRoom(): boolean {
    return this.#free.size > 0;
  }

  join(key: NodeKey, slots: number): void {
    this.nodes.set(key, newNode(key, slots, this.#joined++));
  }

  /** Takes a node out for good. Its assignments are the caller's business. */
  remove(node: Node): void {
    this.nodes.delete(node.key);
    this.#free.remove(node);
    if (node.takesWork || node.assignments.size > 0) this.#sharesChanged();
    node.takesWork = false;
  }

  /** Brings the order in line with the node's credit, flags and assignments. Call after any change of them. */
  refresh(node: Node): void {
    node.load = loadOf(node);
    const takesWork = isReady(node) && node.heldUntilMs === undefined && node.credit > 0 && node.slots > 0;
    if (takesWork !== node.takesWork) {
      node.takesWork = takesWork;
      this.#sharesChanged();
    }
    if (!takesWork || node.outer >= node.credit) this.#free.remove(node);
    else {
      this.#free.update(node);
      if (node.waiting.size > 0) this.#wakeWaiting(node);
    }
  }

  /** An assignment of `job` has left `node`. */
  freed(node: Node, { pool }: Job): void {
    if (!node.takesWork && pool.slotsMax !== undefined) this.#sharesChanged();
    this.refresh(node);
    if (pool.isNested && pool.parked.size > 0) this.#wake(pool);
  }

  /** The node for the next chunk of `job`, or undefined when none has room for it. */
  choose({ pool, depth }: Job): Share | undefined {
    if (depth > 0) return this.#chooseNested(pool);
    if (pool.slotsMax !== undefined) return this.#chooseShare(pool);
    const node = this.#free.peek();
    return node && { node, slots: node.slots };
  }

  /** Has `pool` woken when there may be room for it: of jobs from outside by the nodes with a share of it. */
  awaitRoom(pool: Pool, isNested: boolean): void {
    this.#parkedPools.add(pool);
    if (!isNested) for (const { node } of pool.shares) node.waiting.add(pool);
  }

  /** A node takes more than before: pools of tasks that had no room anywhere may have some now. */
  wakeNested(): void {
    for (const pool of [...this.#parkedPools]) if ([...pool.parked].some(({ depth }) => depth > 0)) this.#wake(pool);
  }

  /** A closed pool waits for nothing. */
  forget(pool: Pool): void {
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

  /** Throws InvariantViolation when the order is broken. */
  validate(): void {
    this.#free.validate();
  }

  /**
   * Room for chunks of tasks is counted for each pool alone: whatever else a node holds may be waiting for just these. O(nodes), as a
   * pool of a task rarely has many chunks.
   */
  #chooseNested(pool: Pool): Share | undefined {
    if (pool.slotsMax !== undefined && pool.sharesVersion !== this.#sharesVersion) this.#distribute(pool);
    let best: Share | undefined;
    for (const share of pool.slotsMax === undefined ? this.#wholeNodes() : pool.shares) {
      const { node, slots } = share;
      const placed = pool.placed.get(node) ?? 0;
      if (!node.takesWork || placed >= Math.ceil((node.credit * slots) / node.slots)) continue;
      if (best === undefined || node.load < best.node.load) best = share;
    }
    return best;
  }

  *#wholeNodes(): Generator<Share> {
    for (const node of this.nodes.values()) yield { node, slots: node.slots };
  }

  /** The share with the most room relative to it; a pool prefetches in proportion to its share, so that it cannot fill a node it may hardly use. */
  #chooseShare(pool: Pool): Share | undefined {
    if (pool.sharesVersion !== this.#sharesVersion) this.#distribute(pool);
    let best: Share | undefined;
    let bestLoad = Number.POSITIVE_INFINITY;
    for (const share of pool.shares) {
      const { node, slots } = share;
      const placed = pool.placed.get(node) ?? 0;
      if (node.rankAt < 0 || placed >= Math.ceil((node.credit * slots) / node.slots)) continue;
      const load = Math.max(node.load, placed / slots);
      if (load >= bestLoad) continue;
      best = share;
      bestLoad = load;
    }
    return best;
  }

  /** Hands the pool's slots out in join order. What still runs on nodes that take no more work stays reserved for them. */
  #distribute(pool: Pool): void {
    const before = new Map(pool.shares.map((share) => [share.node, share.slots]));
    let remaining = pool.slotsMax ?? 0;
    for (const [node, placed] of pool.placed) {
      if (!node.takesWork) remaining -= Math.min(placed, before.get(node) ?? 0);
    }
    pool.shares = [];
    for (const node of this.nodes.values()) {
      const slots = node.takesWork
        ? Math.min(node.slots, Math.max(0, remaining))
        : Math.min(pool.placed.get(node) ?? 0, before.get(node) ?? 0);
      if (slots === 0) continue;
      pool.shares.push({ node, slots });
      if (node.takesWork) remaining -= slots;
    }
    pool.sharesVersion = this.#sharesVersion;
  }

  #sharesChanged(): void {
    this.#sharesVersion++;
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
