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
import { transaction } from "./transaction.ts";
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

/** Until writes that count once are done here. */
function noEffects(_state: State, { verb }: Operation): never {
  throw refused("protocol", `${verb} is not done yet`);
}

const writingTable: Readonly<Record<WritingVerb, Writing>> = {
  create,
  destroy,
  cancel,
  transaction: (state, operation, owner) => transaction(state, operation, owner, partOf),
  "dict-set": on("dict", dictSet),
  "dict-delete": on("dict", dictDelete),
  "dict-clear": on("dict", dictClear),
  "dict-pop": on("dict", dictPop),
  "dict-pop-item": on("dict", dictPopItem),
  "dict-set-default": on("dict", dictSetDefault),
  "dict-increment": on("dict", dictIncrement),
  "dict-compare-and-set": on("dict", dictCompareAndSet),
  "dict-replace": on("dict", dictReplace),
  "list-append": on("list", listAppend),
  "list-extend": on("list", listExtend),
  "list-set": on("list", listSet),
  "list-insert": on("list", listInsert),
  "list-pop": on("list", listPop),
  "list-remove": on("list", listRemove),
  "list-delete": on("list", listDelete),
  "list-sort": on("list", listSort),
  "list-reverse": on("list", listReverse),
  "list-clear": on("list", listClear),
  "cells-set": on("cells", cellsSet),
  "cells-set-slice": on("cells", cellsSetSlice),
  "cells-add": on("cells", cellsAdd),
  "cells-compare-exchange": on("cells", cellsCompareExchange),
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
  "effects-open": noEffects,
  "effects-close": noEffects,
  "effects-commit": noEffects,
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
  "effects-settled": noEffects,
  "effects-try": noEffects,
};

/** By verb. */
export const writings: ReadonlyMap<string, Writing> = new Map(Object.entries(writingTable));
/** By verb. */
export const readings: ReadonlyMap<string, Reading> = new Map(Object.entries(readingTable));

/** What a transaction may be made of: writes of dicts, lists and cells, which never wait and can be taken back. */
function partOf(verb: Verb): Writing | undefined {
  return /^(dict|list|cells)-/.test(verb) ? writings.get(verb) : undefined;
}
