import { changed, charge, keep, needRoom, valueAt, weight } from "./content.ts";
import { busy, called, done, overLimit, readNumbers, refused } from "./replies.ts";
import type { Owner, Pipe, PipeEnd, Session, State } from "./state.ts";
import { needPlace } from "./tally.ts";
import type { Operation, Reply } from "./types.ts";
import { answer, nextOf, wait } from "./waits.ts";

export function pipeSend(state: State, pipe: Pipe, operation: Operation): Reply {
  const end = endOf(pipe, operation.numbers[0]);
  if (!pipe.spec.duplex && end.index === 0) throw refused("type", `end 0 of ${called(pipe)} only receives`);
  const other = otherOf(end);
  if (end.closed || other.closed) throw isClosed(end.closed ? end : other);
  const value = valueAt(operation, 0, "the message");
  const size = other.inbox.size + 1;
  if (size > state.limits.OBJECT_ITEMS_MAX)
    throw overLimit(state, "OBJECT_ITEMS_MAX", size, `nobody receives from ${called(pipe)}`);
  needRoom(state, weight(value));
  other.inbox.push({ value: keep(value), plain: operation.numbers[1] === 1 });
  charge(state, pipe, weight(value));
  changed(state, pipe);
  deliver(state, other);
  return done(state, operation);
}

export function pipeReceive(state: State, pipe: Pipe, operation: Operation, owner: Owner): Reply | undefined {
  const end = endOf(pipe, operation.numbers[1]);
  needReceiver(end);
  const message = end.inbox.shift();
  if (message === undefined) {
    if (otherOf(end).closed) throw refused("end-of-stream", `${called(pipe)} is empty and its other end is closed`);
    if (operation.numbers[0] === 0) return busy(state, operation, "busy", `${called(pipe)} is empty`);
    return wait(state, owner, operation, { object: pipe, line: end.receivers });
  }
  charge(state, pipe, -weight(message.value));
  changed(state, pipe);
  const numbers = [message.plain ? 1 : 0];
  return { seq: operation.seq, values: [message.value], numbers, revision: state.revision, refusal: undefined };
}

/** Undefined while there is nothing to receive, not even the end of the stream. */
export function pipePoll(_state: State, pipe: Pipe, operation: Operation): Reply | undefined {
  const end = endOf(pipe, operation.numbers[1]);
  needReceiver(end);
  if (end.inbox.size > 0 || otherOf(end).closed) return readNumbers(operation, pipe.changed, [1]);
  return operation.numbers[0] === 0 ? readNumbers(operation, pipe.changed, [0]) : undefined;
}

export function pipeClose(state: State, pipe: Pipe, operation: Operation, owner: Owner): Reply {
  const end = endOf(pipe, operation.numbers[0]);
  if (end.holders.has(owner)) letGo(state, end, owner);
  return done(state, operation);
}

export function pipeHold(state: State, pipe: Pipe, operation: Operation, owner: Owner): Reply {
  const end = endOf(pipe, operation.numbers[0]);
  if (end.closed) throw isClosed(end);
  const { session } = owner;
  if (operation.numbers[1] === 1) {
    if (!session.sending.has(end)) needPlace(session.tally.holds);
    send(state, end, session, 1);
  } else {
    if (!end.holders.has(owner)) needPlace(session.tally.holds);
    const [sender] = end.sending.keys();
    if (sender !== undefined) received(state, end, sender);
    hold(state, end, owner);
  }
  changed(state, pipe);
  return done(state, operation);
}

/** The session has sent the end, so often more. */
export function send(_state: State, end: PipeEnd, session: Session, times: number): void {
  if (!session.sending.has(end)) session.tally.holds.add(1);
  end.sending.set(session, (end.sending.get(session) ?? 0) + times);
  session.sending.add(end);
}

/** Nothing that the session sent of the end is under way any more. */
export function unsend(_state: State, end: PipeEnd, session: Session): void {
  end.sending.delete(session);
  if (session.sending.delete(end)) session.tally.holds.add(-1);
}

/** The owner holds the end. */
export function hold(_state: State, end: PipeEnd, owner: Owner): void {
  if (!end.holders.has(owner)) owner.session.tally.holds.add(1);
  end.holders.add(owner);
  owner.ends.add(end);
}

/** The owner holds the end no more, and nothing comes of it yet. */
export function unhold(_state: State, end: PipeEnd, owner: Owner): void {
  owner.ends.delete(end);
  if (end.holders.delete(owner)) owner.session.tally.holds.add(-1);
}

/** The owner holds the end no more. */
export function letGo(state: State, end: PipeEnd, owner: Owner): void {
  unhold(state, end, owner);
  changed(state, end.pipe);
  closeUnheld(state, end);
}

/** What the session sent of the end and nobody received is lost with it. */
export function loseSent(state: State, end: PipeEnd, session: Session): void {
  unsend(state, end, session);
  changed(state, end.pipe);
  closeUnheld(state, end);
}

/** The end that is not this one. */
export function otherOf(end: PipeEnd): PipeEnd {
  return end.pipe.ends[end.index === 0 ? 1 : 0];
}

function received(state: State, end: PipeEnd, sender: Session): void {
  const left = (end.sending.get(sender) ?? 0) - 1;
  if (left > 0) end.sending.set(sender, left);
  else unsend(state, end, sender);
}

function closeUnheld(state: State, end: PipeEnd): void {
  if (end.closed || end.holders.size > 0 || end.sending.size > 0) return;
  end.closed = true;
  const other = otherOf(end);
  for (const { value } of end.inbox) charge(state, end.pipe, -weight(value));
  end.inbox.clear();
  const { message } = isClosed(end);
  for (const waiter of end.receivers) answer(state, waiter, { refusal: { code: "closed", message } });
  const over = `${called(end.pipe)} is empty and its other end is closed`;
  for (const waiter of other.receivers) answer(state, waiter, { refusal: { code: "end-of-stream", message: over } });
}

function deliver(state: State, end: PipeEnd): void {
  while (end.inbox.size > 0) {
    const receiver = nextOf(state, end.receivers);
    const message = receiver === undefined ? undefined : end.inbox.shift();
    if (receiver === undefined || message === undefined) return;
    charge(state, end.pipe, -weight(message.value));
    answer(state, receiver, { values: [message.value], numbers: [message.plain ? 1 : 0] });
  }
}

function endOf(pipe: Pipe, index: number | undefined): PipeEnd {
  if (index !== 0 && index !== 1) throw refused("invalid-argument", `${called(pipe)} has ends 0 and 1, not ${index}`);
  return pipe.ends[index];
}

function needReceiver(end: PipeEnd): void {
  if (!end.pipe.spec.duplex && end.index === 1) throw refused("type", `end 1 of ${called(end.pipe)} only sends`);
  if (end.closed) throw isClosed(end);
}

function isClosed({ pipe, index }: PipeEnd): Error {
  return refused("closed", `end ${index} of ${called(pipe)} is closed`);
}
