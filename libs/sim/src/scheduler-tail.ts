import type { AssignmentId, Effect, Input, NodeKey, NodeView, Scheduler } from "@heddle/core-scheduler";
import { assert, type Millis } from "@heddle/kernel";

/** Chunks are left at a full node for 20 ms, and looked at every 20 ms. */
const IDLE_MS_MAX = 41;

interface Placed {
  readonly node: NodeKey;
  readonly atMs: Millis;
  /** It waits at its node, as far as was told, and was not asked back. */
  waits: boolean;
  asked: boolean;
}

/**
 * Sees that no slot idles for long beside chunks that wait at full nodes, when nothing else is left to place. For worlds in which any node
 * may run any chunk.
 */
export class TailWatch {
  readonly #placed = new Map<AssignmentId, Placed>();
  #sinceMs: Millis | undefined;
  /** Chunks that were asked back. */
  handedBack = 0;

  /** Throws when a slot has idled for too long. */
  observe(nowMs: Millis, input: Input, effects: readonly Effect[], core: Pick<Scheduler, "jobs" | "nodes">): void {
    const longest = `a slot idles since ${this.#sinceMs} beside chunks that wait`;
    assert(this.#sinceMs === undefined || nowMs - this.#sinceMs <= IDLE_MS_MAX, longest);
    this.#learn(input);
    for (const effect of effects) this.#note(nowMs, effect);
    const isTail = core.jobs().every(({ chunksWaiting }) => chunksWaiting === 0);
    if (isTail && this.#isWasteful(core.nodes())) this.#sinceMs ??= nowMs;
    else this.#sinceMs = undefined;
  }

  #learn(input: Input): void {
    if (input.type === "chunk-finished") this.#placed.delete(input.assignment);
    if (input.type !== "chunk-started") return;
    const placed = this.#placed.get(input.assignment);
    if (placed === undefined) return;
    placed.waits = false;
    placed.asked = false;
  }

  #note(nowMs: Millis, effect: Effect): void {
    if (effect.type === "assign-chunk")
      this.#placed.set(effect.assignment, { node: effect.node, atMs: nowMs, waits: true, asked: false });
    if (effect.type !== "revoke-chunk") return;
    const placed = this.#placed.get(effect.assignment);
    if (placed === undefined) return;
    placed.waits = false;
    placed.asked = !effect.stop;
    if (placed.asked) this.handedBack++;
  }

  #isWasteful(nodes: readonly NodeView[]): boolean {
    const idle = nodes.reduce(
      (sum, { slots, credit, chunks }) => sum + Math.max(0, Math.min(slots, credit) - chunks),
      0,
    );
    const asked = this.#placed.values().reduce((sum, it) => sum + Number(it.asked), 0);
    return idle > asked && nodes.some(({ node, slots }) => this.#waitingAt(node, slots));
  }

  #waitingAt(node: NodeKey, slots: number): boolean {
    const here = [...this.#placed.values()].filter((it) => it.node === node);
    return here.slice(slots).some(({ waits }) => waits);
  }
}
