import { type ObjectKind, specText } from "./spec.ts";
import type { Hold, Lock, Owner, Semaphore, Session, SharedObject, State, Waiter } from "./state.ts";
import type { Revision, SessionNumber, Verb } from "./types.ts";
import { linesOf } from "./waits.ts";

/** An object, for operators. */
export interface ObjectView {
  readonly object: string;
  readonly kind: ObjectKind;
  /** Kind and options in words. */
  readonly spec: string;
  readonly created: Revision;
  readonly changed: Revision;
  /** Of an anonymous object: the session whose owner it ends with. */
  readonly creator: SessionNumber | undefined;
  /** Entries, items, elements, messages at both ends; 0 of what holds none. */
  readonly items: number;
  /** What it counts against DATA_BYTES_MAX. */
  readonly bytes: number;
  /** Operations that wait here, readers included. */
  readonly waiting: number;
}

/** Who holds a lock, or permits. */
export interface HolderView {
  readonly session: SessionNumber;
  readonly owner: number;
  readonly flow: number;
  /** Revision at which it was granted. */
  readonly token: Revision;
  /** 1 of a lock. */
  readonly permits: number;
}

/** Who waits for a lock or a permit. */
export interface WaiterView {
  readonly session: SessionNumber;
  readonly owner: number;
  readonly flow: number;
  readonly seq: number;
  /** "condition-wait" of one that was notified, or gave up, and waits for the lock again. */
  readonly verb: Verb;
  /** Revision at which it began to wait. */
  readonly since: Revision;
}

/** A lock or semaphore, for operators. */
export interface LockView extends ObjectView {
  readonly holders: readonly HolderView[];
  /** The next one first. */
  readonly line: readonly WaiterView[];
  /** Of a semaphore: permits that are free. */
  readonly free: number | undefined;
  /** Why an administrator took it away last. */
  readonly brokenReason: string | undefined;
  /**
   * The waits of a circle of owners, the holder's first, each for what the next one holds; empty when there is none. Owners that run several
   * flows at a time (a client, tasks with `concurrency`) may be in one and yet go on.
   */
  readonly deadlock: readonly WaitView[];
}

/** One owner waits for a lock that another one holds. */
export interface WaitView {
  readonly session: SessionNumber;
  readonly owner: number;
  readonly lock: string;
  readonly holder: { readonly session: SessionNumber; readonly owner: number };
}

/** A session, for operators. */
export interface SessionView {
  readonly session: SessionNumber;
  readonly description: string;
  readonly ttlMs: number;
  /** That live and have written. */
  readonly owners: number;
  /** Anonymous ones of all its owners. */
  readonly objects: number;
  /** Locks and permits of all its owners. */
  readonly holds: number;
  /** Operations of all its owners that wait, readers included. */
  readonly waiting: number;
}

/** How much there is of everything, for operators. */
export interface ObjectsTotals {
  readonly sessions: number;
  /** That live and have written. */
  readonly owners: number;
  readonly objects: number;
  /** Jobs whose items' writes count once. */
  readonly jobs: number;
  /** What counts against DATA_BYTES_MAX. */
  readonly bytes: number;
  /** Locks that are held, and holds of permits. */
  readonly holds: number;
  /** Operations that wait for a lock or permits, and those that wait for something else, readers included. */
  readonly waits: { readonly locks: number; readonly others: number };
}

export function objectView(object: SharedObject): ObjectView {
  const { ref, spec, created, changed, creator, bytes } = object;
  let waiting = object.readers.size;
  for (const line of linesOf(object)) waiting += line.size;
  const told = {
    object: ref,
    kind: spec.kind,
    spec: specText(spec),
    created,
    changed,
    creator: creator?.session.number,
  };
  return { ...told, items: itemsOf(object), bytes, waiting };
}

export function lockView(object: Lock | Semaphore): LockView {
  const holds =
    object.type === "semaphore" ? [...object.holds.values()] : object.hold === undefined ? [] : [object.hold];
  return {
    ...objectView(object),
    holders: holds.map(holderView),
    line: Array.from(object.line, waiterView),
    free: object.type === "semaphore" ? object.free : undefined,
    brokenReason: object.type === "lock" ? object.broken?.reason : undefined,
    deadlock: object.type === "lock" ? circleOf(object) : [],
  };
}

