import { Refused, refusal } from "./replies.ts";
import type { Reader, Session, SharedObject, State } from "./state.ts";
import { needPlace } from "./tally.ts";
import type { Operation, Reply } from "./types.ts";
import { needPlaceToWait } from "./waits.ts";

/** A reading operation waits. One with the same number that waits already is replaced: it was asked again. Refuses when too many wait. */
export function addReader(
  state: State,
  session: Session,
  owner: number,
  at: { readonly object: SharedObject; readonly operation: Operation },
): void {
  const { object, operation } = at;
  const before = session.readers.get(owner)?.get(operation.seq);
  if (before !== undefined) endReader(state, before);
  needPlaceToWait(state, object, object.readers.size);
  needPlace(session.tally.readers);
  if (operation.verb === "watch") needPlace(session.tally.watchers);
  const after = object.changed;
  const reader: Reader = {
    session,
    owner,
    operation,
    object,
    after,
    line: undefined,
    previous: undefined,
    next: undefined,
  };
  const readers = session.readers.get(owner) ?? new Map<number, Reader>();
  session.readers.set(owner, readers.set(operation.seq, reader));
  object.readers.push(reader);
  count(state, reader, 1);
}

/** A reader waits no more and gets no reply. */
export function endReader(state: State, reader: Reader): void {
  reader.line?.remove(reader);
  count(state, reader, -1);
  const readers = reader.session.readers.get(reader.owner);
  readers?.delete(reader.operation.seq);
  if (readers?.size === 0) reader.session.readers.delete(reader.owner);
}

function count(_state: State, { session, operation }: Reader, more: 1 | -1): void {
  session.tally.readers.add(more);
  if (operation.verb === "watch") session.tally.watchers.add(more);
}

/** A reader has its reply. */
export function tellReader(state: State, reader: Reader, reply: Reply): void {
  endReader(state, reader);
  state.effects.push({ type: "reply", session: reader.session.number, owner: reader.owner, reply });
}

/** Tells the readers of an object that has changed, those that it is so far for. */
export function tellReaders(
  state: State,
  object: SharedObject,
  ask: (operation: Operation, after: number) => Reply | undefined,
): void {
  for (const reader of object.readers) {
    const reply = answerOf(reader, ask);
    if (reply !== undefined) tellReader(state, reader, reply);
    else reader.after = object.changed;
  }
}

function answerOf(reader: Reader, ask: (operation: Operation, after: number) => Reply | undefined): Reply | undefined {
  try {
    return ask(reader.operation, reader.after);
  } catch (error) {
    if (error instanceof Refused) return refusal(reader.operation, reader.object.changed, error.refusal);
    throw error;
  }
}
