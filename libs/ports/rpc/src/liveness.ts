import type { Millis } from "@heddle/kernel";
import { STALL_MS } from "./limits.ts";

/** How long a conversation stands silence. */
export interface Lease {
  readonly leaseMs: Millis;
  readonly heartbeatMs: Millis;
  /** Time without a link that ends the session, as silence of a lease does. */
  readonly giveUpMs: Millis;
}

/** What is true of a conversation when it is looked at. */
export interface Sight {
  /** It has a link that carries entries. */
  readonly isLinked: boolean;
  /** Something waits for the peer: to acknowledge it, or to read so that there is room. */
  readonly isOwed: boolean;
  /** The link's `arrivedBytes`. */
  readonly arrivedBytes: number | undefined;
}

/** What follows: nothing; another link is to be found, or, after a whole lease, the session is over. */
export type Verdict =
  | { readonly type: "well" }
  | { readonly type: "silent"; readonly why: string }
  | { readonly type: "hopeless"; readonly why: string };

/**
 * When the peer last gave a sign of life, as one side of a session sees it. Pure: told what happens, and asked every `periodMs`.
 * What its own loop slept is not the peer's silence: `look` moves every time that it keeps by its lag.
 */
export class Liveness {
  #lease: Lease;
  /** Of the last frame. */
  #heardAtMs: Millis;
  #sentAtMs: Millis;
  /** When the newest attempt to connect began. */
  #attemptAtMs: Millis;
  /** When the last link was lost; means nothing while there is one. */
  #unlinkedAtMs: Millis;
  /** When anything came on the present link, parts of frames included, as far as it can tell. */
  #movedAtMs: Millis;
  #arrivedBytes: number | undefined;
  /** When it was last seen that nothing waits for the peer. */
  #evenAtMs: Millis;

  constructor(lease: Lease, nowMs: Millis) {
    this.#lease = lease;
    this.#heardAtMs = this.#sentAtMs = this.#attemptAtMs = this.#unlinkedAtMs = nowMs;
    this.#movedAtMs = this.#evenAtMs = nowMs;
  }

  /** Pause between two looks: short enough for the peer to see an acknowledgement well before it takes the link for stalled. */
  get periodMs(): Millis {
    return Math.max(1, Math.min(this.#lease.heartbeatMs, this.#lease.giveUpMs) / 4);
  }

  /** When the last frame came. */
  get heardAtMs(): Millis {
    return this.#heardAtMs;
  }

  adopt(lease: Lease): void {
    this.#lease = lease;
  }

  attempted(nowMs: Millis): void {
    this.#attemptAtMs = nowMs;
  }

  linked(nowMs: Millis): void {
    this.#heardAtMs = this.#movedAtMs = this.#evenAtMs = nowMs;
    this.#arrivedBytes = undefined;
  }

  unlinked(nowMs: Millis): void {
    this.#unlinkedAtMs = nowMs;
  }

  heard(nowMs: Millis): void {
    this.#heardAtMs = this.#movedAtMs = nowMs;
  }

  sent(nowMs: Millis): void {
    this.#sentAtMs = nowMs;
  }

  /** So long after the last frame that the peer should have another, whatever is in it. */
  isBeatDue(nowMs: Millis): boolean {
    return nowMs - this.#sentAtMs >= this.#lease.heartbeatMs / 2;
  }

  /** A look that was due at `dueAtMs`. */
  look(nowMs: Millis, dueAtMs: Millis, sight: Sight): Verdict {
    this.#excuse(nowMs, Math.max(0, nowMs - dueAtMs));
    if (sight.arrivedBytes !== this.#arrivedBytes) this.#movedAtMs = nowMs;
    this.#arrivedBytes = sight.arrivedBytes;
    if (!sight.isOwed) this.#evenAtMs = nowMs;
    const silentMs = nowMs - this.#heardAtMs;
    if (this.#isHopeless(nowMs, sight.isLinked))
      return { type: "hopeless", why: `nothing was heard for ${Math.round(silentMs)} ms` };
    const attemptMs = nowMs - this.#attemptAtMs;
    if (Math.min(silentMs, attemptMs) >= this.#lease.leaseMs / 3)
      return { type: "silent", why: "silent for a third of the lease" };
    const stalledMs = nowMs - Math.max(this.#movedAtMs, this.#evenAtMs);
    if (sight.isLinked && stalledMs >= Math.max(STALL_MS, this.#lease.heartbeatMs * 0.75))
      return {
        type: "silent",
        why: `nothing came for ${Math.round(stalledMs)} ms, while something waited for the peer`,
      };
    return { type: "well" };
  }

  #excuse(nowMs: Millis, lagMs: Millis): void {
    const excused = (atMs: Millis): Millis => Math.min(nowMs, atMs + lagMs);
    this.#heardAtMs = excused(this.#heardAtMs);
    this.#attemptAtMs = excused(this.#attemptAtMs);
    this.#unlinkedAtMs = excused(this.#unlinkedAtMs);
    this.#movedAtMs = excused(this.#movedAtMs);
    this.#evenAtMs = excused(this.#evenAtMs);
  }

  #isHopeless(nowMs: Millis, isLinked: boolean): boolean {
    const { giveUpMs, leaseMs } = this.#lease;
    if (nowMs - this.#heardAtMs >= Math.max(giveUpMs, leaseMs)) return true;
    return !isLinked && nowMs - Math.max(this.#heardAtMs, this.#unlinkedAtMs) >= giveUpMs;
  }
}
