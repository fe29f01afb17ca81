import { objectText } from "@heddle/kernel";
import { keyText } from "./dict.ts";
import { forgetRevision } from "./history.ts";
import { done, overLimit, Refused, refused } from "./replies.ts";
import type { Owner, SharedObject, State } from "./state.ts";
import type { Expectation, Operation, Reply, Verb } from "./types.ts";
import { lostGuard } from "./waits.ts";

type Part = (state: State, operation: Operation, owner: Owner) => Reply | undefined;

/** Does all of its operations, at one revision, or none: when one is refused, those before it are taken back. */
export function transaction(
  state: State,
  operation: Operation,
  owner: Owner,
  partOf: (verb: Verb) => Part | undefined,
): Reply {
  const { operations, expectations } = operation;
  needFew(state, Math.max(operations.length, expectations.length));
  const parts = operations.map((part, at) => ({ part, run: needPart(partOf(part.verb), part, at), at }));
  for (const expectation of expectations) needUnchanged(state, expectation);
  const undo: (() => void)[] = [];
  state.undo = undo;
  try {
    for (const { part, run, at } of parts) doPart(state, part, owner, { run, at });
  } catch (error) {
    state.undo = undefined;
    takeBack(state, undo, operations);
    throw error;
  }
  state.undo = undefined;
  return done(state, operation);
}

function doPart(
  state: State,
  part: Operation,
  owner: Owner,
  { run, at }: { readonly run: Part; readonly at: number },
): void {
  try {
    const lost = lostGuard(state, part);
    if (lost !== undefined) throw new Refused(lost);
    run(state, part, owner);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    throw new Refused({ ...error.refusal, message: `operation ${at + 1} of the transaction: ${error.message}` });
  }
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

function needPart(run: Part | undefined, { verb }: Operation, at: number): Part {
  if (run !== undefined) return run;
  throw refused(
    "invalid-argument",
    `operation ${at + 1} of the transaction is ${verb}: only writes of dicts, lists, values and arrays belong in one`,
  );
}

function needUnchanged(state: State, { object: ref, key, revision }: Expectation): void {
  const object = state.objects.get(ref);
  const is = key.length === 0 ? (object?.changed ?? 0) : keyRevision(state, object, key);
  if (is === revision) return;
  const what = key.length === 0 ? objectText(ref) : `a key of ${objectText(ref)}`;
  throw refused("conflict", `${what} was changed at revision ${is}, after it was read at ${revision}: try again`);
}

function keyRevision(state: State, object: SharedObject | undefined, key: Uint8Array): number {
  return object?.type === "dict" ? (object.entries.get(keyText(state, key))?.revision ?? 0) : 0;
}
