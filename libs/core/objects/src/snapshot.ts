import { bytesOfCells } from "./cell-store.ts";
import { entriesOf } from "./dict.ts";
import { SNAPSHOT_PIECE_BYTES, SNAPSHOT_PIECE_ITEMS } from "./limits.ts";
import type { Spec } from "./spec.ts";
import type { EffectsJob, Hold, Owner, PipeEnd, Session, SettledRun, SharedObject, State, Waiter } from "./state.ts";
import type { Guard, Refusal, Revision, SessionNumber, Verb } from "./types.ts";
import { linesOf } from "./waits.ts";

/** Of the pieces below. A build reads what it wrote, and what older ones did. Version 1 had no jobs. */
export const SNAPSHOT_VERSION = 2;

/** An owner, as others refer to it. */
export interface OwnerName {
  readonly session: SessionNumber;
  readonly owner: number;
}

/** Who holds a lock or permits. */
export interface SavedHold extends OwnerName {
  readonly token: Revision;
  readonly flow: number;
  readonly count: number;
}

/** A reply that is not acknowledged; so many values follow. */
export interface SavedReply {
  readonly seq: number;
  readonly numbers: readonly number[];
  readonly revision: Revision;
  readonly refusal: Refusal | null;
  readonly values: number;
}

/** An operation that waits; so many values follow. */
export interface SavedWaiter extends OwnerName {
  readonly seq: number;
  readonly verb: Verb;
  /** The object asked. */
  readonly object: string;
  readonly numbers: readonly number[];
  readonly guards: readonly Guard[];
  readonly since: Revision;
  readonly flow: number;
  readonly notified: boolean;
  readonly values: number;
}

/** One end of a pipe; so many messages follow. */
export interface SavedEnd {
  readonly closed: boolean;
  readonly holders: readonly OwnerName[];
  /** Session and how often, pair by pair, the first sender first. */
  readonly sending: readonly number[];
  readonly messages: number;
}

/** What an object holds beside its values; so many values follow, if it says `items`. */
export type SavedContent =
  | { readonly type: "dict" | "list" | "cells"; readonly items: number }
  | { readonly type: "queue"; readonly items: number; readonly unfinished: number }
  | { readonly type: "pipe"; readonly ends: readonly [SavedEnd, SavedEnd] }
  | {
      readonly type: "lock";
      readonly hold: SavedHold | null;
      readonly broken: { readonly token: Revision; readonly reason: string } | null;
    }
  | { readonly type: "semaphore"; readonly free: number; readonly holds: readonly SavedHold[] }
  /** `bound`: its lock was not destroyed. */
  | { readonly type: "condition"; readonly bound: boolean }
  | { readonly type: "event"; readonly set: boolean }
  | {
      readonly type: "barrier";
      readonly generation: number;
      readonly broken: boolean;
      readonly action: OwnerName | null;
    };

/**
 * A piece of a snapshot: records, arrays and bytes, to be encoded one by one and read in order. Values follow the piece that announces them,
 * in `items` pieces or, when large, in parts.
 */
export type SnapshotPiece =
  | { readonly type: "state"; readonly version: number; readonly revision: Revision }
  | {
      readonly type: "session";
      readonly session: SessionNumber;
      readonly nonce: string;
      readonly ttlMs: number;
      readonly description: string;
      readonly closed: readonly number[];
      readonly closedUpTo: number;
    }
  | {
      readonly type: "owner";
      readonly session: SessionNumber;
      readonly owner: number;
      readonly lastSeq: number;
      readonly replies: readonly SavedReply[];
    }
  | {
      readonly type: "object";
      readonly ref: string;
      readonly spec: Spec;
      readonly created: Revision;
      readonly changed: Revision;
      /** Of an anonymous one. */
      readonly creator: OwnerName | null;
      /** Of one with a name: who made it and lives. Older snapshots do not say. */
      readonly maker?: SessionNumber | null;
      readonly content: SavedContent;
    }
  /** A line of an object, after all objects. */
  | {
      readonly type: "waiting";
      readonly ref: string;
      readonly line: number;
      readonly waiters: readonly SavedWaiter[];
    }
  /** A job whose items' writes count once, after all objects. */
  | {
      readonly type: "job";
      readonly id: string;
      /** Of one that ends with its session. */
      readonly creator: OwnerName | null;
      /** Of one that outlives it: who opened it and lives. */
      readonly maker: SessionNumber | null;
      readonly changed: Revision;
    }
  /** Items of a job that are settled: the first of a run and how many, pair by pair. As many outcomes follow. */
  | { readonly type: "settled"; readonly id: string; readonly runs: readonly number[] }
  /** `numbers`: one beside each value (of an entry: its revision; of a message: 1 for bytes); none when all are 0. */
  | { readonly type: "items"; readonly items: readonly Uint8Array[]; readonly numbers: readonly number[] }
  | { readonly type: "part"; readonly bytes: Uint8Array; readonly last: boolean; readonly number: number };

