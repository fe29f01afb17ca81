import type { Clock, Millis } from "@heddle/kernel";
import { type KeptLease, type LeaseKeeper, type LeaseTerms, leaseUntilMs } from "@heddle/port-rpc";
import { SUSPEND_LOOK_MS, SUSPEND_MS } from "../limits.ts";
import type { LeaseLoss } from "./channel.ts";

/** What watching a lease takes. */
export interface LeaseWatchOptions {
  readonly clock: Clock;
  /** Time that goes on while the machine is suspended, which the clock may not. Undefined where nobody knows. */
  readonly bootClock?: (() => Millis) | undefined;
  readonly keeper: LeaseKeeper;
  /** Called at each change. */
  readonly changed: (loss: LeaseLoss | undefined) => void;
  /** The manager knows the session no more. */
  readonly over: () => void;
}

/** What there is of a session's lease. */
interface Watched {
  readonly terms: LeaseTerms;
  readonly kept: KeptLease;
  readonly listening: Disposable;
}

/**
 * Whether a session's lease holds, by the clock at each look: a process that was paused past it knows at its first look, before any timer. A lease counts from when
 * it was asked for, and only what the manager answered extends it.
 */
export class LeaseWatch {
  readonly #options: LeaseWatchOptions;
  #watched: Watched | undefined;
  #loss: LeaseLoss | undefined;
  /** Told by whoever keeps the lease for this process. */
  #toldLost: string | undefined;
  #timer: Disposable | undefined;
  /** The boot clock's lead over the clock, as of the last look that found no jump; and when that was. */
  #bootLead = 0;
  #bootLookMs: Millis = Number.NEGATIVE_INFINITY;
  /** Leases that were asked for before this count for nothing: the machine was suspended since. */
  #askedSinceMs: Millis = Number.NEGATIVE_INFINITY;
  #suspendedMs = 0;

  constructor(options: LeaseWatchOptions) {
    this.#options = options;
  }

  /** Why the lease does not hold, as of now. */
  get loss(): LeaseLoss | undefined {
    this.#look();
    return this.#loss;
  }

  /** A session was opened, or is gone on with. */
  opened(terms: LeaseTerms): void {
    const before = this.#watched;
    this.#toldLost = undefined;
    const isSame =
      before !== undefined &&
      before.terms.session === terms.session &&
      before.terms.nonce === terms.nonce &&
      before.terms.addresses.join() === terms.addresses.join();
    if (before === undefined || before.terms.session !== terms.session) {
      this.#bootLookMs = Number.NEGATIVE_INFINITY;
      this.#askedSinceMs = Number.NEGATIVE_INFINITY;
    }
    if (isSame) this.#watched = { ...before, terms };
    else {
      this.#drop();
      const kept = this.#options.keeper.keep(terms);
      this.#watched = { terms, kept, listening: kept.onChange(() => this.#keptChanged(kept)) };
    }
    this.#set(this.#judge());
    this.#watchLater();
  }

  /** The agent says that the lease does not hold. */
  lost(why: string): void {
    this.#toldLost = why;
    this.#look();
  }

  /** The session is over: what was held is lost for good. */
  ended(reason: string): void {
    this.#drop();
    this.#toldLost = undefined;
    this.#set({ type: "ended", reason });
  }

  #drop(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#watched?.listening[Symbol.dispose]();
    this.#watched?.kept[Symbol.dispose]();
    this.#watched = undefined;
  }

  #keptChanged(kept: KeptLease): void {
    if (this.#watched?.kept !== kept) return;
    if (kept.isOver) this.#options.over();
    else {
      this.#look();
      this.#watchLater();
    }
  }

  #look(): void {
    if (this.#watched !== undefined) this.#set(this.#judge());
  }

  #set(loss: LeaseLoss | undefined): void {
    const before = this.#loss;
    if (before?.type === loss?.type && (loss === undefined || loss.type === "late")) return;
    this.#loss = loss;
    this.#options.changed(loss);
  }

  #judge(): LeaseLoss | undefined {
    if (this.#toldLost !== undefined) return { type: "late", reason: this.#toldLost };
    const nowMs = this.#options.clock.nowMs();
    this.#lookForSuspension(nowMs);
    const untilMs = this.#validUntilMs();
    if (nowMs < untilMs) return undefined;
    const { ttlMs } = this.#watched?.terms ?? { ttlMs: 0 };
    if (untilMs === Number.NEGATIVE_INFINITY)
      return { type: "late", reason: `this machine was suspended for ${Math.round(this.#suspendedMs)} ms` };
    const trouble = this.#watched?.kept.trouble;
    const why = trouble === undefined ? "" : `: ${trouble}`;
    return { type: "late", reason: `the manager was not heard of for the lease of ${ttlMs} ms${why}` };
  }

  #validUntilMs(): Millis {
    if (this.#watched === undefined) return Number.NEGATIVE_INFINITY;
    const { terms, kept } = this.#watched;
    const untilMs = Math.max(kept.validUntilMs(), leaseUntilMs(terms.sinceMs, terms.ttlMs));
    return untilMs >= leaseUntilMs(this.#askedSinceMs, terms.ttlMs) ? untilMs : Number.NEGATIVE_INFINITY;
  }

  /** Its clock is a file to be read: it is not looked at on each use. */
  #lookForSuspension(nowMs: Millis): void {
    const { bootClock } = this.#options;
    if (bootClock === undefined || nowMs < this.#bootLookMs + SUSPEND_LOOK_MS) return;
    const lead = bootClock() - nowMs;
    if (this.#bootLookMs !== Number.NEGATIVE_INFINITY && lead > this.#bootLead + SUSPEND_MS) {
      this.#suspendedMs = lead - this.#bootLead;
      this.#askedSinceMs = nowMs;
      this.#bootLead = lead;
    } else if (this.#bootLookMs === Number.NEGATIVE_INFINITY) this.#bootLead = lead;
    this.#bootLookMs = nowMs;
  }

  /** At the end of the lease as it is known now; a lease that was extended meanwhile is watched on. One that is lost may come back. */
  #watchLater(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    const { clock } = this.#options;
    const untilMs = this.#validUntilMs();
    if (this.#watched === undefined || untilMs === Number.POSITIVE_INFINITY) return;
    const nowMs = clock.nowMs();
    this.#timer = clock.setTimer(untilMs > nowMs ? untilMs : nowMs + this.#watched.terms.ttlMs / 3, () => {
      this.#look();
      this.#watchLater();
    });
  }
}
