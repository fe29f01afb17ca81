import type { Random } from "@heddle/kernel";
import type { SequentialModel } from "../history.ts";
import { type CellsInput, cellsModel, type Element } from "../models/cells.ts";
import { type DictInput, type DictState, dictModel } from "../models/dict.ts";
import { type ListInput, listModel } from "../models/list.ts";
import { type LockInput, type LockState, lockModel } from "../models/lock.ts";
import { type QueueInput, queueModel } from "../models/queue.ts";
import { type SemaphoreInput, type SemaphoreState, semaphoreModel } from "../models/semaphore.ts";
import { type ValueInput, valueModel } from "../models/value.ts";
import type { Turn } from "./simulate.ts";

/** A model and calls to make of it. */
export interface Workload<S, In> {
  readonly name: string;
  readonly model: SequentialModel<S, In>;
  readonly draw: (turn: Turn<In>) => In;
  /** Reads all there is. */
  readonly closing?: In;
  /** Clients at a time whose histories are judged in time. More where answers tell the order of writes. */
  readonly clientsMax: number;
}

function pick<T>(random: Random, ...makers: readonly [() => T, ...(() => T)[]]): T {
  return (makers[random.int(makers.length)] ?? makers[0])();
}

export const value: Workload<unknown, ValueInput> = {
  name: "value",
  clientsMax: 16,
  closing: { type: "get" },
  model: valueModel(0),
  draw: ({ random, serial }) =>
    pick<ValueInput>(
      random,
      () => ({ type: "get" }),
      () => ({ type: "set", value: serial }),
      () => ({ type: "add", by: 1 + random.int(3) }),
      () => ({ type: "compareExchange", expected: random.int(4), value: random.int(4) }),
    ),
};

/** A value that is only read and set: nothing that a write is answered tells where it stands. */
export const register: Workload<unknown, ValueInput> = {
  name: "register",
  clientsMax: 16,
  closing: { type: "get" },
  model: valueModel(0),
  draw: ({ random, serial }) =>
    pick<ValueInput>(
      random,
      () => ({ type: "get" }),
      () => ({ type: "set", value: serial }),
    ),
};

export const cells: Workload<readonly Element[], CellsInput> = {
  name: "cells",
  clientsMax: 8,
  model: cellsModel("i8", [0, 127, -128]),
  draw: ({ random }) =>
    pick<CellsInput>(
      random,
      () => ({ type: "get", index: random.int(4) }),
      () => ({ type: "set", index: random.int(3), value: random.int(500) - 250 }),
      () => ({ type: "add", index: random.int(3), by: random.int(9) - 4 }),
      () => ({ type: "compareExchange", index: random.int(3), expected: random.int(4), value: random.int(4) }),
      () => ({ type: "slice", from: random.int(3) - 1 }),
      () => ({ type: "setSlice", from: random.int(3), values: [random.int(4), random.int(4)] }),
    ),
};

export const dict: Workload<DictState, DictInput> = {
  name: "dict",
  clientsMax: 8,
  closing: { type: "entries" },
  model: dictModel([["a", 1]]),
  draw: ({ random, serial }) => {
    const key = ["a", "b", -0, 1n, ["a", 1]][random.int(5)];
    return pick<DictInput>(
      random,
      () => ({ type: "get", key }),
      () => ({ type: "get", key, fallback: "none" }),
      () => ({ type: "set", key, value: serial }),
      () => ({ type: "set", key, value: { count: serial } }),
      () => ({ type: "delete", key }),
      () => ({ type: "has", key }),
      () => ({ type: "size" }),
      () => ({ type: "keys" }),
      () => ({ type: "values" }),
      () => ({ type: "entries" }),
      () => (random.int(4) === 0 ? { type: "clear" } : { type: "popItem" }),
      () => ({ type: "pop", key }),
      () => ({ type: "pop", key, fallback: undefined }),
      () => ({ type: "setDefault", key, value: serial }),
      () => ({
        type: "update",
        entries: [
          [key, serial],
          ["c", serial],
        ],
      }),
      () => ({ type: "increment", key }),
      () => ({ type: "compareAndSet", key, expected: random.int(2) === 0 ? undefined : 1, value: 1 }),
    );
  },
};