export function sessionView(session: Session): SessionView {
  let [holds, waiting, objects] = [0, 0, 0];
  for (const owner of session.owners.values()) {
    holds += owner.holds.size;
    waiting += owner.waiting.size;
    objects += owner.objects.size;
  }
  for (const readers of session.readers.values()) waiting += readers.size;
  const { number, description, ttlMs, owners } = session;
  return { session: number, description, ttlMs, owners: owners.size, objects, holds, waiting };
}

/** Sums over the whole state. */
export function totalsOf({ sessions, objects, jobs, bytes, tally }: State): ObjectsTotals {
  let [held, lined] = [0, 0];
  for (const object of objects.values()) {
    if (object.type !== "lock" && object.type !== "semaphore") continue;
    held += object.type === "semaphore" ? object.holds.size : object.hold === undefined ? 0 : 1;
    lined += object.line.size;
  }
  return {
    sessions: sessions.size,
    owners: tally.owners.value,
    objects: objects.size,
    jobs: jobs.size,
    bytes,
    holds: held,
    waits: { locks: lined, others: tally.waits.value + tally.readers.value - lined },
  };
}

/** Every wait for a lock, in the order of the locks and of their lines. */
export function waitsOf(state: State): WaitView[] {
  const waits: WaitView[] = [];
  for (const object of state.objects.values()) {
    if (object.type !== "lock" || object.hold === undefined) continue;
    for (const waiter of object.line) waits.push(waitView(waiter.owner, object, object.hold.owner));
  }
  return waits;
}

/** The shortest way from the lock's holder, over what each owner waits for and who holds it, back to that holder. */
function circleOf(lock: Lock): WaitView[] {
  const start = lock.hold?.owner;
  if (start === undefined) return [];
  const seen = new Set<Owner>([start]);
  let ends: { readonly owner: Owner; readonly way: readonly WaitView[] }[] = [{ owner: start, way: [] }];
  while (ends.length > 0) {
    const further: typeof ends = [];
    for (const { owner, way } of ends)
      for (const { wait, holder } of waitsOfOwner(owner)) {
        if (holder === start) return [...way, wait];
        if (!seen.has(holder)) further.push({ owner: holder, way: [...way, wait] });
        seen.add(holder);
      }
    ends = further;
  }
  return [];
}

/** Of an owner that waits for itself nothing is told: it runs several flows, and another of them will go on. */
function waitsOfOwner(owner: Owner): { readonly wait: WaitView; readonly holder: Owner }[] {
  return locksWantedBy(owner).flatMap((lock) => {
    const holder = lock.hold?.owner;
    return holder === undefined || holder === owner ? [] : [{ wait: waitView(owner, lock, holder), holder }];
  });
}

function locksWantedBy(owner: Owner): Lock[] {
  const locks: Lock[] = [];
  for (const { object, line } of owner.waiting.values()) {
    const lock = object.type === "condition" ? object.lock : object;
    if (lock?.type === "lock" && line === lock.line) locks.push(lock);
  }
  return locks;
}

function waitView({ session, number }: Owner, { ref }: Lock, holder: Owner): WaitView {
  return {
    session: session.number,
    owner: number,
    lock: ref,
    holder: { session: holder.session.number, owner: holder.number },
  };
}

function holderView({ owner, flow, token, count }: Hold): HolderView {
  return { session: owner.session.number, owner: owner.number, flow, token, permits: count };
}

function waiterView({ owner, flow, operation, since }: Waiter): WaiterView {
  const { seq, verb } = operation;
  return { session: owner.session.number, owner: owner.number, flow, seq, verb, since };
}

function itemsOf(object: SharedObject): number {
  switch (object.type) {
    case "dict":
      return object.entries.size;
    case "list":
      return object.items.length;
    case "cells":
      return object.store.cells.length;
    case "queue":
      return object.items.size;
    case "pipe":
      return object.ends[0].inbox.size + object.ends[1].inbox.size;
    case "lock":
    case "semaphore":
    case "condition":
    case "event":
    case "barrier":
      return 0;
  }
}
