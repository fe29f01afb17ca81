import { breakBarrier } from "./barrier.ts";
import { wake } from "./condition.ts";
import { changed } from "./content.ts";
import { forgetJob } from "./effects-jobs.ts";
import { forgetChanges } from "./history.ts";
import { freeLock, returnPermits } from "./lock.ts";
import { letGo, loseSent, unhold, unsend } from "./pipe.ts";
import { endReader, tellReader } from "./readers.ts";
import { called, done, numbers, refusal } from "./replies.ts";
import type { Barrier, Hold, Owner, PipeEnd, Session, SharedObject, State, Waiter } from "./state.ts";
import { dropHold } from "./tally.ts";
import type { Operation, Refusal, Reply } from "./types.ts";
import { answer, drop, linesOf, replyBytes } from "./waits.ts";

export function cancel(state: State, operation: Operation, owner: Owner): Reply {
  const [seq = 0] = operation.numbers;
  const waiter = owner.waiting.get(seq);
  if (waiter !== undefined) cancelWaiter(state, waiter);
  cancelReader(state, operation, owner);
  return done(state, operation);
}

/**
 * A reader waits no more. Also when the cancel is asked again: it was done before, but a reader whose reply was lost with a stream, or with
 * the manager, was asked again as well.
 */
export function cancelReader(state: State, { numbers: [seq = 0] }: Operation, owner: Owner): void {
  const reader = owner.session.readers.get(owner.number)?.get(seq);
  if (reader === undefined) return;
  const { object, operation } = reader;
  tellReader(state, reader, refusal(operation, object.changed, cancelled(object)));
}

export function destroy(state: State, operation: Operation): Reply {
  const object = state.objects.get(operation.object);
  if (object !== undefined) destroyObject(state, object);
  return numbers(state, operation, [object === undefined ? 0 : 1]);
}

/** It is gone; whoever waits at it is told so. */
function destroyObject(state: State, object: SharedObject): void {
  state.objects.delete(object.ref);
  object.creator?.objects.delete(object);
  object.maker?.named.delete(object);
  (object.maker ?? state).tally.objects.add(-1);
  state.touched.delete(object);
  forgetChanges(state, object);
  const gone: Refusal = { code: "not-found", message: `${called(object)} was destroyed` };
  for (const line of linesOf(object)) for (const waiter of line) answer(state, waiter, { refusal: gone });
  for (const reader of object.readers) tellReader(state, reader, refusal(reader.operation, 0, gone));
  detach(state, object, gone);
  state.bytes -= object.bytes;
}

/** Takes a lock, or all permits that are out, from whoever has it, as if they had died. */
export function breakHolds(state: State, object: SharedObject | undefined, reason: string): void {
  if (object?.type === "lock" && object.hold !== undefined) {
    object.broken = { token: object.hold.token, reason };
    revoke(state, object.hold, reason);
    freeLock(state, object);
  }
  if (object?.type === "semaphore")
    for (const hold of inOrder([...object.holds.values()])) {
      revoke(state, hold, reason);
      returnPermits(state, hold, hold.count);
    }
}

function revoke(state: State, { owner, object, token }: Hold, reason: string): void {
  const { session, number } = owner;
  state.effects.push({ type: "revoke", session: session.number, owner: number, object: object.ref, token, reason });
}

export function closeOwner(state: State, session: Session, number: number): void {
  const owner = session.owners.get(number);
  const readers = session.readers.get(number);
  if (readers !== undefined) for (const reader of readers.values()) endReader(state, reader);
  if (owner === undefined) return;
  const broken = dropWaiters(state, owner);
  session.owners.delete(number);
  session.tally.owners.add(-1);
  breakAll(state, broken, "who waited is gone");
  freeOwner(state, owner);
  for (const object of owner.objects) destroyObject(state, object);
  for (const job of owner.jobs) forgetJob(state, job);
}

