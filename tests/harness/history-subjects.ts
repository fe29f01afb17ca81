import type { Clock, Random } from "@heddle/kernel";
import {
  assertLinearizable,
  type CheckOptions,
  type DictInput,
  dictModel,
  type ListInput,
  listModel,
  type Operation,
  type QueueInput,
  queueModel,
  Recorder,
  type SequentialModel,
  type ValueInput,
  valueModel,
} from "@heddle/sim";
import type { Calls, ObjectName } from "./caller.ts";

/** A shared object that callers call at random, and the history of that. */
export interface Subject {
  readonly object: ObjectName;
  /** Lines of calls at a time for each caller: as many as can be judged in time. */
  readonly lines: number;
  /** Makes one call; settles as it does. `serial` is a number that no other call has. */
  call(caller: Calls, client: number, random: Random, serial: number): Promise<unknown>;
  /** Reads all there is. */
  close(caller: Calls, client: number): Promise<unknown>;
  /** Throws HistoryError unless the history is linearizable. */
  judge(options?: CheckOptions): void;
  /** Calls in the history. */
  readonly length: number;
}

interface Behaviour<S, In extends { readonly type: string }> {
  readonly object: ObjectName;
  readonly lines: number;
  readonly model: SequentialModel<S, In>;
  readonly draw: (random: Random, serial: number) => In;
  readonly argumentsOf: (input: In) => readonly unknown[];
  readonly closing: In;
}

/** A dict, a list, a value and a queue, with names that end with this. */
export function subjectsOf(suffix: string, clock: Clock): readonly Subject[] {
  return [
    subject(clock, dict(suffix)),
    subject(clock, list(suffix)),
    subject(clock, value(suffix)),
    subject(clock, queue(suffix)),
  ];
}

function subject<S, In extends { readonly type: string }>(clock: Clock, behaviour: Behaviour<S, In>): Subject {
  const { object, lines, model, draw, argumentsOf, closing } = behaviour;
  const recorder = new Recorder<In>(clock);
  const make = (caller: Calls, client: number, input: In): Promise<unknown> =>
    recorder.record(client, object.name, input, () => caller.call(object, input.type, argumentsOf(input)));
  const history = (): readonly Operation<In>[] => recorder.histories().get(object.name) ?? [];
  return {
    object,
    lines,
    call: (caller, client, random, serial) => make(caller, client, draw(random, serial)),
    close: (caller, client) => make(caller, client, closing),
    judge: (options) => assertLinearizable(object.name, history(), model, options),
    get length() {
      return history().length;
    },
  };
}

function pick<T>(random: Random, ...choices: readonly [T, ...T[]]): T {
  return choices[random.int(choices.length)] ?? choices[0];
}

function dict(suffix: string): Behaviour<unknown, DictInput> {
  return {
    object: { kind: "dict", name: `dict ${suffix}`, args: [[]] },
    lines: 2,
    model: dictModel() as SequentialModel<unknown, DictInput>,
    closing: { type: "entries" },
    draw: (random, serial) => {
      const key = pick<unknown>(random, "a", "__proto__", 1n, ["a", 1]);
      return pick<DictInput>(
        random,
        { type: "get", key },
        { type: "set", key, value: serial },
        { type: "delete", key },
        { type: "entries" },
        { type: "increment", key },
        { type: "setDefault", key, value: serial },
        { type: "compareAndSet", key, expected: undefined, value: serial },
        { type: "pop", key },
      );
    },
    argumentsOf: (input) => {
      switch (input.type) {
        case "set":
        case "setDefault":
          return [input.key, input.value];
        case "compareAndSet":
          return [input.key, input.expected, input.value];
        default:
          return "key" in input ? [input.key] : [];
      }
    },
  };
}

function list(suffix: string): Behaviour<readonly unknown[], ListInput> {
  return {
    object: { kind: "list", name: `list ${suffix}`, args: [[]] },
    lines: 1,
    model: listModel(),
    closing: { type: "toArray" },
    draw: (random, serial) =>
      pick<ListInput>(
        random,
        { type: "append", value: serial },
        { type: "append", value: serial },
        { type: "extend", values: [serial, -serial] },
        { type: "pop" },
        { type: "toArray" },
        { type: "length" },
        { type: "at", index: random.int(12) - 6 },
      ),
    argumentsOf: (input) => {
      switch (input.type) {
        case "append":
          return [input.value];
        case "extend":
          return [input.values];
        case "at":
          return [input.index];
        default:
          return [];
      }
    },
  };
}

function value(suffix: string): Behaviour<unknown, ValueInput> {
  return {
    object: { kind: "value", name: `value ${suffix}`, args: [0] },
    lines: 2,
    model: valueModel(0),
    closing: { type: "get" },
    draw: (random, serial) =>
      pick<ValueInput>(
        random,
        { type: "get" },
        { type: "set", value: serial },
        { type: "add", by: 1 + random.int(3) },
        { type: "compareExchange", expected: random.int(4), value: random.int(4) },
      ),
    argumentsOf: (input) => {
      switch (input.type) {
        case "get":
          return [];
        case "set":
          return [input.value];
        case "add":
          return [input.by];
        case "compareExchange":
          return [input.expected, input.value];
      }
    },
  };
}

function queue(suffix: string): Behaviour<readonly unknown[], QueueInput> {
  return {
    object: { kind: "queue", name: `queue ${suffix}` },
    lines: 2,
    model: queueModel(),
    closing: { type: "qsize" },
    draw: (random, serial) =>
      pick<QueueInput>(random, { type: "put", value: serial }, { type: "get" }, { type: "qsize" }, { type: "empty" }),
    argumentsOf: (input) => {
      // who finds it empty waits for a moment, and stands in line over the manager's kills
      if (input.type === "get") return [{ timeoutMs: 50 }];
      return input.type === "put" ? [input.value] : [];
    },
  };
}
