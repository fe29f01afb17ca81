import { changed } from "./content.ts";
import { busy, called, done, numbers, readNumbers, refused } from "./replies.ts";
import type { Hold, Lock, Owner, Semaphore, State, Waiter } from "./state.ts";
import { addHold, dropHold, needPlace } from "./tally.ts";
import type { Operation, Reply } from "./types.ts";
import { answer, needHold, nextOf, wait } from "./waits.ts";

export function lockAcquire(state: State, lock: Lock, operation: Operation, owner: Owner): Reply | undefined {
  const [waits = 1, flow = 0] = operation.numbers;
  const { hold } = lock;
  if (lock.spec.kind === "rlock" && hold?.owner === owner && hold.flow === flow)
    return numbers(state, operation, [hold.token]);
  if (hold !== undefined && waits === 0) return busy(state, operation, "busy", `${called(lock)} is held`);
  needPlace(owner.session.tally.holds);
  if (hold === undefined) return numbers(state, operation, [grant(state, lock, owner, flow).token]);
  return wait(state, owner, operation, { object: lock, line: lock.line, flow });
}

export function lockRelease(state: State, lock: Lock, operation: Operation, owner: Owner): Reply {
  needHold(lock.hold, lock, owner, operation.numbers[0] ?? 0);
  freeLock(state, lock);
  return done(state, operation);
}

export function lockState(_state: State, { hold, changed: revision }: Lock, operation: Operation): Reply {
  return readNumbers(operation, revision, hold === undefined ? [0, 0] : [1, hold.token]);
}

/** Its holder has it no more; whoever waits longest gets it. */
export function freeLock(state: State, lock: Lock): void {
  if (lock.hold !== undefined) dropHold(lock.hold);
  lock.hold = undefined;
  changed(state, lock);
  grantLock(state, lock);
}

/** Gives a free lock to whoever waits longest, if anybody does. */
export function grantLock(state: State, lock: Lock): void {
  if (lock.hold !== undefined) return;
  const next = nextOf(state, lock.line);
  if (next === undefined) return;
  const { token } = grant(state, lock, next.owner, next.flow);
  answer(state, next, { numbers: next.object.type === "condition" ? [token, next.notified ? 1 : 0] : [token] });
  if (lock.spec.kind === "rlock") grantAgain(state, lock, next, token);
}

/** Whoever got an rlock has it however often it asked meanwhile. */
function grantAgain(state: State, lock: Lock, holder: Waiter, token: number): void {
  for (const other of lock.line)
    if (other.owner === holder.owner && other.flow === holder.flow && other.object === lock)
      answer(state, other, { numbers: [token] });
}

function grant(state: State, lock: Lock, owner: Owner, flow: number): Hold {
  const hold: Hold = { owner, object: lock, token: state.revision, flow, count: 1 };
  lock.hold = hold;
  addHold(hold);
  changed(state, lock);
  return hold;
}

export function semaphoreAcquire(
  state: State,
  semaphore: Semaphore,
  operation: Operation,
  owner: Owner,
): Reply | undefined {
  if (semaphore.free === 0 && operation.numbers[0] === 0)
    return busy(state, operation, "busy", `${called(semaphore)} has no permit free`);
  needPlace(owner.session.tally.holds);
  if (semaphore.free > 0) return numbers(state, operation, [takePermit(state, semaphore, owner)]);
  return wait(state, owner, operation, { object: semaphore, line: semaphore.line });
}

export function semaphoreReturn(state: State, semaphore: Semaphore, operation: Operation, owner: Owner): Reply {
  const token = operation.numbers[0] ?? 0;
  const hold = needHold(semaphore.holds.get(holdKey(owner, token)), semaphore, owner, token);
  returnPermits(state, hold, 1);
  return done(state, operation);
}

export function semaphoreRelease(state: State, semaphore: Semaphore, operation: Operation): Reply {
  const [count = 1] = operation.numbers;
  const { bound } = semaphore.spec;
  if (count < 1) throw refused("range", `${count} permits are not released, one or more are`);
  if (semaphore.free + count > (bound ?? Number.MAX_SAFE_INTEGER))
    throw refused(
      "range",
      `${called(semaphore)} has ${semaphore.free} of ${bound} permits free: ${count} more would be above its bound`,
    );
  semaphore.free += count;
  grantPermits(state, semaphore);
  return done(state, operation);
}

export function semaphoreValue(_state: State, { free, changed: revision }: Semaphore, operation: Operation): Reply {
  return readNumbers(operation, revision, [free]);
}

/** Permits go back. Those that would go above the bound, because others were released in their place, are no more. */
export function returnPermits(state: State, hold: Hold, count: number): void {
  const semaphore = hold.object;
  if (semaphore.type !== "semaphore") return;
  hold.count -= count;
  if (hold.count === 0) {
    semaphore.holds.delete(holdKey(hold.owner, hold.token));
    dropHold(hold);
  }
  semaphore.free = Math.min(semaphore.free + count, semaphore.spec.bound ?? Number.MAX_SAFE_INTEGER);
  grantPermits(state, semaphore);
}

/** How a semaphore finds what an owner holds. */
export function holdKey(owner: Owner, token: number): string {
  return `${owner.session.number}/${owner.number}/${token}`;
}

function grantPermits(state: State, semaphore: Semaphore): void {
  changed(state, semaphore);
  while (semaphore.free > 0) {
    const next = nextOf(state, semaphore.line);
    if (next === undefined) return;
    answer(state, next, { numbers: [takePermit(state, semaphore, next.owner)] });
  }
}

function takePermit(state: State, semaphore: Semaphore, owner: Owner): number {
  const token = state.revision;
  const key = holdKey(owner, token);
  const there = semaphore.holds.get(key);
  semaphore.free--;
  if (there !== undefined) there.count++;
  else {
    const hold: Hold = { owner, object: semaphore, token, flow: 0, count: 1 };
    semaphore.holds.set(key, hold);
    addHold(hold);
  }
  changed(state, semaphore);
  return token;
}
