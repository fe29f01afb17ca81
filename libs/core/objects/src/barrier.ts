import { changed } from "./content.ts";
import type { Line } from "./line.ts";
import { called, done, numbers, readNumbers, refusal, refused } from "./replies.ts";
import type { Barrier, Flag, Owner, State, Waiter } from "./state.ts";
import type { Operation, Refusal, Reply } from "./types.ts";
import { answer, wait } from "./waits.ts";

export function barrierWait(state: State, barrier: Barrier, operation: Operation, owner: Owner): Reply | undefined {
  if (barrier.broken) throw broken(barrier);
  const { parties } = barrier.spec;
  const arrived = barrier.line.size;
  // While an action runs, who comes belongs to the next round.
  if (barrier.action !== undefined || arrived + 1 < parties) {
    wait(state, owner, operation, { object: barrier, line: barrier.line });
    changed(state, barrier);
    return undefined;
  }
  const runsAction = operation.numbers[1] === 1;
  if (runsAction) {
    beginAction(barrier, owner);
    changed(state, barrier);
  } else pass(state, barrier);
  return numbers(state, operation, [arrived, runsAction ? 1 : 0]);
}

export function barrierRelease(state: State, barrier: Barrier, operation: Operation, owner: Owner): Reply {
  if (barrier.broken) throw broken(barrier);
  if (barrier.action !== owner) throw refused("state", `${called(barrier)} waits for no action of this owner`);
  if (operation.numbers[0] === 0) breakBarrier(state, barrier, "its action failed");
  else {
    endAction(barrier);
    pass(state, barrier);
  }
  return done(state, operation);
}

export function barrierAbort(state: State, barrier: Barrier, operation: Operation): Reply {
  breakBarrier(state, barrier, "it was aborted");
  return done(state, operation);
}

export function barrierReset(state: State, barrier: Barrier, operation: Operation): Reply {
  breakBarrier(state, barrier, "it was reset");
  barrier.broken = false;
  return done(state, operation);
}

export function barrierState(_state: State, barrier: Barrier, operation: Operation): Reply {
  const waiting = Math.min(barrier.line.size, barrier.spec.parties);
  return readNumbers(operation, barrier.changed, [waiting, barrier.broken ? 1 : 0, barrier.spec.parties]);
}

/** Whoever waits is told so, and whoever comes until it is reset. */
export function breakBarrier(state: State, barrier: Barrier, why: string): void {
  endAction(barrier);
  barrier.broken = true;
  const told: Refusal = { code: "broken-barrier", message: `${called(barrier)} is broken: ${why}` };
  for (const waiter of barrier.line) answer(state, waiter, { refusal: told });
  changed(state, barrier);
}

/**
 * The round is over: all of its parties but the last, who is answered elsewhere, go on, and whoever came meanwhile begins the next one. When
 * that is full as it begins its last party is among those who wait.
 */
function pass(state: State, barrier: Barrier): void {
  const { parties } = barrier.spec;
  for (;;) {
    let index = 0;
    for (const waiter of barrier.line) {
      if (index === parties - 1) break;
      answer(state, waiter, { numbers: [index++, 0] });
    }
    barrier.generation++;
    changed(state, barrier);
    const last = nth(barrier.line, parties - 1);
    if (last === undefined) return;
    const runsAction = last.operation.numbers[1] === 1;
    answer(state, last, { numbers: [parties - 1, runsAction ? 1 : 0] });
    if (runsAction) {
      beginAction(barrier, last.owner);
      return;
    }
  }
}

function nth(line: Line<Waiter>, index: number): Waiter | undefined {
  let at = 0;
  for (const waiter of line) if (at++ === index) return waiter;
  return undefined;
}

function beginAction(barrier: Barrier, owner: Owner): void {
  barrier.action = owner;
  owner.actions.add(barrier);
}

function endAction(barrier: Barrier): void {
  barrier.action?.actions.delete(barrier);
  barrier.action = undefined;
}

function broken(barrier: Barrier): Error {
  return refused("broken-barrier", `${called(barrier)} is broken until it is reset`);
}

export function eventSet(state: State, event: Flag, operation: Operation): Reply {
  return turn(state, event, operation, true);
}

export function eventClear(state: State, event: Flag, operation: Operation): Reply {
  return turn(state, event, operation, false);
}

export function eventIsSet(_state: State, { set, changed: revision }: Flag, operation: Operation): Reply {
  return readNumbers(operation, revision, [set ? 1 : 0]);
}

/** Undefined while it is not set. */
export function eventWait(_state: State, event: Flag, operation: Operation): Reply | undefined {
  if (event.set) return readNumbers(operation, event.changed, []);
  if (operation.numbers[0] !== 0) return undefined;
  return refusal(operation, event.changed, { code: "busy", message: `${called(event)} is not set` });
}

function turn(state: State, event: Flag, operation: Operation, set: boolean): Reply {
  if (event.set !== set) {
    event.set = set;
    changed(state, event);
  }
  return done(state, operation);
}
