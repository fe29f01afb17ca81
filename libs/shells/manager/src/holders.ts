import type { SessionNumber } from "@heddle/core-objects";
import { type Caller, CallerQuota, isSameCaller } from "@heddle/port-rpc";
import { CALLER_LEASED_SESSIONS_MAX } from "./limits.ts";

interface Holder {
  readonly caller: Caller;
  /** Its place in the quota of the caller. */
  readonly place: Disposable;
  /** Its beats say the session's nonce: they did not before BEAT_NONCE_MINOR. */
  readonly saysNonce: boolean;
}

/** Whoever goes on with a session, in words of its own. */
type Attached = Pick<Holder, "caller" | "saysNonce">;

/**
 * Whose the sessions are, as far as this life of the manager has seen: identities are in no journal. After a restart a
 * session is that of the first who comes back with its nonce.
 * What comes through a coordinator is the coordinator's here: that may go on for others, and others for it, if they know the nonce.
 */
export class Holders {
  readonly #quota = new CallerQuota({
    limitName: "CALLER_LEASED_SESSIONS_MAX",
    max: CALLER_LEASED_SESSIONS_MAX,
    what: "sessions at the manager",
  });
  readonly #holders = new Map<SessionNumber, Holder>();

  /** A place for one more session of the caller. Throws LimitError. */
  reserve(caller: Caller): Disposable {
    return this.#quota.take(caller);
  }

  /** A session was opened in a place that was reserved. */
  opened(session: SessionNumber, holder: Holder): void {
    this.#holders.set(session, holder);
  }

  /** The caller goes on with a session. Whoever is nearer to its holder than a coordinator is remembered instead of that. */
  attached(session: SessionNumber, { caller, saysNonce }: Attached): void {
    const holder = this.#holders.get(session);
    if (holder !== undefined && (isSameCaller(holder.caller, caller) || isRelay(caller))) {
      this.#holders.set(session, { ...holder, saysNonce });
      return;
    }
    holder?.place[Symbol.dispose]();
    this.#holders.set(session, { caller, saysNonce, place: this.#quota.add(caller) });
  }

  /** Whether beats of the session say its nonce; undefined before its holder was heard of in this life of the manager. */
  saysNonce(session: SessionNumber): boolean | undefined {
    return this.#holders.get(session)?.saysNonce;
  }

  /** Whether the caller may speak for the session: it is its holder, or one of the two is known as a coordinator. */
  isFor(session: SessionNumber, caller: Caller): boolean {
    const holder = this.#holders.get(session)?.caller;
    return holder === undefined || isSameCaller(holder, caller) || isRelay(holder) || isRelay(caller);
  }

  /** Whose it is, as far as that is known. */
  of(session: SessionNumber): Caller | undefined {
    return this.#holders.get(session)?.caller;
  }

  /** The session is over. */
  ended(session: SessionNumber): void {
    this.#holders.get(session)?.place[Symbol.dispose]();
    this.#holders.delete(session);
  }

  /** Sessions whose holder is known. */
  sessions(): SessionNumber[] {
    return [...this.#holders.keys()];
  }
}

/** Coordinators speak for others; whoever runs as the user of the manager may be one. */
function isRelay({ role }: Caller): boolean {
  return role === undefined || role === "coordinator";
}
