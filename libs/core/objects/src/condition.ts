import { changed } from "./content.ts";
import { freeLock, grantLock } from "./lock.ts";
import { called, numbers, readNumbers, refused } from "./replies.ts";
import type { Condition, Lock, Owner, State, Waiter } from "./state.ts";
import type { Operation, Reply } from "./types.ts";
import { needHold, wait } from "./waits.ts";

export function conditionWait(state: State, condition: Condition, operation: Operation, owner: Owner): undefined {
  const [waits = 1, token = 0] = operation.numbers;
  const lock = lockOf(condition);
  const { flow } = needHold(lock.hold, lock, owner, token);
  wait(state, owner, operation, { object: condition, line: condition.line, flow });
  changed(state, condition);
  freeLock(state, lock);
  const waiter = owner.waiting.get(operation.seq);
  if (waits === 0 && waiter !== undefined) wake(state, condition, waiter, false);
  return undefined;
}

export function conditionNotify(state: State, condition: Condition, operation: Operation, owner: Owner): Reply {
  const [count = 1, token = 0] = operation.numbers;
  const lock = lockOf(condition);
  needHold(lock.hold, lock, owner, token);
  let woken = 0;
  for (const waiter of condition.line) {
    if (woken === count) break;
    wake(state, condition, waiter, true);
    woken++;
  }
  return numbers(state, operation, [woken]);
}

export function conditionState(_state: State, { line, changed: revision }: Condition, operation: Operation): Reply {
  return readNumbers(operation, revision, [line.size]);
}

/** A waiter goes on to wait for the lock: it was notified, or is tired of waiting. In the lock's line it stays where it is. */
export function wake(state: State, condition: Condition, waiter: Waiter, notified: boolean): void {
  if (waiter.line !== condition.line || condition.lock === undefined) return;
  condition.line.remove(waiter);
  waiter.notified = notified;
  condition.lock.line.push(waiter);
  changed(state, condition);
  grantLock(state, condition.lock);
}

function lockOf(condition: Condition): Lock {
  if (condition.lock === undefined) throw refused("not-found", `the lock of ${called(condition)} is gone`);
  return condition.lock;
}
