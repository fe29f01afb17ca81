import { assert } from "@heddle/kernel";
import { bytesOfCells } from "./cell-store.ts";
import { weight } from "./content.ts";
import { entriesOf, entryBytes } from "./dict.ts";
import { runBytes } from "./effects-jobs.ts";
import { ITEM_OVERHEAD_BYTES } from "./limits.ts";
import { holdKey } from "./lock.ts";
import { otherOf } from "./pipe.ts";
import { isClosed } from "./sessions.ts";
import type {
  Dict,
  EffectsJob,
  Hold,
  Lock,
  Owner,
  Pipe,
  PipeEnd,
  Queue,
  Semaphore,
  Session,
  SharedObject,
  State,
  Waiter,
} from "./state.ts";
import { type Count, tallied } from "./tally.ts";
import { linesOf, replyBytes, waitingBytes } from "./waits.ts";

/** Checks the invariants of STATES.md, by their numbers there. */
export function validateState(state: State): void {
  assert(state.undo === undefined && state.touched.size === 0, "nothing is half done after a step");
  let bytes = 0;
  for (const object of state.objects.values()) bytes += validateObject(state, object);
  for (const owner of ownersOf(state)) bytes += validateOwner(state, owner);
  for (const [id, job] of state.jobs) bytes += validateJob(state, id, job);
  assert(bytes === state.bytes, `all bytes are counted: ${bytes} are there, ${state.bytes} were counted`);
  validateSessions(state);
  validateReaders(state);
  validateTallies(state);
}

/** 12: what is bounded is counted. */
function validateTallies(state: State): void {
  const all = new Map<string, number>();
  const made = new Map<Session | undefined, number>();
  for (const { maker } of state.objects.values()) made.set(maker, (made.get(maker) ?? 0) + 1);
  const opened = new Map<Session | undefined, number>();
  for (const { maker } of state.jobs.values()) opened.set(maker, (opened.get(maker) ?? 0) + 1);
  for (const session of state.sessions.values()) {
    const there = { ...countsOf(session), objects: made.get(session) ?? 0, jobs: opened.get(session) ?? 0 };
    for (const what of tallied) {
      assertCount(session.tally[what], there[what], `${what} of session ${session.number}`);
      all.set(what, (all.get(what) ?? 0) + there[what]);
    }
  }
  all.set("objects", state.objects.size);
  all.set("jobs", state.jobs.size);
  for (const what of tallied) assertCount(state.tally[what], all.get(what) ?? 0, what);
}

function countsOf({ owners, sending, readers }: Session) {
  const counts = { owners: owners.size, waits: 0, holds: sending.size, replies: 0, readers: 0, watchers: 0 };
  for (const { waiting, holds, ends, replies } of owners.values()) {
    counts.waits += waiting.size;
    counts.holds += holds.size + ends.size;
    counts.replies += replies.size;
  }
  for (const waiting of readers.values()) {
    counts.readers += waiting.size;
    for (const { operation } of waiting.values()) if (operation.verb === "watch") counts.watchers++;
  }
  return counts;
}

function assertCount({ value }: Count, there: number, what: string): void {
  assert(value === there, `12: ${what} are counted: ${there} are there, ${value} were counted`);
}

function* ownersOf(state: State): Generator<Owner> {
  for (const session of state.sessions.values()) yield* session.owners.values();
}

function validateSessions(state: State): void {
  assert(state.nonces.size === state.sessions.size, "each session has its nonce");
  for (const session of state.sessions.values()) {
    assert(state.nonces.get(session.nonce) === session, `session ${session.number} is found by its nonce`);
    assert(session.number <= state.revision, "sessions were opened at a revision that was");
    for (const owner of session.owners.values()) {
      assert(!isClosed(session, owner.number), "no closed owner lives");
      for (const object of owner.objects) assert(isThere(state, object), "5: its objects are there");
      for (const job of owner.jobs) assert(state.jobs.get(job.id) === job, "5: its jobs are there");
    }
    for (const job of session.outliving) assert(state.jobs.get(job.id) === job, "12: jobs that it opened are there");
    for (const end of session.sending)
      assert(isThere(state, end.pipe), "ends that are sent are of pipes that are there");
  }
}

