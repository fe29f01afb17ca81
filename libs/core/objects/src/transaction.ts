import { objectText } from "@heddle/kernel";
import { keyText } from "./dict.ts";
import { forgetRevision } from "./history.ts";
import { done, overLimit, Refused, refused } from "./replies.ts";
import type { SharedObject, State } from "./state.ts";
import type { Expectation, Operation, Reply, Verb } from "./types.ts";
import { lostGuard } from "./waits.ts";

/** Does a write of a dict, a list or cells, which never waits and can be taken back. Throws Refused before it changes anything. */
export type Part = (state: State, operation: Operation) => Reply;

/** The part that a verb is; undefined for one that is none. */
export type PartOf = (verb: Verb) => Part | undefined;

/** One of the operations that are done together. */
export interface Step {
  readonly operation: Operation;
  readonly run: Part;
  /** In words: which one of what. */
  readonly name: string;
}

/** Does all of its operations, at one revision, or none: when one is refused, those before it are taken back. */
export function transaction(state: State, operation: Operation, partOf: PartOf): Reply {
  const { operations, expectations } = operation;
  needFew(state, Math.max(operations.length, expectations.length));
  const steps = operations.map((each, at) => stepOf(each, `operation ${at + 1} of the transaction`, partOf));
  for (const expectation of expectations) needUnchanged(state, expectation);
  allOrNothing(state, operations, () => {
    for (const step of steps) doStep(state, step);
  });
  return done(state, operation);
}

/** Does what `run` does; when that throws, all of it is taken back. `operations`: those that it may do. */
export function allOrNothing(state: State, operations: readonly Operation[], run: () => void): void {
  const undo: (() => void)[] = [];
  state.undo = undo;
  try {
    run();
  } catch (error) {
    state.undo = undefined;
    takeBack(state, undo, operations);
    throw error;
  }
  state.undo = undefined;
}

/** Refuses what is no part. */
export function stepOf(operation: Operation, name: string, partOf: PartOf): Step {
  const { verb } = operation;
  const run = partOf(verb);
  if (run !== undefined) return { operation, run, name };
  throw refused("invalid-argument", `${name} is ${verb}: only writes of dicts, lists, values and arrays belong in one`);
}

/** Does one of several; a refusal says which one it is. */
export function doStep(state: State, { operation, run, name }: Step): Reply {
  try {
    const lost = lostGuard(state, operation);
    if (lost !== undefined) throw new Refused(lost);
    return run(state, operation);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    throw new Refused({ ...error.refusal, message: `${name}: ${error.message}` });
  }
}

/** Refuses when what was read has changed since. */
export function needUnchanged(state: State, { object: ref, key, revision }: Expectation): void {
  const object = state.objects.get(ref);
  const is = key.length === 0 ? (object?.changed ?? 0) : keyRevision(state, object, key);
  if (is === revision) return;
  const what = key.length === 0 ? objectText(ref) : `a key of ${objectText(ref)}`;
  throw refused("conflict", `${what} was changed at revision ${is}, after it was read at ${revision}: try again`);
}

/** Revision of the last change of a dict's key; 0 when it is not there. Refuses what is no key. */
export function keyRevision(state: State, object: SharedObject | undefined, key: Uint8Array): number {
  return object?.type === "dict" ? (object.entries.get(keyText(state, key))?.revision ?? 0) : 0;
}

/** The last first. What watchers were to be told of this revision is forgotten. */
function takeBack(state: State, undo: readonly (() => void)[], operations: readonly Operation[]): void {
  for (const each of undo.toReversed()) each();
  for (const { object: ref } of operations) {
    const object = state.objects.get(ref);
    if (object !== undefined) forgetRevision(state, object);
  }
}

function needFew(state: State, count: number): void {
  if (count > state.limits.TRANSACTION_OPERATIONS_MAX)
    throw overLimit(state, "TRANSACTION_OPERATIONS_MAX", count, "the transaction is too large");
}