/** A value and the number beside it. */
type Item = readonly [bytes: Uint8Array, number: number];

/** The whole state but what is volatile, always in the same order. To be taken before the next step. */
export function* piecesOf(state: State): Generator<SnapshotPiece> {
  yield { type: "state", version: SNAPSHOT_VERSION, revision: state.revision };
  for (const session of state.sessions.values()) {
    yield savedSession(session);
    for (const owner of [...session.owners.values()].sort((a, b) => a.number - b.number)) yield* savedOwner(owner);
  }
  for (const object of state.objects.values()) yield* savedObject(object);
  for (const job of state.jobs.values()) yield* savedJob(job);
  for (const object of state.objects.values()) yield* savedLines(object);
}

function savedSession(session: Session): SnapshotPiece {
  const { number, nonce, ttlMs, description, closedUpTo } = session;
  const closed = [...session.closed].sort((a, b) => a - b);
  return { type: "session", session: number, nonce, ttlMs, description, closed, closedUpTo };
}

function* savedOwner({ session, number, lastSeq, replies }: Owner): Generator<SnapshotPiece> {
  const inOrder = [...replies.values()].sort((a, b) => a.seq - b.seq);
  const saved = inOrder.map(({ seq, numbers, revision, refusal, values }) => ({
    seq,
    numbers,
    revision,
    refusal: refusal ?? null,
    values: values.length,
  }));
  yield { type: "owner", session: session.number, owner: number, lastSeq, replies: saved };
  yield* packed(plainItems(inOrder.flatMap(({ values }) => values)));
}

function* savedObject(object: SharedObject): Generator<SnapshotPiece> {
  const { ref, spec, created, changed, creator, maker } = object;
  const content = contentOf(object);
  yield {
    type: "object",
    ref,
    spec,
    created,
    changed,
    creator: creator === undefined ? null : nameOf(creator),
    maker: creator === undefined ? (maker?.number ?? null) : null,
    content,
  };
  yield* packed(itemsOf(object));
}

function contentOf(object: SharedObject): SavedContent {
  switch (object.type) {
    case "dict":
      return { type: "dict", items: 2 * object.entries.size };
    case "list":
      return { type: "list", items: object.items.length };
    case "cells":
      return { type: "cells", items: 1 };
    case "queue":
      return { type: "queue", items: object.items.size, unfinished: object.unfinished };
    case "pipe":
      return { type: "pipe", ends: [savedEnd(object.ends[0]), savedEnd(object.ends[1])] };
    case "lock": {
      const { hold, broken = null } = object;
      return { type: "lock", hold: hold === undefined ? null : savedHold(hold), broken };
    }
    case "semaphore":
      return { type: "semaphore", free: object.free, holds: [...object.holds.values()].map(savedHold).sort(byHold) };
    case "condition":
      return { type: "condition", bound: object.lock !== undefined };
    case "event":
      return { type: "event", set: object.set };
    case "barrier": {
      const { generation, broken, action } = object;
      return { type: "barrier", generation, broken, action: action === undefined ? null : nameOf(action) };
    }
  }
}

function* itemsOf(object: SharedObject): Generator<Item> {
  switch (object.type) {
    case "dict":
      for (const { key, value, revision } of entriesOf(object)) yield* [[key, 0] as const, [value, revision] as const];
      return;
    case "list":
    case "queue":
      yield* plainItems(object.items);
      return;
    case "cells":
      yield [bytesOfCells(object.store).slice(), 0];
      return;
    case "pipe":
      for (const { inbox } of object.ends) for (const { value, plain } of inbox) yield [value, plain ? 1 : 0];
      return;
    case "lock":
    case "semaphore":
    case "condition":
    case "event":
    case "barrier":
      return;
  }
}

