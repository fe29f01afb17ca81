import { objectText } from "@heddle/kernel";
import {
  barrierAbort,
  barrierRelease,
  barrierReset,
  barrierState,
  barrierWait,
  eventClear,
  eventIsSet,
  eventSet,
  eventWait,
} from "./barrier.ts";
import { cellsAdd, cellsCompareExchange, cellsGet, cellsSet, cellsSetSlice, cellsSlice } from "./cells.ts";
import { conditionNotify, conditionState, conditionWait } from "./condition.ts";
import { create } from "./create.ts";
import {
  dictClear,
  dictCompareAndSet,
  dictDelete,
  dictEntries,
  dictGet,
  dictHas,
  dictIncrement,
  dictKeys,
  dictPop,
  dictPopItem,
  dictReplace,
  dictSet,
  dictSetDefault,
  dictSize,
  dictValues,
} from "./dict.ts";
import { effectsClose, effectsCommit, effectsOpen, effectsSettled } from "./effects.ts";
import { effectsTry } from "./effects-try.ts";
import { cancel, destroy } from "./endings.ts";
import {
  listAppend,
  listAt,
  listClear,
  listCount,
  listDelete,
  listExtend,
  listIndex,
  listInsert,
  listLength,
  listPop,
  listRemove,
  listReverse,
  listSet,
  listSlice,
  listSort,
} from "./list.ts";
import {
  lockAcquire,
  lockRelease,
  lockState,
  semaphoreAcquire,
  semaphoreRelease,
  semaphoreReturn,
  semaphoreValue,
} from "./lock.ts";
import { pipeClose, pipeHold, pipePoll, pipeReceive, pipeSend } from "./pipe.ts";
import { queueGet, queueJoin, queuePut, queueSize, queueTaskDone } from "./queue.ts";
import { called, refused } from "./replies.ts";
import type { Owner, SharedObject, State } from "./state.ts";
import { type Part, transaction } from "./transaction.ts";
import type { Operation, Reply, Revision, Verb } from "./types.ts";
import { watch } from "./watch.ts";

/** Does an operation that writes. Undefined: it waits, and has its reply later. Throws Refused before it changes anything. */
export type Writing = (state: State, operation: Operation, owner: Owner) => Reply | undefined;

/** Does an operation that reads; `after`: what a watch has looked at already. Undefined: it waits. Throws Refused. */
export type Reading = (state: State, operation: Operation, after: Revision) => Reply | undefined;

/** Operations that do not write. */
type ReadingVerb =
  | "watch"
  | `dict-${"get" | "has" | "size" | "keys" | "values" | "entries"}`
  | `list-${"at" | "index" | "count" | "slice" | "length"}`
  | `cells-${"get" | "slice"}`
  | `queue-${"size" | "join"}`
  | "pipe-poll"
  | "lock-state"
  | "semaphore-value"
  | "condition-state"
  | `event-${"is-set" | "wait"}`
  | "barrier-state"
  | `effects-${"settled" | "try"}`;

type WritingVerb = Exclude<Verb, ReadingVerb>;

/** Writes of dicts, lists and cells: what is done together with others, all or nothing. */
type PartVerb = Extract<WritingVerb, `${"dict" | "list" | "cells"}-${string}`>;

/** Whether the operation has to go through the log: all that change anything, and `cancel`. The others are for `Objects.read`. */
export function isWrite(verb: Verb): boolean {
  return !readings.has(verb);
}

type Of<T extends SharedObject["type"]> = SharedObject & { readonly type: T };
type Run<T extends SharedObject["type"]> = (
  state: State,
  object: Of<T>,
  operation: Operation,
  owner: Owner,
) => Reply | undefined;

/** A handler that is given the object that the operation names; refuses when there is none, or one of another type. */
function on<T extends SharedObject["type"]>(type: T, run: Run<T>): Writing {
  return (state, operation, owner) => run(state, objectOf(state, operation, type), operation, owner);
}

/** As `on`, of what never waits and asks for no owner. */
function part<T extends SharedObject["type"]>(
  type: T,
  run: (state: State, object: Of<T>, operation: Operation) => Reply,
): Part {
  return (state, operation) => run(state, objectOf(state, operation, type), operation);
}

function reads<T extends SharedObject["type"]>(
  type: T,
  run: (state: State, object: Of<T>, operation: Operation) => Reply | undefined,
): Reading {
  return (state, operation) => run(state, objectOf(state, operation, type), operation);
}

function objectOf<T extends SharedObject["type"]>(state: State, { object: ref, verb }: Operation, type: T): Of<T> {
  const object = state.objects.get(ref);
  if (object === undefined) throw refused("not-found", `there is no object ${objectText(ref)}`);
  if (!isOf(object, type)) throw refused("type", `${called(object)} takes no ${verb}`);
  return object;
}