function validateOwner(state: State, owner: Owner): number {
  let bytes = 0;
  for (const [seq, reply] of owner.replies) {
    assert(seq === reply.seq && seq <= owner.lastSeq && !owner.waiting.has(seq), "7: a number has one fate");
    bytes += replyBytes(reply);
  }
  for (const [seq, waiter] of owner.waiting) {
    assert(waiter.owner === owner && seq === waiter.operation.seq && seq <= owner.lastSeq, "7: a number has one fate");
    assert(
      waiter.line !== undefined && isThere(state, waiter.object),
      "8: who waits stands in a line of what is there",
    );
  }
  for (const hold of owner.holds) {
    assert(hold.owner === owner && isThere(state, hold.object), "5: what is held is there");
    assert(isHeldIn(hold), "5: what is held is known to be held");
  }
  for (const end of owner.ends) assert(isThere(state, end.pipe) && end.holders.has(owner), "ends are held both ways");
  for (const barrier of owner.actions) assert(isThere(state, barrier) && barrier.action === owner, "actions likewise");
  return bytes;
}

function isThere(state: State, object: SharedObject): boolean {
  return state.objects.get(object.ref) === object;
}

function isHeldIn(hold: Hold): boolean {
  const { object, owner, token } = hold;
  return object.type === "lock" ? object.hold === hold : object.holds.get(holdKey(owner, token)) === hold;
}

function isAlive(state: State, { session, number }: Owner): boolean {
  return state.sessions.get(session.number)?.owners.get(number)?.session === session;
}

function validateObject(state: State, object: SharedObject): number {
  const { maker } = object;
  assert(maker === undefined || state.sessions.get(maker.number) === maker, "12: who made it lives");
  if (object.creator === undefined) assert(maker === undefined || maker.named.has(object), "12: and knows it");
  assert(object.created <= object.changed && object.changed <= state.revision, "revisions only grow");
  const { creator } = object;
  if (creator === undefined) assert(object.ref.startsWith("@"), "only what has a name outlives its creator");
  else assert(isAlive(state, creator) && creator.objects.has(object), "5: its creator lives");
  let bytes = ITEM_OVERHEAD_BYTES + contentBytes(state, object);
  for (const line of linesOf(object)) {
    let size = 0;
    for (const waiter of line) {
      validateWaiter(state, waiter);
      assert(waiter.line === line, "8: who waits stands in one line");
      size++;
      if (waiter.object === object) bytes += waitingBytes(waiter);
    }
    assert(size === line.size, "lines know their size");
  }
  assert(bytes === object.bytes, `${object.ref} counts its bytes: ${bytes} are there, ${object.bytes} were counted`);
  return bytes;
}

/** 13: no item is settled twice; returns what the job counts for. */
function validateJob(state: State, id: string, job: EffectsJob): number {
  const { creator, maker, changed, runs } = job;
  assert(id === job.id && changed <= state.revision, "jobs are found, and changed at revisions that were");
  assert(maker === undefined || state.sessions.get(maker.number) === maker, "12: who opened a job lives");
  if (creator === undefined) assert(maker === undefined || maker.outliving.has(job), "12: and knows it");
  else assert(isAlive(state, creator) && creator.jobs.has(job), "5: who opened a job that ends with it lives");
  let [bytes, next] = [ITEM_OVERHEAD_BYTES, 0];
  for (const run of runs) {
    assert(run.first >= next && run.ends.length > 0, `13: items of job ${id} are settled once, in order`);
    assert(run.ends.at(-1) === run.bytes.length, "13: every outcome is there");
    assert(
      run.ends.every((end, at) => end >= (run.ends[at - 1] ?? 0)),
      "13: outcomes stand behind each other",
    );
    next = run.first + run.ends.length;
    bytes += runBytes(run);
  }
  assert(bytes === job.bytes, `job ${id} counts its bytes: ${bytes} are there, ${job.bytes} were counted`);
  return bytes;
}

function validateWaiter(state: State, waiter: Waiter): void {
  const { owner, operation } = waiter;
  assert(isAlive(state, owner), "5: nobody who is dead waits");
  assert(owner.waiting.get(operation.seq) === waiter, "8: who waits is known to wait");
}

/** Checks what only this type of object has; returns what its content counts for. */
function contentBytes(state: State, object: SharedObject): number {
  switch (object.type) {
    case "dict":
      return validateDict(object);
    case "list":
      return sum(object.items);
    case "cells":
      return bytesOfCells(object.store).length;
    case "queue":
      return validateQueue(object);
    case "pipe":
      return validatePipe(state, object);
    case "lock":
      return validateLock(state, object);
    case "semaphore":
      return validateSemaphore(state, object);
    case "condition":
      assert(object.lock === undefined || object.lock.conditions.has(object), "a condition is known to its lock");
      assert(object.lock !== undefined || object.line.size === 0, "nobody waits at a condition without a lock");
      return 0;
    case "event":
      return 0;
    case "barrier":
      assert(
        !object.broken || (object.line.size === 0 && object.action === undefined),
        "nobody waits at a broken barrier",
      );
      assert(object.action !== undefined || object.line.size < object.spec.parties, "a full round goes on");
      assert(object.action === undefined || isAlive(state, object.action), "5: who runs an action lives");
      return 0;
  }
}

