import { equalValues } from "@heddle/values";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isWrite, Objects, type Operation, type Reply, type Verb } from "./index.ts";
import { testCodec } from "./testing/codec.ts";

/** An operation on one container, with its values as they are. */
interface Call {
  readonly verb: Verb;
  readonly values: readonly unknown[];
  readonly numbers: readonly number[];
}

/** What a model answers: the values and numbers of the reply, or the code of the refusal. */
type Answer = { readonly values?: readonly unknown[]; readonly numbers?: readonly number[] } | string;

/** The naive container: obviously right, and copied whole for each transaction. */
interface Model {
  readonly copy: () => Model;
  readonly answer: (call: Call) => Answer;
}

const keys = fc.constantFrom<unknown>(0, 1, "a", "b", 7n, true, [1, "x"]);
const items = fc.constantFrom<unknown>(
  0,
  1,
  2.5,
  "a",
  "b",
  3n,
  null,
  undefined,
  [1],
  { x: 1, y: [2] },
  { y: [2], x: 1 },
);
const numbersOnly = fc.constantFrom<unknown>(3, 1, 2, -1, 0.5);
const indices = fc.integer({ min: -4, max: 4 });

const dictCalls = fc.oneof(
  call("dict-set", [keys, items]),
  call("dict-set", [keys, items, keys, items]),
  ...(["dict-delete", "dict-pop", "dict-get", "dict-has"] as const).map((verb) => call(verb, [keys])),
  ...(["dict-pop-item", "dict-clear", "dict-size", "dict-keys", "dict-values", "dict-entries"] as const).map((verb) =>
    call(verb, []),
  ),
  call("dict-set-default", [keys, items]),
  call("dict-increment", [keys, items]),
  call("dict-compare-and-set", [keys, items, items]),
);

const listCalls = fc.oneof(
  call("list-append", [items]),
  call("list-extend", [numbersOnly, numbersOnly, numbersOnly]),
  call("list-extend", []),
  call("list-set", [items], [indices]),
  call("list-insert", [items], [indices]),
  ...(["list-remove", "list-index", "list-count"] as const).map((verb) => call(verb, [items])),
  ...(["list-at", "list-pop", "list-delete"] as const).map((verb) => call(verb, [], [indices])),
  ...(["list-reverse", "list-length", "list-clear"] as const).map((verb) => call(verb, [])),
  call("list-sort", [], [fc.constantFrom(0, 1)]),
  call("list-slice", [], [indices, indices]),
);

const elements = fc.constantFrom<unknown>(0, 1, -1, 127, 200, 2.5, "x", 3n);
const cellsCalls = fc.oneof(
  call("cells-set", [elements], [indices]),
  call("cells-add", [elements], [indices]),
  call("cells-compare-exchange", [elements, elements], [indices]),
  call("cells-set-slice", [fc.array(elements, { maxLength: 4 })], [indices]),
  call("cells-get", [], [indices]),
  call("cells-slice", [], [indices, indices]),
);

function call(
  verb: Verb,
  values: readonly fc.Arbitrary<unknown>[],
  numbers: readonly fc.Arbitrary<number>[] = [],
): fc.Arbitrary<Call> {
  return fc.record({ verb: fc.constant(verb), values: fc.tuple(...values), numbers: fc.tuple(...numbers) });
}

class DictModel implements Model {
  readonly #entries: [key: unknown, value: unknown][];

  constructor(entries: readonly [unknown, unknown][] = []) {
    this.#entries = entries.map(([key, value]) => [key, value]);
  }

