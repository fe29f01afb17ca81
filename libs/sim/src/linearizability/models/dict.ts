import { fingerprint } from "../fingerprint.ts";
import { type Answer, answered, done, refused, type SequentialModel } from "../history.ts";
import { same } from "../same.ts";
import { add } from "./value.ts";

/** Calls of a shared dict. `size` stands for `size()`; keys, values and entries are answered as arrays in the order in which keys were set first. */
export type DictInput =
  | { readonly type: "get"; readonly key: unknown; readonly fallback?: unknown }
  | { readonly type: "set"; readonly key: unknown; readonly value: unknown }
  | { readonly type: "delete"; readonly key: unknown }
  | { readonly type: "has"; readonly key: unknown }
  | { readonly type: "size" }
  | { readonly type: "keys" }
  | { readonly type: "values" }
  | { readonly type: "entries" }
  | { readonly type: "clear" }
  | { readonly type: "pop"; readonly key: unknown; readonly fallback?: unknown }
  | { readonly type: "popItem" }
  | { readonly type: "setDefault"; readonly key: unknown; readonly value: unknown }
  | { readonly type: "update"; readonly entries: readonly (readonly [unknown, unknown])[] }
  | { readonly type: "increment"; readonly key: unknown; readonly by?: number | bigint }
  | { readonly type: "compareAndSet"; readonly key: unknown; readonly expected: unknown; readonly value: unknown };

/** Keys and values, by the key's structure. */
export type DictState = ReadonlyMap<string, readonly [key: unknown, value: unknown]>;

/** A dict with this content. */
export function dictModel(initial: Iterable<readonly [unknown, unknown]> = []): SequentialModel<DictState, DictInput> {
  return { initial: withEntries(new Map(), initial), step, key: fingerprint, isRead };
}

function step(state: DictState, input: DictInput): readonly [DictState, Answer] {
  switch (input.type) {
    case "get":
    case "has":
    case "size":
    case "keys":
    case "values":
    case "entries":
      return [state, answered(read(state, input))];
    case "set":
      return [withEntries(state, [[input.key, input.value]]), done];
    case "update":
      return [withEntries(state, input.entries), done];
    case "clear":
      return [new Map(), done];
    case "delete":
      return [without(state, input.key), answered(state.has(name(input.key)))];
    case "pop":
      return pop(state, input);
    case "popItem": {
      const last = [...state.values()].at(-1);
      return last === undefined ? [state, refused("NotFoundError")] : [without(state, last[0]), answered([...last])];
    }
    case "setDefault": {
      const there = state.get(name(input.key));
      if (there !== undefined) return [state, answered(there[1])];
      return [withEntries(state, [[input.key, input.value]]), answered(input.value)];
    }
    case "increment":
      return increment(state, input.key, input.by ?? 1);
    case "compareAndSet": {
      if (!same(state.get(name(input.key))?.[1], input.expected)) return [state, answered(false)];
      return [withEntries(state, [[input.key, input.value]]), answered(true)];
    }
  }
}

type Read = Extract<DictInput, { readonly type: "get" | "has" | "size" | "keys" | "values" | "entries" }>;

function read(state: DictState, input: Read): unknown {
  switch (input.type) {
    case "get": {
      const there = state.get(name(input.key));
      return there === undefined ? input.fallback : there[1];
    }
    case "has":
      return state.has(name(input.key));
    case "size":
      return state.size;
    case "keys":
      return [...state.values()].map(([key]) => key);
    case "values":
      return [...state.values()].map(([, value]) => value);
    case "entries":
      return [...state.values()].map(([key, value]) => [key, value]);
  }
}

function pop(state: DictState, input: Extract<DictInput, { readonly type: "pop" }>): readonly [DictState, Answer] {
  const there = state.get(name(input.key));
  if (there !== undefined) return [without(state, input.key), answered(there[1])];
  return [state, "fallback" in input ? answered(input.fallback) : refused("NotFoundError")];
}

/** A key that is not there counts as 0. */
function increment(state: DictState, key: unknown, by: number | bigint): readonly [DictState, Answer] {
  const there = state.get(name(key));
  const sum = there === undefined ? by : add(there[1], by);
  return sum === undefined ? [state, refused("TypeError")] : [withEntries(state, [[key, sum]]), answered(sum)];
}

function withEntries(state: DictState, entries: Iterable<readonly [unknown, unknown]>): DictState {
  const next = new Map(state);
  for (const [key, value] of entries) next.set(name(key), [key, value]);
  return next;
}

function without(state: DictState, key: unknown): DictState {
  const next = new Map(state);
  next.delete(name(key));
  return next;
}

/** Keys are the same when they are equal in structure, and -0 is 0. */
function name(key: unknown): string {
  return typeof key === "string" ? `"${key}` : fingerprint(key === 0 ? 0 : key);
}

function isRead(input: DictInput, output: Answer | undefined): boolean {
  switch (input.type) {
    case "get":
    case "has":
    case "size":
    case "keys":
    case "values":
    case "entries":
      return true;
    case "compareAndSet":
    case "delete":
      return output !== undefined && ("error" in output || output.value === false);
    default:
      return output !== undefined && "error" in output;
  }
}