function validateDict(dict: Dict): number {
  let [count, bytes] = [0, 0];
  let previous: Dict["first"];
  for (const entry of entriesOf(dict)) {
    assert(entry.previous === previous && dict.entries.get(entry.text) === entry, "entries are linked and found");
    assert(entry.revision <= dict.changed, "no entry is newer than its dict");
    previous = entry;
    count++;
    bytes += entryBytes(entry);
  }
  assert(dict.last === previous && count === dict.entries.size, "all entries are linked");
  return bytes;
}

function validateQueue(queue: Queue): number {
  const { maxSize, joinable } = queue.spec;
  assert(queue.getters.size === 0 || queue.items.size === 0, "nobody waits for an item that is there");
  assert(
    queue.putters.size === 0 || (maxSize > 0 && queue.items.size >= maxSize),
    "nobody waits for room that is there",
  );
  assert(maxSize === 0 || queue.items.size <= maxSize, "a queue keeps its bound");
  assert(joinable ? queue.unfinished >= queue.items.size : queue.unfinished === 0, "items in a queue are not done");
  return sum(queue.items);
}

function validatePipe(state: State, pipe: Pipe): number {
  return pipe.ends.reduce((bytes, end) => bytes + validateEnd(state, end), 0);
}

function validateEnd(state: State, end: PipeEnd): number {
  const { closed, inbox, receivers, holders, sending } = end;
  assert(closed === (holders.size === 0 && sending.size === 0), "an end is open as long as somebody has it");
  assert(receivers.size === 0 || (inbox.size === 0 && !closed && !otherOf(end).closed), "nobody waits in vain");
  assert(!closed || inbox.size === 0, "nothing is kept for a closed end");
  for (const holder of holders) assert(isAlive(state, holder) && holder.ends.has(end), "5: who holds an end lives");
  for (const [session, times] of sending)
    assert(
      times > 0 && state.sessions.get(session.number) === session && session.sending.has(end),
      "5: a sender lives",
    );
  let bytes = 0;
  for (const { value } of inbox) bytes += weight(value);
  return bytes;
}

function validateLock(state: State, lock: Lock): number {
  const { hold } = lock;
  assert(hold !== undefined || lock.line.size === 0, "4: nobody waits for a lock that is free");
  if (hold !== undefined) validateHold(state, hold, lock);
  for (const condition of lock.conditions)
    assert(condition.lock === lock && isThere(state, condition), "conditions are there");
  return 0;
}

function validateSemaphore(state: State, semaphore: Semaphore): number {
  const { free, holds, line, spec } = semaphore;
  assert(free >= 0 && free <= (spec.bound ?? free), "a semaphore keeps its bound");
  assert(free === 0 || line.size === 0, "4: nobody waits for a permit that is free");
  for (const [key, hold] of holds) {
    assert(key === holdKey(hold.owner, hold.token) && hold.count > 0, "permits are found");
    validateHold(state, hold, semaphore);
  }
  return 0;
}

function validateHold(state: State, hold: Hold, object: SharedObject): void {
  assert(hold.object === object && hold.owner.holds.has(hold), "what is held is known to its holder");
  assert(isAlive(state, hold.owner), "5: nobody who is dead holds anything");
  assert(hold.token <= object.changed, "2: tokens are of revisions that were");
}

function validateReaders(state: State): void {
  let [waiting, standing, history] = [0, 0, 0];
  for (const object of state.objects.values()) {
    for (const reader of object.readers) {
      assert(reader.object === object, "readers wait where they asked");
      assert(reader.session.readers.get(reader.owner)?.get(reader.operation.seq) === reader, "readers are found");
      standing++;
    }
    history += object.history?.bytes ?? 0;
    assert((object.history !== undefined) === state.watched.has(object), "histories are found");
  }
  for (const session of state.sessions.values())
    for (const readers of session.readers.values()) waiting += readers.size;
  assert(waiting === standing, "readers stand where they wait");
  assert(
    history === state.historyBytes && history <= state.limits.HISTORY_BYTES_MAX,
    "histories are counted and bounded",
  );
}

function sum(values: Iterable<Uint8Array>): number {
  let bytes = 0;
  for (const value of values) bytes += weight(value);
  return bytes;
}