  copy(): Model {
    return new DictModel(this.#entries);
  }

  answer({ verb, values: [key, value, third, fourth], values }: Call): Answer {
    const entries = this.#entries;
    const at = entries.findIndex(([other]) => equalValues(other, key));
    const there = entries[at]?.[1];
    switch (verb) {
      case "dict-set":
        this.#set(key, value);
        if (values.length > 2) this.#set(third, fourth);
        return {};
      case "dict-delete":
        if (at >= 0) entries.splice(at, 1);
        return { numbers: [at < 0 ? 0 : 1] };
      case "dict-pop":
        return at < 0 ? {} : { values: [entries.splice(at, 1)[0]?.[1]] };
      case "dict-pop-item":
        return { values: entries.pop() ?? [] };
      case "dict-clear":
        entries.length = 0;
        return {};
      case "dict-set-default":
        if (at < 0) this.#set(key, value);
        return { values: [at < 0 ? value : there] };
      case "dict-increment": {
        const from = at < 0 ? (typeof value === "bigint" ? 0n : 0) : there;
        if (typeof from !== typeof value || (typeof value !== "number" && typeof value !== "bigint")) return "type";
        const sum = typeof value === "bigint" ? BigInt(String(from)) + value : Number(from) + value;
        this.#set(key, sum);
        return { values: [sum] };
      }
      case "dict-compare-and-set":
        if (!equalValues(there, value)) return { numbers: [0] };
        this.#set(key, third);
        return { numbers: [1] };
      case "dict-get":
        return { values: at < 0 ? [] : [there] };
      case "dict-has":
        return { numbers: [at < 0 ? 0 : 1] };
      case "dict-size":
        return { numbers: [entries.length] };
      case "dict-keys":
        return { values: entries.map(([each]) => each) };
      case "dict-values":
        return { values: entries.map(([, each]) => each) };
      default:
        return { values: entries.flat(1) };
    }
  }

  #set(key: unknown, value: unknown): void {
    const entry = this.#entries.find(([other]) => equalValues(other, key));
    if (entry === undefined) this.#entries.push([key, value]);
    else entry[1] = value;
  }
}

class ListModel implements Model {
  #items: unknown[];

  constructor(items: readonly unknown[] = []) {
    this.#items = [...items];
  }

  copy(): Model {
    return new ListModel(this.#items);
  }

  answer({ verb, values: [item], values, numbers: [index = 0, to = 0] }: Call): Answer {
    const items = this.#items;
    const at = index < 0 ? index + items.length : index;
    const found = items.findIndex((other) => equalValues(other, item));
    const outside = at < 0 || at >= items.length;
    switch (verb) {
      case "list-append":
      case "list-extend":
        items.push(...values);
        return {};
      case "list-at":
        return outside ? "range" : { values: [items[at]] };
      case "list-set":
        if (outside) return "range";
        items[at] = item;
        return {};
      case "list-insert":
        items.splice(index, 0, item);
        return {};
      case "list-pop":
        return outside ? "range" : { values: items.splice(at, 1) };
      case "list-delete":
        if (outside) return "range";
        items.splice(at, 1);
        return {};
      case "list-remove":
        if (found < 0) return "not-found";
        items.splice(found, 1);
        return {};
      case "list-index":
        return { numbers: [found] };
      case "list-count":
        return { numbers: [items.filter((other) => equalValues(other, item)).length] };
      case "list-sort":
        return this.#sort(index === 1);
      case "list-reverse":
        items.reverse();
        return {};
      case "list-slice":
        return { values: items.slice(index, to) };
      case "list-length":
        return { numbers: [items.length] };
      default:
        items.length = 0;
        return {};
    }
  }

  #sort(descending: boolean): Answer {
    const types = new Set(this.#items.map((item) => typeof item));
    if (types.size > 1 || [...types].some((type) => type !== "number" && type !== "string")) return "type";
    const before = (a: unknown, b: unknown): number => (a === b ? 0 : String(a) < String(b) ? -1 : 1);
    const order = types.has("number") ? (a: unknown, b: unknown) => Number(a) - Number(b) : before;
    this.#items.sort((a, b) => (descending ? order(b, a) : order(a, b)));
    return {};
  }
}

class CellsModel implements Model {
  readonly #cells: Int8Array;

  constructor(cells: Int8Array = new Int8Array(3)) {
    this.#cells = cells.slice();
  }

  copy(): Model {
    return new CellsModel(this.#cells);
  }

  answer({ verb, values: [value, second], numbers: [index = 0, to = 0] }: Call): Answer {
    const cells = this.#cells;
    const at = index < 0 ? index + 3 : index;
    const outside = at < 0 || at >= 3;
    if (verb === "cells-slice") return { values: [cells.slice(index, to)] };
    if (verb === "cells-set-slice") return this.#setSlice(at, value);
    if (outside) return "range";
    const there = cells[at];
    if (verb === "cells-get") return { values: [there] };
    if (typeof value !== "number") return "type";
    if (verb === "cells-set") {
      cells[at] = value;
      return {};
    }
    if (verb === "cells-add") {
      cells[at] = (there ?? 0) + value;
      return { values: [cells[at]] };
    }
    if (typeof second !== "number") return "type";
    const equal = Int8Array.of(value)[0] === there;
    if (equal) cells[at] = second;
    return { values: [there], numbers: [equal ? 1 : 0] };
  }

  #setSlice(at: number, values: unknown): Answer {
    const written: readonly unknown[] = Array.isArray(values) ? values : [];
    if (at < 0 || at > 3 || at + written.length > 3) return "range";
    if (!written.every((each) => typeof each === "number")) return "type";
    this.#cells.set(written.map(Number), at);
    return {};
  }
}

/** One Objects with one container, and the model beside it. */
class Pair {
  readonly objects = new Objects({ values: testCodec });
  #model: Model;
  #seq = 0;

