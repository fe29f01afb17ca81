import { Fifo } from "@heddle/kernel";
import { ITEM_OVERHEAD_BYTES } from "./limits.ts";
import type { Change, SharedObject, State } from "./state.ts";

/** From now on its changes are remembered; it is the last to be forgotten. */
export function watchChanges(state: State, object: SharedObject): void {
  object.history ??= { floor: object.changed, changes: new Fifo(), bytes: 0 };
  state.watched.delete(object);
  state.watched.add(object);
}

/** How an object that is watched has changed at this revision; of others nothing is remembered. */
export function remember(state: State, object: SharedObject, type: Change["type"], what: Partial<Change>): void {
  const { history } = object;
  if (history === undefined) return;
  const { text, key, value, index } = what;
  const change: Change = { revision: state.revision, type, text, key, value, index };
  history.changes.push(change);
  weigh(state, object, weightOf(change));
  while (history.changes.size > state.limits.HISTORY_CHANGES_MAX) forgetOldest(state, object);
  for (const other of state.watched) {
    if (state.historyBytes <= state.limits.HISTORY_BYTES_MAX) return;
    forgetChanges(state, other);
  }
}

/** Nothing is known of its changes any more. */
export function forgetChanges(state: State, object: SharedObject): void {
  weigh(state, object, -(object.history?.bytes ?? 0));
  object.history = undefined;
  state.watched.delete(object);
}

/** The changes of this revision were taken back. */
export function forgetRevision(state: State, object: SharedObject): void {
  const taken = object.history?.changes.take(({ revision }) => revision === state.revision) ?? [];
  for (const change of taken) weigh(state, object, -weightOf(change));
}

/** The oldest change goes, and nothing is told of its revision any more: half of one is worth nothing. */
function forgetOldest(state: State, object: SharedObject): void {
  const { history } = object;
  const change = history?.changes.shift();
  if (history === undefined || change === undefined) return;
  history.floor = change.revision;
  weigh(state, object, -weightOf(change));
}

function weigh(state: State, { history }: SharedObject, bytes: number): void {
  if (history !== undefined) history.bytes += bytes;
  state.historyBytes += bytes;
}

function weightOf({ key, value }: Change): number {
  return (key?.length ?? 0) + (value?.length ?? 0) + ITEM_OVERHEAD_BYTES;
}