function isOf<T extends SharedObject["type"]>(object: SharedObject, type: T): object is Of<T> {
  return object.type === type;
}

const partTable: Readonly<Record<PartVerb, Part>> = {
  "dict-set": part("dict", dictSet),
  "dict-delete": part("dict", dictDelete),
  "dict-clear": part("dict", dictClear),
  "dict-pop": part("dict", dictPop),
  "dict-pop-item": part("dict", dictPopItem),
  "dict-set-default": part("dict", dictSetDefault),
  "dict-increment": part("dict", dictIncrement),
  "dict-compare-and-set": part("dict", dictCompareAndSet),
  "dict-replace": part("dict", dictReplace),
  "list-append": part("list", listAppend),
  "list-extend": part("list", listExtend),
  "list-set": part("list", listSet),
  "list-insert": part("list", listInsert),
  "list-pop": part("list", listPop),
  "list-remove": part("list", listRemove),
  "list-delete": part("list", listDelete),
  "list-sort": part("list", listSort),
  "list-reverse": part("list", listReverse),
  "list-clear": part("list", listClear),
  "cells-set": part("cells", cellsSet),
  "cells-set-slice": part("cells", cellsSetSlice),
  "cells-add": part("cells", cellsAdd),
  "cells-compare-exchange": part("cells", cellsCompareExchange),
};

const writingTable: Readonly<Record<WritingVerb, Writing>> = {
  create,
  destroy,
  cancel,
  transaction: (state, operation) => transaction(state, operation, partOf),
  ...partTable,
  "queue-put": on("queue", queuePut),
  "queue-get": on("queue", queueGet),
  "queue-task-done": on("queue", queueTaskDone),
  "pipe-send": on("pipe", pipeSend),
  "pipe-receive": on("pipe", pipeReceive),
  "pipe-close": on("pipe", pipeClose),
  "pipe-hold": on("pipe", pipeHold),
  "lock-acquire": on("lock", lockAcquire),
  "lock-release": on("lock", lockRelease),
  "semaphore-acquire": on("semaphore", semaphoreAcquire),
  "semaphore-return": on("semaphore", semaphoreReturn),
  "semaphore-release": on("semaphore", semaphoreRelease),
  "condition-wait": on("condition", conditionWait),
  "condition-notify": on("condition", conditionNotify),
  "event-set": on("event", eventSet),
  "event-clear": on("event", eventClear),
  "barrier-wait": on("barrier", barrierWait),
  "barrier-release": on("barrier", barrierRelease),
  "barrier-abort": on("barrier", barrierAbort),
  "barrier-reset": on("barrier", barrierReset),
  "effects-open": effectsOpen,
  "effects-close": effectsClose,
  "effects-commit": (state, operation) => effectsCommit(state, operation, partOf),
};

const readingTable: Readonly<Record<ReadingVerb, Reading>> = {
  watch: (state, operation, after) => {
    const object = state.objects.get(operation.object);
    if (object === undefined) throw refused("not-found", `there is no object ${objectText(operation.object)}`);
    return watch(state, object, operation, after);
  },
  "dict-get": reads("dict", dictGet),
  "dict-has": reads("dict", dictHas),
  "dict-size": reads("dict", dictSize),
  "dict-keys": reads("dict", dictKeys),
  "dict-values": reads("dict", dictValues),
  "dict-entries": reads("dict", dictEntries),
  "list-at": reads("list", listAt),
  "list-index": reads("list", listIndex),
  "list-count": reads("list", listCount),
  "list-slice": reads("list", listSlice),
  "list-length": reads("list", listLength),
  "cells-get": reads("cells", cellsGet),
  "cells-slice": reads("cells", cellsSlice),
  "queue-size": reads("queue", queueSize),
  "queue-join": reads("queue", queueJoin),
  "pipe-poll": reads("pipe", pipePoll),
  "lock-state": reads("lock", lockState),
  "semaphore-value": reads("semaphore", semaphoreValue),
  "condition-state": reads("condition", conditionState),
  "event-is-set": reads("event", eventIsSet),
  "event-wait": reads("event", eventWait),
  "barrier-state": reads("barrier", barrierState),
  "effects-settled": effectsSettled,
  "effects-try": (state, operation) => effectsTry(state, operation, { partOf, lookOf }),
};

/** By verb. */
export const writings: ReadonlyMap<string, Writing> = new Map(Object.entries(writingTable));
/** By verb. */
export const readings: ReadonlyMap<string, Reading> = new Map(Object.entries(readingTable));

const parts: ReadonlyMap<string, Part> = new Map(Object.entries(partTable));

function partOf(verb: Verb): Part | undefined {
  return parts.get(verb);
}

/** Reads of dicts, lists and cells, which never wait. */
function lookOf(verb: Verb): Reading | undefined {
  return /^(dict|list|cells)-/.test(verb) ? readings.get(verb) : undefined;
}
