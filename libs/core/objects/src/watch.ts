import { decode, encode } from "./content.ts";
import { keyOf } from "./dict.ts";
import { watchChanges } from "./history.ts";
import { called, NO_VALUES, refused } from "./replies.ts";
import type { Change, SharedObject, State } from "./state.ts";
import type { Operation, Reply, Revision } from "./types.ts";

/**
 * The changes of an object, or of a dict's key, after `after` and the revision that the operation names; undefined when there are none. All
 * changes of one revision come together, or who goes on from it would miss some.
 */
export function watch(state: State, object: SharedObject, operation: Operation, after: Revision): Reply | undefined {
  if (object.type !== "dict" && object.type !== "list" && object.type !== "cells")
    throw refused("type", `${called(object)} is not watched: dicts, lists and cells are`);
  const [from = 0, most = state.limits.HISTORY_CHANGES_MAX] = operation.numbers;
  const text = object.type === "dict" && operation.values.length > 0 ? keyOf(state, operation) : undefined;
  watchChanges(state, object);
  const since = Math.max(from, after);
  if (object.changed <= since) return undefined;
  const { seq } = operation;
  const { history } = object;
  if (history === undefined || history.floor > since)
    return { seq, values: NO_VALUES, numbers: [object.changed, 1], revision: object.changed, refusal: undefined };
  const told: Change[] = [];
  let until = object.changed;
  for (const change of history.changes) {
    const last = told.at(-1);
    if (change.revision <= since) continue;
    if (last !== undefined && told.length >= most && change.revision !== last.revision) {
      until = last.revision;
      break;
    }
    if (text === undefined || change.text === text || change.type === "clear") told.push(change);
  }
  if (told.length === 0) return undefined;
  const values = told.map((change) => record(state, change));
  return { seq, values, numbers: [until, 0], revision: object.changed, refusal: undefined };
}

/** {revision, type, key?, value?, index?} */
function record(state: State, { revision, type, key, value, index }: Change): Uint8Array {
  return encode(state, {
    revision,
    type,
    ...(key === undefined ? {} : { key: decode(state, key) }),
    ...(value === undefined ? {} : { value: decode(state, value) }),
    ...(index === undefined ? {} : { index }),
  });
}
