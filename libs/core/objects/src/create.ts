import { Fifo, objectText, withArticle } from "@heddle/kernel";
import { bytesOfCells, cellBytes, elementsOf, makeCells } from "./cell-store.ts";
import { fill } from "./cells.ts";
import { charge, decode, valueAt } from "./content.ts";
import { setAll } from "./dict.ts";
import { ITEM_OVERHEAD_BYTES } from "./limits.ts";
import { Line } from "./line.ts";
import { extend } from "./list.ts";
import { hold } from "./pipe.ts";
import { called, numbers, overLimit, refused } from "./replies.ts";
import { Sequence } from "./sequence.ts";
import { kindText, readSpec, type Spec, specText } from "./spec.ts";
import type { Lock, Owner, Pipe, PipeEnd, Session, SharedObject, State } from "./state.ts";
import { needPlace } from "./tally.ts";
import type { Operation, Reply, Revision } from "./types.ts";

export function create(state: State, operation: Operation, owner: Owner): Reply {
  const { object: ref } = operation;
  const [, ...content] = operation.values;
  const spec = specOf(state, operation, content);
  const there = state.objects.get(ref);
  if (there !== undefined) {
    needSame(there, spec, owner);
    return numbers(state, operation, [0]);
  }
  needName(state, ref);
  const { session } = owner;
  needPlace(session.tally.objects);
  if (spec.kind === "pipe") needPlace(session.tally.holds, 2);
  const creator = isNamed(ref) ? undefined : owner;
  const lock = spec.kind === "condition" ? lockNamed(state, spec.lock) : undefined;
  const object = makeObject({ ref, spec, creator, maker: session, created: state.revision }, lock);
  fillObject(state, object, content);
  enlist(state, object);
  if (object.type === "pipe") for (const end of object.ends) hold(state, end, owner);
  return numbers(state, operation, [1]);
}

/** Puts an object into the tables. */
export function enlist(state: State, object: SharedObject): void {
  state.objects.set(object.ref, object);
  (object.maker ?? state).tally.objects.add(1);
  if (object.creator === undefined) object.maker?.named.add(object);
  object.creator?.objects.add(object);
  if (object.type === "condition") object.lock?.conditions.add(object);
}

/** What tells one object from another. */
export interface Identity {
  readonly ref: string;
  readonly spec: Spec;
  readonly creator: Owner | undefined;
  readonly maker: Session | undefined;
  readonly created: Revision;
}

/** A new object without content; a condition needs its lock. */
export function makeObject(identity: Identity, lock: Lock | undefined): SharedObject {
  const { spec, created } = identity;
  const base = { ...identity, changed: created, bytes: 0, readers: new Line<never>(), history: undefined };
  switch (spec.kind) {
    case "dict":
    case "namespace":
      return { ...base, type: "dict", entries: new Map(), first: undefined, last: undefined };
    case "list":
      return { ...base, type: "list", items: new Sequence() };
    case "value":
    case "array":
      return { ...base, spec, type: "cells", store: makeCells(spec.code, spec.length) };
    case "queue": {
      const [getters, putters] = [new Line<never>(), new Line<never>()];
      return { ...base, spec, type: "queue", items: new Fifo(), unfinished: 0, getters, putters };
    }
    case "pipe":
      return makePipe({ ...base, spec });
    case "lock":
    case "rlock":
      return { ...base, type: "lock", hold: undefined, line: new Line(), conditions: new Set(), broken: undefined };
    case "semaphore":
      return { ...base, spec, type: "semaphore", free: spec.initial, holds: new Map(), line: new Line() };
    case "condition":
      return { ...base, type: "condition", lock, line: new Line() };
    case "event":
      return { ...base, type: "event", set: false };
    case "barrier":
      return { ...base, spec, type: "barrier", line: new Line(), generation: 0, broken: false, action: undefined };
  }
}

/** Objects that outlive their creator have a name. */
function isNamed(ref: string): boolean {
  return ref.startsWith("@");
}

