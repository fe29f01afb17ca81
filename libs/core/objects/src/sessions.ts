import { closeOwner, closeSession } from "./endings.ts";
import type { Owner, Session, State } from "./state.ts";
import { tallyOfSession } from "./tally.ts";
import type { Command } from "./types.ts";

type Opening = Extract<Command, { readonly type: "session-opened" }>;

/** Opens a session, once for each nonce while it lives. */
export function openSession(state: State, { nonce, ttlMs, description }: Opening): void {
  const there = state.nonces.get(nonce);
  if (there === undefined && state.sessions.size >= state.limits.SESSIONS_MAX) {
    const limit = state.limits.SESSIONS_MAX;
    const message = `there are ${limit} sessions: close some`;
    const refusal = { code: "limit", message, limit: { name: "SESSIONS_MAX", limit, actual: limit + 1 } };
    state.effects.push({ type: "refuse-session", nonce, refusal });
    return;
  }
  const session = there ?? makeSession(state, { number: state.revision, nonce, ttlMs, description });
  enterSession(state, session);
  state.effects.push({ type: "open-session", session: session.number, nonce, ttlMs: session.ttlMs });
}

/** What is told of a session once. */
type Identity = Pick<Session, "number" | "nonce" | "ttlMs" | "description">;

export function makeSession(state: State, identity: Identity): Session {
  return {
    ...identity,
    owners: new Map(),
    closed: new Set(),
    closedUpTo: -1,
    sending: new Set(),
    named: new Set(),
    outliving: new Set(),
    tally: tallyOfSession(state, identity.number),
    readers: new Map(),
  };
}

/** Puts a session into the tables. */
export function enterSession(state: State, session: Session): void {
  state.sessions.set(session.number, session);
  state.nonces.set(session.nonce, session);
}

export function endSession(state: State, number: number, code: "closed" | "expired"): void {
  const session = state.sessions.get(number);
  if (session === undefined) return;
  closeSession(state, session);
  const message =
    code === "expired"
      ? `session ${number} (${session.description}) was silent for longer than its lease of ${session.ttlMs} ms`
      : `session ${number} was closed`;
  state.effects.push({ type: "end-session", session: number, code, message });
}

export function endOwner(state: State, number: number, owner: number): void {
  const session = state.sessions.get(number);
  if (session === undefined || isClosed(session, owner)) return;
  closeOwner(state, session, owner);
  session.closed.add(owner);
  while (session.closed.size > state.limits.CLOSED_OWNERS_MAX) raiseFloor(session);
}

/** Whether operations of that owner come too late for ever. */
export function isClosed(session: Session, owner: number): boolean {
  return session.closed.has(owner) || (owner <= session.closedUpTo && !session.owners.has(owner));
}

/** A new owner of a session. */
export function addOwner(_state: State, session: Session, number: number): Owner {
  const owner: Owner = {
    session,
    number,
    lastSeq: 0,
    replies: new Map(),
    waiting: new Map(),
    holds: new Set(),
    ends: new Set(),
    objects: new Set(),
    jobs: new Set(),
    actions: new Set(),
  };
  session.owners.set(number, owner);
  session.tally.owners.add(1);
  return owner;
}

/** The lowest closed owner is remembered by the floor alone. */
function raiseFloor(session: Session): void {
  let lowest = Number.POSITIVE_INFINITY;
  for (const owner of session.closed) if (owner < lowest) lowest = owner;
  session.closed.delete(lowest);
  session.closedUpTo = Math.max(session.closedUpTo, lowest);
}
