import type { Millis } from "@heddle/kernel";

/** A session that is to be kept alive, as its opening told. */
export interface LeaseTerms {
  /** The session's number. */
  readonly session: number;
  /** The nonce that opened it: its beats show by it whose they are. In no log. Empty where another process keeps the lease. */
  readonly nonce: string;
  /** Its lease. */
  readonly ttlMs: number;
  /** When this process asked for the session, or to go on with it: the first lease counts from here. */
  readonly sinceMs: Millis;
  /** Where its beats may be sent, the best first. */
  readonly addresses: readonly string[];
}

/** A session whose beats are sent until this is disposed. */
export interface KeptLease extends Disposable {
  /** Until when the session lives for certain, by this process's clock. Only grows. Cheap, and true even when the event loop was blocked until now. */
  validUntilMs(): Millis;
  /** The manager has said that it knows the session no more. */
  readonly isOver: boolean;
  /** Why beats come to nothing now, for people; undefined while they are answered, and where there are none. */
  readonly trouble?: string | undefined;
  /** Called, soon, when the lease was extended, when there is other trouble than before, and when the session is over; until disposed. */
  onChange(listen: () => void): Disposable;
}

/** Keeps sessions alive: their beats go out though nobody calls anything. */
export interface LeaseKeeper {
  keep(terms: LeaseTerms): KeptLease;
}

/** Bound of the difference between the rates of two clocks. */
export const CLOCK_RATE_BOUND = 0.002;
/** What scheduling may take between the reading of a clock and what is done by it. */
export const SCHEDULING_GUARD_MS = 50;

/** Until when a lease holds for whoever asked for it at `sentMs`, whatever the manager's clock does within bounds: it grants the lease from when it hears. */
export function leaseUntilMs(sentMs: Millis, ttlMs: number): Millis {
  return sentMs + ttlMs * (1 - CLOCK_RATE_BOUND) - SCHEDULING_GUARD_MS;
}

/** For sessions with a manager in the same process: they end together. */
export const endlessLeases: LeaseKeeper = {
  keep: () => ({
    validUntilMs: () => Number.POSITIVE_INFINITY,
    isOver: false,
    onChange: () => ({ [Symbol.dispose]: () => undefined }),
    [Symbol.dispose]: () => undefined,
  }),
};
