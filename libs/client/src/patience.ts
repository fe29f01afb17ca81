import { type BackoffPolicy, backoffMs, type Environment, type Millis } from "@heddle/kernel";
import { isRefusal, type SessionEnd } from "@heddle/port-rpc";
import { STEADY_MS } from "./limits.ts";

/** Pauses between sessions that follow each other with nothing done in between. Where nobody answers each session has pauses of its own. */
const PAUSES: BackoffPolicy = { firstMs: 50, maxMs: 2_000 };

/**
 * How long a client goes on trying to come back to a coordinator that it had: `timeoutMs` from its loss. Losses in quick succession with nothing done in between
 * are one: a coordinator that dies of what it is sent is not sent it for ever.
 */
export class Patience {
  readonly #env: Environment;
  readonly #timeoutMs: Millis;
  #lostAtMs: Millis | undefined;
  /** Since when there is a link; undefined while there is none. */
  #linkedAtMs: Millis | undefined;
  /** Sessions that were opened anew since the loss. */
  #sessions = 0;

  constructor(env: Environment, timeoutMs: Millis) {
    this.#env = env;
    this.#timeoutMs = timeoutMs;
  }

  /** There is a link. `isSame`: the session goes on that had one before: nothing was lost. */
  linked(isSame: boolean): void {
    this.#linkedAtMs = this.#env.clock.nowMs();
    if (isSame) this.regained();
  }

  /** The link is lost, or the session. */
  lost(): void {
    const nowMs = this.#env.clock.nowMs();
    const steadyMs = Math.min(STEADY_MS, this.#timeoutMs);
    if (this.#linkedAtMs !== undefined && nowMs - this.#linkedAtMs >= steadyMs) this.regained();
    this.#linkedAtMs = undefined;
    this.#lostAtMs ??= nowMs;
  }

  /** The coordinator has done something. What is lost later is another loss. */
  regained(): void {
    this.#lostAtMs = undefined;
    this.#sessions = 0;
  }

  /** Time until it is over. */
  get leftMs(): Millis {
    if (this.#lostAtMs === undefined) return this.#timeoutMs;
    return Math.max(0, this.#lostAtMs + this.#timeoutMs - this.#env.clock.nowMs());
  }

  /** How long to wait before the next session: not at all before the first one. */
  pauseMs(): Millis {
    return this.#sessions++ === 0 ? 0 : backoffMs(PAUSES, this.#sessions, this.#env.random);
  }
}

/**
 * Whether a session that ended so may be followed by another, of a client that was let in before: the coordinator was started anew or stopped, has given the session up,
 * takes an older one for the newest, or does not let this client in for a moment.
 */
export function isCurable(end: SessionEnd): boolean {
  switch (end.reason) {
    case "goodbye":
      // "conflict": the hello of a session that was given up arrived behind that of this one, and counts as the newer
      return ["unavailable", "timeout", "conflict"].includes(end.goodbye.code);
    case "lost":
      return end.isForgotten === true || isRefusal(end.error);
    case "expired":
      return true;
    case "closed":
      return false;
  }
}