function makePipe(base: Omit<Pipe, "type" | "ends">): Pipe {
  const end = (index: 0 | 1): PipeEnd => ({
    get pipe(): Pipe {
      return pipe;
    },
    index,
    inbox: new Fifo(),
    receivers: new Line(),
    holders: new Set(),
    sending: new Map(),
    closed: false,
  });
  const pipe: Pipe = { ...base, type: "pipe", ends: [end(0), end(1)] };
  return pipe;
}

function lockNamed(state: State, ref: string): Lock {
  const lock = state.objects.get(ref);
  if (lock === undefined) throw refused("not-found", `there is no lock ${objectText(ref)} for a condition`);
  if (lock.type !== "lock") throw refused("type", `${called(lock)} is no lock for a condition`);
  return lock;
}

function specOf(state: State, operation: Operation, content: readonly Uint8Array[]): Spec {
  const asked = decode(state, valueAt(operation, 0, "the spec"));
  const kind: unknown = typeof asked === "object" && asked !== null ? Reflect.get(asked, "kind") : undefined;
  const cells = kind === "value" || kind === "array" ? content[0] : undefined;
  const elements = cells === undefined ? undefined : (elementsOf(decode(state, cells))?.length ?? 1);
  const spec = readSpec(asked, elements);
  if (typeof spec === "string")
    throw refused("invalid-argument", `${objectText(operation.object)} is not made: ${spec}`);
  needBounds(state, spec);
  return spec;
}

function needBounds(state: State, spec: Spec): void {
  if (spec.kind === "queue" && spec.maxSize > state.limits.OBJECT_ITEMS_MAX)
    throw overLimit(state, "OBJECT_ITEMS_MAX", spec.maxSize, "a queue's maxSize");
  if (spec.kind === "barrier" && spec.parties > state.limits.WAITERS_MAX)
    throw overLimit(state, "WAITERS_MAX", spec.parties, "a barrier's parties");
  if (spec.kind !== "value" && spec.kind !== "array") return;
  const bytes = spec.length * cellBytes[spec.code];
  if (bytes > state.limits.ITEM_BYTES_MAX) throw overLimit(state, "ITEM_BYTES_MAX", bytes, "all cells of an array");
  const actual = state.bytes + bytes;
  if (actual > state.limits.DATA_BYTES_MAX) throw overLimit(state, "DATA_BYTES_MAX", actual, "the manager's memory");
}

function needSame(there: SharedObject, spec: Spec, owner: Owner): void {
  const [is, asked] = [specText(there.spec), specText(spec)];
  if (is !== asked)
    throw refused("conflict", `${objectText(there.ref)} is ${withArticle(is)}, not ${withArticle(asked)}`);
  if (there.creator !== undefined && there.creator !== owner)
    throw refused("conflict", `${called(there)} belongs to another`);
}

const ID = /^[0-9a-f]{32}$/;

function needName(state: State, ref: string): void {
  if (isNamed(ref) && ref.length - 1 > state.limits.NAME_BYTES_MAX)
    throw overLimit(state, "NAME_BYTES_MAX", ref.length - 1, "the object's name is too long");
  if (isNamed(ref) ? ref.length === 1 : !ID.test(ref))
    throw refused("invalid-argument", `${objectText(ref)} is not an object: 32 hex digits, or "@" and a name`);
}

/** The initial content, all of it or none: the object is in no table yet. */
function fillObject(state: State, object: SharedObject, content: readonly Uint8Array[]): void {
  try {
    charge(state, object, ITEM_OVERHEAD_BYTES);
    if (object.type === "dict") setAll(state, object, content);
    else if (object.type === "list") extend(state, object, content);
    else if (object.type === "cells") fillCells(state, object, content);
    else if (content.length > 0)
      throw refused("invalid-argument", `${withArticle(kindText(object.spec))} has no initial content`);
  } catch (error) {
    state.bytes -= object.bytes;
    throw error;
  }
}

function fillCells(
  state: State,
  object: SharedObject & { readonly type: "cells" },
  content: readonly Uint8Array[],
): void {
  charge(state, object, bytesOfCells(object.store).length);
  const [elements, ...more] = content;
  if (more.length > 0) throw refused("invalid-argument", "elements of cells come as one typed array");
  if (elements !== undefined) fill(state, object, 0, elements);
}