/** Nothing of the session is left: what it waits for is dropped first, so that nothing is given to it while it ends. */
export function closeSession(state: State, session: Session): void {
  for (const readers of session.readers.values()) for (const reader of readers.values()) endReader(state, reader);
  const owners = [...session.owners.values()].sort((a, b) => a.number - b.number);
  const broken = owners.flatMap((owner) => dropWaiters(state, owner));
  state.sessions.delete(session.number);
  state.nonces.delete(session.nonce);
  session.owners.clear();
  session.tally.owners.add(-owners.length);
  breakAll(state, broken, "who waited is gone");
  for (const owner of owners) freeOwner(state, owner);
  for (const end of endsInOrder(session.sending)) loseSent(state, end, session);
  const objects = owners.flatMap((owner) => [...owner.objects]).sort((a, b) => a.created - b.created);
  for (const object of objects) destroyObject(state, object);
  for (const owner of owners) for (const job of owner.jobs) forgetJob(state, job);
  for (const each of [...session.named, ...session.outliving]) each.maker = undefined; // they stay, and count in all alone
}

function cancelWaiter(state: State, waiter: Waiter): void {
  const { object } = waiter;
  if (object.type === "condition") {
    wake(state, object, waiter, false);
    return;
  }
  answer(state, waiter, { refusal: cancelled(object) });
  if (object.type === "barrier") breakBarrier(state, object, "who waited does so no more");
}

function cancelled(object: SharedObject): Refusal {
  return { code: "cancelled", message: `the wait at ${called(object)} was cancelled` };
}

/** What only this kind of object has leaves the tables. */
function detach(state: State, object: SharedObject, gone: Refusal): void {
  switch (object.type) {
    case "lock":
      if (object.hold !== undefined) dropHold(object.hold);
      for (const condition of object.conditions) {
        condition.lock = undefined;
        for (const waiter of condition.line) answer(state, waiter, { refusal: gone });
        changed(state, condition);
      }
      return;
    case "condition":
      // Who was notified and waits for the lock again is told too.
      for (const waiter of object.lock?.line ?? [])
        if (waiter.object === object) answer(state, waiter, { refusal: gone });
      object.lock?.conditions.delete(object);
      return;
    case "semaphore":
      for (const hold of object.holds.values()) dropHold(hold);
      return;
    case "barrier":
      object.action?.actions.delete(object);
      return;
    case "pipe":
      for (const end of object.ends) {
        for (const holder of end.holders) unhold(state, end, holder);
        for (const sender of end.sending.keys()) unsend(state, end, sender);
      }
      return;
    case "dict":
    case "list":
    case "cells":
    case "queue":
    case "event":
      return;
  }
}

/** Its waits are over without a reply; returns the barriers that break by it. */
function dropWaiters(state: State, owner: Owner): Barrier[] {
  const broken: Barrier[] = [];
  for (const waiter of [...owner.waiting.values()].sort((a, b) => a.operation.seq - b.operation.seq)) {
    drop(state, waiter);
    changed(state, waiter.object);
    if (waiter.object.type === "barrier") broken.push(waiter.object);
  }
  for (const barrier of owner.actions) broken.push(barrier);
  return broken;
}

function breakAll(state: State, barriers: readonly Barrier[], why: string): void {
  const each = new Set(barriers);
  for (const barrier of [...each].sort((a, b) => a.created - b.created)) breakBarrier(state, barrier, why);
}

/** What it holds is free, in an order that only depends on the state. */
function freeOwner(state: State, owner: Owner): void {
  for (const hold of inOrder([...owner.holds])) {
    if (hold.object.type === "lock") freeLock(state, hold.object);
    else returnPermits(state, hold, hold.count);
  }
  for (const end of endsInOrder(owner.ends)) letGo(state, end, owner);
  for (const reply of owner.replies.values()) state.bytes -= replyBytes(reply);
  owner.session.tally.replies.add(-owner.replies.size);
}

function inOrder(holds: Hold[]): Hold[] {
  return holds.sort(
    (a, b) => a.token - b.token || a.object.created - b.object.created || a.owner.number - b.owner.number,
  );
}

function endsInOrder(ends: ReadonlySet<PipeEnd>): PipeEnd[] {
  return [...ends].sort((a, b) => a.pipe.created - b.pipe.created || a.index - b.index);
}