export const list: Workload<readonly unknown[], ListInput> = {
  name: "list",
  clientsMax: 3,
  closing: { type: "toArray" },
  model: listModel(),
  draw: ({ random, serial }) => {
    const index = random.int(12) - 6;
    const write = (): ListInput => ({ type: "append", value: serial });
    return pick<ListInput>(
      random,
      write,
      write,
      write,
      () => ({ type: "extend", values: [serial, "x"] }),
      () => ({ type: "insert", index, value: serial }),
      () => ({ type: "pop" }),
      () => ({ type: "pop", index }),
      () => ({ type: "at", index }),
      () => ({ type: "set", index, value: serial }),
      () => ({ type: "remove", value: "x" }),
      () => ({ type: "delete", index }),
      () => ({ type: "index", value: "x" }),
      () => ({ type: "count", value: "x" }),
      () => ({ type: "includes", value: random.int(20) }),
      () => ({ type: "length" }),
      () => ({ type: "toArray" }),
      () => ({ type: "slice", from: index }),
      () => ({ type: "sort", descending: random.int(2) === 0 }),
      () => (random.int(8) === 0 ? { type: "clear" } : { type: "reverse" }),
    );
  },
};

/** Items that are appended, and read now and then. */
export const appends: Workload<readonly unknown[], ListInput> = {
  name: "appends",
  clientsMax: 16,
  closing: { type: "toArray" },
  model: listModel(),
  draw: ({ random, serial }) => {
    if (random.int(2) === 0) return { type: "append", value: serial };
    return pick<ListInput>(
      random,
      () => ({ type: "length" }),
      () => ({ type: "at", index: -1 }),
      () => ({ type: "slice", from: -10 }),
      () => (random.int(20) === 0 ? { type: "toArray" } : { type: "includes", value: random.int(serial) }),
    );
  },
};

/** Items that come and go at the end of a list, mostly. */
export const stack: Workload<readonly unknown[], ListInput> = {
  name: "stack",
  clientsMax: 4,
  closing: { type: "toArray" },
  model: listModel(["first"]),
  draw: ({ random, serial }) =>
    pick<ListInput>(
      random,
      () => ({ type: "append", value: serial }),
      () => ({ type: "append", value: serial }),
      () => ({ type: "pop" }),
      () => ({ type: "at", index: random.int(4) - 2 }),
      () => (random.int(4) === 0 ? { type: "insert", index: 0, value: serial } : { type: "pop", index: 0 }),
      () => (random.int(4) === 0 ? { type: "remove", value: serial - random.int(8) } : { type: "toArray" }),
      () => ({ type: "length" }),
    ),
};

export const queue: Workload<readonly unknown[], QueueInput> = {
  name: "queue",
  clientsMax: 16,
  model: queueModel(12),
  draw: ({ random, serial }) =>
    pick<QueueInput>(
      random,
      () => ({ type: "put", value: serial }),
      () => ({ type: "put", value: serial }),
      () => ({ type: "get" }),
      () => ({ type: "get" }),
      () =>
        pick<QueueInput>(
          random,
          () => ({ type: "qsize" }),
          () => ({ type: "empty" }),
          () => ({ type: "full" }),
        ),
    ),
};

/** The token that a client was told by its last call, to be used in the next. */
function tokenOf<In>({ before }: Turn<In>): bigint | undefined {
  const told = before?.output !== undefined && "value" in before.output ? before.output.value : undefined;
  return typeof told === "bigint" ? told : undefined;
}

/** The owner that a client named in its last call. */
function ownerOf({ before }: Turn<SemaphoreInput>): string {
  return before !== undefined && "owner" in before.input ? before.input.owner : "nobody";
}

export const lock: Workload<LockState, LockInput> = {
  name: "lock",
  clientsMax: 16,
  model: lockModel(),
  draw: (turn) => {
    const { random, client, serial } = turn;
    const token = tokenOf(turn);
    if (token !== undefined) return { type: random.int(8) === 0 ? "write" : "release", token };
    return pick<LockInput>(
      random,
      () => ({ type: "acquire", owner: `c${client}.${serial}` }),
      () => ({ type: "tryAcquire", owner: `c${client}.${serial}` }),
      () => ({ type: "locked" }),
      () => ({ type: "release", token: 0n }),
      () =>
        random.int(16) > 0 ? { type: "locked" } : { type: "expire", owner: `c${client}.${random.int(serial + 1)}` },
    );
  },
};

export const semaphore: Workload<SemaphoreState, SemaphoreInput> = {
  name: "semaphore",
  clientsMax: 8,
  model: semaphoreModel(2, { bound: 3 }),
  draw: (turn) => {
    const { random, client, serial } = turn;
    const token = tokenOf(turn);
    if (token !== undefined) return { type: "giveBack", owner: ownerOf(turn), token };
    return pick<SemaphoreInput>(
      random,
      () => ({ type: "acquire", owner: `c${client}.${serial}` }),
      () => ({ type: "tryAcquire", owner: `c${client}.${serial}` }),
      () => (random.int(16) > 0 ? { type: "getValue" } : { type: "release", count: 1 }),
      () => ({ type: "getValue" }),
      () =>
        random.int(16) > 0 ? { type: "getValue" } : { type: "expire", owner: `c${client}.${random.int(serial + 1)}` },
    );
  },
};
