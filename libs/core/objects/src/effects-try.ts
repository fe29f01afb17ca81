import { writeOf } from "./effects.ts";
import type { Reading } from "./handlers.ts";
import { overLimit, Refused, refusal, refused } from "./replies.ts";
import type { SharedObject, State } from "./state.ts";
import { doStep, keyRevision, type PartOf } from "./transaction.ts";
import type { Operation, Reply, Revision, Verb } from "./types.ts";

/** What may be tried. */
interface Tried {
  readonly partOf: PartOf;
  readonly lookOf: (verb: Verb) => Reading | undefined;
}

/** Verbs that name one key of a dict. */
const KEYED = /^dict-(get|has|set|delete|pop|set-default|increment|compare-and-set|replace)$/;

/**
 * What the last of the operations would be answered, were those before it done. They are done and taken back: as if nobody had asked, but that it
 * takes its time. Nobody who watches the object sees anything of it.
 */
export function effectsTry(state: State, operation: Operation, tried: Tried): Reply {
  const { operations } = operation;
  const last = needFew(state, operations);
  const object = state.objects.get(last.object);
  const revision = revisionOf(state, object, last);
  try {
    const reply =
      object === undefined
        ? answerOf(state, operations, tried)
        : away(state, object, () => answerOf(state, operations, tried));
    return { ...reply, seq: operation.seq, revision };
  } catch (error) {
    if (error instanceof Refused) return refusal(operation, revision, error.refusal);
    throw error;
  }
}

function needFew(state: State, operations: readonly Operation[]): Operation {
  const { length } = operations;
  if (length > state.limits.EFFECTS_TRY_OPERATIONS_MAX)
    throw overLimit(state, "EFFECTS_TRY_OPERATIONS_MAX", length, "too much is tried at once");
  const last = operations.at(-1);
  if (last === undefined) throw refused("invalid-argument", "nothing is tried");
  if (operations.some(({ object }) => object !== last.object))
    throw refused("invalid-argument", "what is tried is of one object");
  return last;
}

function answerOf(state: State, operations: readonly Operation[], { partOf, lookOf }: Tried): Reply {
  const name = (at: number): string => `operation ${at + 1} of what is tried`;
  for (const [at, each] of operations.slice(0, -1).entries()) doStep(state, writeOf(each, name(at), partOf));
  const at = operations.length - 1;
  const last = operations[at];
  if (last === undefined) throw refused("invalid-argument", "nothing is tried");
  const look = lookOf(last.verb);
  const reply = look === undefined ? writeOf(last, name(at), partOf).run(state, last) : look(state, last, 0);
  if (reply === undefined) throw refused("invalid-argument", `${last.verb} waits, and cannot be tried`);
  return reply;
}

/** Does what `run` does to the object at a revision that there never is, and takes it back. */
function away(state: State, object: SharedObject, run: () => Reply): Reply {
  const { history } = object;
  const undo: (() => void)[] = [];
  state.undo = undo;
  state.revision++;
  object.history = undefined;
  try {
    return run();
  } finally {
    for (const each of undo.toReversed()) each();
    object.history = history;
    state.revision--;
    state.undo = undefined;
    state.touched.delete(object);
  }
}

/** Of what is there. */
function revisionOf(state: State, object: SharedObject | undefined, { verb, values }: Operation): Revision {
  const [key] = values;
  const isKey = object?.type === "dict" && KEYED.test(verb) && !(verb === "dict-set" && values.length > 2);
  return isKey && key !== undefined ? keyRevision(state, object, key) : (object?.changed ?? 0);
}