  constructor(model: Model, spec: object) {
    this.#model = model;
    this.objects.step({ type: "session-opened", nonce: "n", ttlMs: 2_000, description: "" });
    this.#ask({ verb: "create", values: [spec], numbers: [] });
  }

  one(asked: Call): void {
    expect(this.#ask(asked)).toEqual(this.#model.answer(asked));
  }

  /** All or nothing: the model is given back as it was when one is refused. */
  transaction(calls: readonly Call[]): void {
    const before = this.#model.copy();
    const refused = calls.map((each) => this.#model.answer(each)).find((answer) => typeof answer === "string");
    const whole: Operation = {
      ...this.#operation({ verb: "transaction", values: [], numbers: [] }),
      operations: calls.map((each) => this.#operation(each)),
    };
    expect(this.#answerOf(whole)).toEqual(refused ?? {});
    if (refused !== undefined) this.#model = before;
  }

  #ask(asked: Call): Answer {
    return this.#answerOf(this.#operation(asked));
  }

  #operation({ verb, values, numbers }: Call): Operation {
    const encoded = values.map((value) => testCodec.encode(value));
    const none = { guards: [], operations: [], expectations: [] };
    return { seq: ++this.#seq, verb, object: "@it", values: encoded, numbers, ...none };
  }

  #answerOf(operation: Operation): Answer {
    const acknowledged = [1, operation.seq];
    const effects = isWrite(operation.verb)
      ? this.objects.step({ type: "operations-asked", session: 1, owner: 0, acknowledged, operations: [operation] })
      : this.objects.read(1, 0, operation);
    this.objects.validate();
    const [effect] = effects;
    return effect?.type === "reply" ? answerOf(effect.reply) : "no reply";
  }
}

function answerOf({ values, numbers, refusal }: Reply): Answer {
  if (refusal !== undefined) return refusal.code;
  const decoded = values.map((value) => testCodec.decode(value));
  return { ...(decoded.length > 0 ? { values: decoded } : {}), ...(numbers.length > 0 ? { numbers } : {}) };
}

/** Answers of models say nothing where there is nothing. */
function plain(model: Model): Model {
  return {
    copy: () => plain(model.copy()),
    answer: (asked) => {
      const answer = model.answer(asked);
      if (typeof answer === "string") return answer;
      const { values = [], numbers = [] } = answer;
      return { ...(values.length > 0 ? { values } : {}), ...(numbers.length > 0 ? { numbers } : {}) };
    },
  };
}

describe("containers", () => {
  const cases = [
    ["dict", dictCalls, () => new DictModel(), { kind: "dict" }],
    ["list", listCalls, () => new ListModel(), { kind: "list" }],
    ["array", cellsCalls, () => new CellsModel(), { kind: "array", code: "i8", length: 3 }],
  ] as const;

  test.each(cases)("a %s answers as the naive one does", (_name, calls, model, spec) => {
    fc.assert(
      fc.property(fc.array(calls, { maxLength: 30 }), (asked) => {
        const pair = new Pair(plain(model()), spec);
        for (const each of asked) pair.one(each);
        const restored = Objects.restore(pair.objects.snapshot(), { values: testCodec });
        restored.validate();
        expect([...restored.snapshot()]).toEqual([...pair.objects.snapshot()]);
      }),
      { numRuns: 300 },
    );
  });

  test.each(cases)("a transaction of a %s that is refused leaves no trace", (_name, calls, model, spec) => {
    const writes = calls.filter(({ verb }) => isWrite(verb));
    fc.assert(
      fc.property(fc.array(fc.array(writes, { maxLength: 6 }), { maxLength: 8 }), (transactions) => {
        const pair = new Pair(plain(model()), spec);
        for (const each of transactions) pair.transaction(each);
        const verb = spec.kind === "dict" ? "dict-entries" : spec.kind === "list" ? "list-slice" : "cells-slice";
        const numbers = spec.kind === "dict" ? [] : [0, 100];
        pair.one({ verb, values: [], numbers });
      }),
      { numRuns: 300 },
    );
  });
});
