import { objectText } from "@heddle/kernel";
import { charge, keep, weight } from "./content.ts";
import type { Line } from "./line.ts";
import { called, NO_NUMBERS, NO_VALUES, overLimit, refused } from "./replies.ts";
import type { Hold, Owner, SharedObject, State, Waiter } from "./state.ts";
import { needPlace } from "./tally.ts";
import type { Operation, Refusal, Reply } from "./types.ts";

/** Puts an operation at the end of a line; it has no reply yet. Refuses when too many wait there. */
export function wait(
  state: State,
  owner: Owner,
  operation: Operation,
  at: { readonly object: SharedObject; readonly line: Line<Waiter>; readonly flow?: number },
): undefined {
  const { object, line, flow = 0 } = at;
  needPlaceToWait(state, object, 0);
  needPlace(owner.session.tally.waits);
  const waiter: Waiter = {
    owner,
    operation: operation.values.length === 0 ? operation : { ...operation, values: operation.values.map(keep) },
    object,
    since: state.revision,
    flow,
    notified: false,
    line: undefined,
    previous: undefined,
    next: undefined,
  };
  charge(state, object, waitingBytes(waiter));
  owner.waiting.set(operation.seq, waiter);
  owner.session.tally.waits.add(1);
  line.push(waiter);
  return undefined;
}

/** What a waiter's values count for, at its object. */
export function waitingBytes({ operation }: Waiter): number {
  let bytes = 0;
  for (const value of operation.values) bytes += weight(value);
  return bytes;
}

/**
 * Refuses when as many as may wait at the object already. `readers`: of those that read so many count too, none where a command is done, which
 * must come to the same without them.
 */
export function needPlaceToWait(state: State, object: SharedObject, readers: number): void {
  let waiting = readers + 1;
  for (const line of linesOf(object)) waiting += line.size;
  if (waiting > state.limits.WAITERS_MAX)
    throw overLimit(state, "WAITERS_MAX", waiting, `too many wait at ${called(object)}`);
}

/** Lines of an object in which writing operations wait, always in this order. */
export function linesOf(object: SharedObject): readonly Line<Waiter>[] {
  switch (object.type) {
    case "lock":
    case "semaphore":
    case "condition":
    case "barrier":
      return [object.line];
    case "queue":
      return [object.getters, object.putters];
    case "pipe":
      return [object.ends[0].receivers, object.ends[1].receivers];
    case "dict":
    case "list":
    case "cells":
    case "event":
      return [];
  }
}

/** The first of a line whose guards still hold; those before it are refused. */
export function nextOf(state: State, line: Line<Waiter>): Waiter | undefined {
  for (let first = line.first; first !== undefined; first = line.first) {
    // A condition's wait was done when it let go of the lock: what guarded that is no matter any more.
    const lost = first.object.type === "condition" ? undefined : lostGuard(state, first.operation);
    if (lost === undefined) return first;
    answer(state, first, { refusal: lost });
  }
  return undefined;
}

/** A waiter's reply is made: it waits no more. */
export function answer(
  state: State,
  waiter: Waiter,
  told: { readonly numbers?: readonly number[]; readonly values?: readonly Uint8Array[]; readonly refusal?: Refusal },
): void {
  drop(state, waiter);
  const { numbers = NO_NUMBERS, values = NO_VALUES, refusal } = told;
  const reply = { seq: waiter.operation.seq, values, numbers, revision: state.revision, refusal };
  settle(state, waiter.owner, reply);
}

/** It waits no more and gets no reply, at least not from here. */
export function drop(state: State, waiter: Waiter): void {
  waiter.line?.remove(waiter);
  waiter.owner.waiting.delete(waiter.operation.seq);
  waiter.owner.session.tally.waits.add(-1);
  charge(state, waiter.object, -waitingBytes(waiter));
}

/** A reply is kept until it is acknowledged, and told. */
export function settle(state: State, owner: Owner, reply: Reply): void {
  owner.replies.set(reply.seq, reply);
  owner.session.tally.replies.add(1);
  if (reply.values.length > 0) state.bytes += replyBytes(reply);
  state.effects.push({ type: "reply", session: owner.session.number, owner: owner.number, reply });
}

/** What a reply counts for. */
export function replyBytes({ values }: Reply): number {
  let bytes = 0;
  for (const value of values) bytes += weight(value);
  return bytes;
}

/** Why an operation may not be done under its guards; undefined when it may: each token is that of who holds the lock now. */
export function lostGuard(state: State, { guards }: Operation): Refusal | undefined {
  for (const { lock, token } of guards) {
    const object = state.objects.get(lock);
    if (object === undefined)
      return { code: "lock-lost", message: `the lock that guards this, ${objectText(lock)}, is gone` };
    if (!isHeld(object, token))
      return {
        code: "lock-lost",
        message: `${called(object)} is not held by token ${token} any more${brokenWords(object, token)}`,
      };
  }
  return undefined;
}

/** What the owner holds of a lock or semaphore by that token; refuses when it does not. */
export function needHold(hold: Hold | undefined, object: SharedObject, owner: Owner, token: number): Hold {
  if (hold === undefined || hold.token !== token || hold.owner !== owner)
    throw refused("not-held", `${called(object)} is not held here by token ${token}${brokenWords(object, token)}`);
  return hold;
}

function isHeld(object: SharedObject, token: number): boolean {
  if (object.type === "lock") return object.hold?.token === token;
  if (object.type !== "semaphore") return false;
  for (const hold of object.holds.values()) if (hold.token === token) return true;
  return false;
}

function brokenWords(object: SharedObject, token: number): string {
  if (object.type !== "lock" || object.broken?.token !== token) return "";
  const { reason } = object.broken;
  return reason === "" ? ": an operator took it away" : `: an operator took it away: ${reason}`;
}
