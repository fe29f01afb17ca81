import type { SessionNumber } from "@heddle/core-objects";
import type { Clock, Millis } from "@heddle/kernel";
import { CLOCK_RATE_BOUND } from "@heddle/port-rpc";
import { LAST_HEARING_MS } from "./limits.ts";

interface Lease {
  readonly ttlMs: Millis;
  /** Until when its holder need not be heard. */
  deadlineMs: Millis;
  /** Its deadline was seen to have passed; it ends at the next look unless its holder is heard before. */
  isOverdue: boolean;
}

/** How leases end. */
export interface LeasesOptions {
  readonly clock: Clock;
  /** Its lease has run out: the session is to end. */
  readonly expire: (session: SessionNumber) => void;
  /** Whether the session is known to live without being heard. */
  readonly isKept: (session: SessionNumber) => boolean;
}

/**
 * When sessions were heard last. Deadlines are no part of the journal: a manager that starts gives everybody a whole lease. One timer is set,
 * for the earliest deadline. One that is late means that this process did not run and heard nobody: that is as good as a start, for those whose
 * streams may have broken meanwhile.
 */
export class Leases {
  readonly #options: LeasesOptions;
  readonly #leases = new Map<SessionNumber, Lease>();
  #timer: Disposable | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #suspended = false;

  constructor(options: LeasesOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#leases.size;
  }

  /** Begins a lease, whole from now on. One that runs already goes on. */
  open(session: SessionNumber, ttlMs: Millis): void {
    if (this.#leases.has(session)) return;
    const deadlineMs = this.#deadline(ttlMs);
    this.#leases.set(session, { ttlMs, deadlineMs, isOverdue: false });
    this.#lookAt(deadlineMs);
  }

  /** Its holder was heard: the lease is whole again. Gives its length, or undefined for a session that is not known. */
  extend(session: SessionNumber): Millis | undefined {
    const lease = this.#leases.get(session);
    if (lease === undefined) return undefined;
    lease.deadlineMs = Math.max(lease.deadlineMs, this.#deadline(lease.ttlMs));
    lease.isOverdue = false;
    return lease.ttlMs;
  }

  /** Its stream is about to go: where that has kept it, its holder was heard until now. */
  leave(session: SessionNumber): void {
    if (this.#options.isKept(session)) this.extend(session);
  }

  close(session: SessionNumber): void {
    this.#leases.delete(session);
  }

  /** What is left of it; undefined for a session that is not known. */
  leftMs(session: SessionNumber): Millis | undefined {
    const lease = this.#leases.get(session);
    return lease === undefined ? undefined : Math.max(0, lease.deadlineMs - this.#options.clock.nowMs());
  }

  /** Sessions with a lease. */
  sessions(): readonly SessionNumber[] {
    return [...this.#leases.keys()];
  }

  /** While true nobody is expired: it could not be journalled. */
  suspend(suspended: boolean): void {
    this.#suspended = suspended;
    if (!suspended) this.#lookAt(this.#options.clock.nowMs());
  }

  stop(): void {
    this.#timer?.[Symbol.dispose]();
    this.#leases.clear();
    this.#suspended = true;
  }

  #deadline(ttlMs: Millis): Millis {
    return this.#options.clock.nowMs() + ttlMs * (1 + CLOCK_RATE_BOUND);
  }

  #lookAt(atMs: Millis): void {
    if (atMs >= this.#timerAtMs) return;
    this.#timer?.[Symbol.dispose]();
    this.#timerAtMs = atMs;
    this.#timer = this.#options.clock.setTimer(atMs, () => this.#look(atMs));
  }

  #look(dueAtMs: Millis): void {
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    if (this.#suspended) return;
    const { clock, isKept } = this.#options;
    const nowMs = clock.nowMs();
    this.#forgive(nowMs - dueAtMs);
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [session, lease] of this.#leases) {
      if (isKept(session)) this.extend(session);
      if (lease.deadlineMs > nowMs) nextMs = Math.min(nextMs, lease.deadlineMs);
      else if (lease.isOverdue) this.#expire(session);
      else {
        lease.isOverdue = true;
        nextMs = Math.min(nextMs, nowMs + LAST_HEARING_MS);
      }
    }
    if (nextMs < Number.POSITIVE_INFINITY) this.#lookAt(nextMs);
  }

  /** This process was late by `lagMs`. */
  #forgive(lagMs: Millis): void {
    for (const [session, { ttlMs }] of this.#leases) if (lagMs > ttlMs / 4) this.extend(session);
  }

  #expire(session: SessionNumber): void {
    this.#leases.delete(session);
    this.#options.expire(session);
  }
}