function* savedJob({ id, creator, maker, changed, runs }: EffectsJob): Generator<SnapshotPiece> {
  const [by, from] = creator === undefined ? [null, maker?.number ?? null] : [nameOf(creator), null];
  yield { type: "job", id, creator: by, maker: from, changed };
  for (let at = 0; at < runs.length; at += SNAPSHOT_PIECE_ITEMS) {
    const some = runs.slice(at, at + SNAPSHOT_PIECE_ITEMS);
    yield { type: "settled", id, runs: some.flatMap(({ first, ends }) => [first, ends.length]) };
    yield* packed(outcomesOf(some));
  }
}

function* outcomesOf(runs: readonly SettledRun[]): Generator<Item> {
  for (const { ends, bytes } of runs) {
    let from = 0;
    for (const end of ends) {
      yield [bytes.subarray(from, end), 0];
      from = end;
    }
  }
}

function* savedLines(object: SharedObject): Generator<SnapshotPiece> {
  for (const [line, { size }] of linesOf(object).entries()) {
    if (size === 0) continue;
    const waiters = [...(linesOf(object)[line] ?? [])];
    yield { type: "waiting", ref: object.ref, line, waiters: waiters.map(savedWaiter) };
    yield* packed(plainItems(waiters.flatMap(({ operation }) => operation.values)));
  }
}

function savedWaiter({ owner, operation, object, since, flow, notified }: Waiter): SavedWaiter {
  const { seq, verb, numbers, guards, values } = operation;
  return {
    ...nameOf(owner),
    seq,
    verb,
    object: object.ref,
    numbers,
    guards,
    since,
    flow,
    notified,
    values: values.length,
  };
}

function savedHold({ owner, token, flow, count }: Hold): SavedHold {
  return { ...nameOf(owner), token, flow, count };
}

function savedEnd({ closed, holders, sending, inbox }: PipeEnd): SavedEnd {
  return {
    closed,
    holders: [...holders].map(nameOf).sort(byName),
    sending: [...sending].flatMap(([session, times]) => [session.number, times]),
    messages: inbox.size,
  };
}

function nameOf({ session, number }: Owner): OwnerName {
  return { session: session.number, owner: number };
}

function byName(a: OwnerName, b: OwnerName): number {
  return a.session - b.session || a.owner - b.owner;
}

function byHold(a: SavedHold, b: SavedHold): number {
  return a.token - b.token || byName(a, b);
}

function* plainItems(values: Iterable<Uint8Array>): Generator<Item> {
  for (const value of values) yield [value, 0];
}

/** Values in pieces that are neither large nor many. */
function* packed(items: Iterable<Item>): Generator<SnapshotPiece> {
  let batch: Item[] = [];
  let bytes = 0;
  for (const item of items) {
    const [value] = item;
    if (batch.length > 0 && (batch.length === SNAPSHOT_PIECE_ITEMS || bytes + value.length > SNAPSHOT_PIECE_BYTES)) {
      yield itemsPiece(batch);
      batch = [];
      bytes = 0;
    }
    if (value.length > SNAPSHOT_PIECE_BYTES) yield* partsOf(item);
    else {
      batch.push(item);
      bytes += value.length;
    }
  }
  if (batch.length > 0) yield itemsPiece(batch);
}

function itemsPiece(batch: readonly Item[]): SnapshotPiece {
  const items = batch.map(([bytes]) => bytes);
  const numbers = batch.some(([, number]) => number !== 0) ? batch.map(([, number]) => number) : [];
  return { type: "items", items, numbers };
}

function* partsOf([bytes, number]: Item): Generator<SnapshotPiece> {
  for (let at = 0; at < bytes.length; at += SNAPSHOT_PIECE_BYTES) {
    const end = at + SNAPSHOT_PIECE_BYTES;
    yield { type: "part", bytes: bytes.slice(at, end), last: end >= bytes.length, number };
  }
}
