import { compareValues } from "@heddle/values";
import { type Estimates, estimateByOrder } from "../estimates.ts";
import { fingerprint } from "../fingerprint.ts";
import { type Answer, answered, done, type Operation, refused, type SequentialModel } from "../history.ts";
import { same } from "../same.ts";

/** Calls of a shared list. `length` stands for `length()`; indices may be negative, from the end. */
export type ListInput =
  | { readonly type: "append"; readonly value: unknown }
  | { readonly type: "extend"; readonly values: readonly unknown[] }
  | { readonly type: "insert"; readonly index: number; readonly value: unknown }
  | { readonly type: "pop"; readonly index?: number }
  | { readonly type: "at"; readonly index: number }
  | { readonly type: "set"; readonly index: number; readonly value: unknown }
  | { readonly type: "remove"; readonly value: unknown }
  | { readonly type: "delete"; readonly index: number }
  | { readonly type: "index"; readonly value: unknown }
  | { readonly type: "count"; readonly value: unknown }
  | { readonly type: "includes"; readonly value: unknown }
  | { readonly type: "length" }
  | { readonly type: "toArray" }
  | { readonly type: "slice"; readonly from?: number; readonly to?: number }
  | { readonly type: "sort"; readonly descending?: boolean }
  | { readonly type: "reverse" }
  | { readonly type: "clear" };

type Items = readonly unknown[];

/** A list with these items. */
export function listModel(initial: Items = []): SequentialModel<Items, ListInput> {
  return { initial, step, key: fingerprint, isRead, estimates, deadEnds };
}

function step(state: Items, input: ListInput): readonly [Items, Answer] {
  switch (input.type) {
    case "append":
      return [[...state, input.value], done];
    case "extend":
      return [[...state, ...input.values], done];
    case "insert":
      return [state.toSpliced(input.index, 0, input.value), done];
    case "clear":
      return [[], done];
    case "reverse":
      return [state.toReversed(), done];
    case "sort":
      return sort(state, input.descending ?? false);
    case "remove": {
      const at = state.findIndex((item) => same(item, input.value));
      return at < 0 ? [state, refused("NotFoundError")] : [state.toSpliced(at, 1), done];
    }
    case "pop":
    case "at":
    case "set":
    case "delete":
      return stepAt(state, input);
    case "index":
    case "count":
    case "includes":
    case "length":
    case "toArray":
    case "slice":
      return [state, read(state, input)];
  }
}

type AtIndex = Extract<ListInput, { readonly type: "pop" | "at" | "set" | "delete" }>;

function stepAt(state: Items, input: AtIndex): readonly [Items, Answer] {
  const { index = -1 } = input;
  const at = index < 0 ? state.length + index : index;
  if (at < 0 || at >= state.length) return [state, refused("RangeError")];
  switch (input.type) {
    case "at":
      return [state, answered(state[at])];
    case "set":
      return [state.with(at, input.value), done];
    case "pop":
      return [state.toSpliced(at, 1), answered(state[at])];
    case "delete":
      return [state.toSpliced(at, 1), done];
  }
}

type Read = Extract<ListInput, { readonly type: "index" | "count" | "includes" | "length" | "toArray" | "slice" }>;

function read(state: Items, input: Read): Answer {
  switch (input.type) {
    case "index": {
      const at = state.findIndex((item) => same(item, input.value));
      return at < 0 ? refused("NotFoundError") : answered(at);
    }
    case "count":
      return answered(state.filter((item) => same(item, input.value)).length);
    case "includes":
      return answered(state.some((item) => same(item, input.value)));
    case "length":
      return answered(state.length);
    case "toArray":
      return answered(state);
    case "slice":
      return answered(state.slice(input.from, input.to));
  }
}

/** Numbers alone or strings alone. */
function sort(state: Items, descending: boolean): readonly [Items, Answer] {
  const numbers = state.filter((item) => typeof item === "number");
  const strings = state.filter((item) => typeof item === "string");
  if (numbers.length !== state.length && strings.length !== state.length) return [state, refused("TypeError")];
  const sorted: Items = numbers.length > 0 ? numbers.sort(compareValues) : strings.sort(compareValues);
  return [descending ? sorted.toReversed() : sorted, done];
}

function isRead(input: ListInput, output: Answer | undefined): boolean {
  switch (input.type) {
    case "at":
    case "index":
    case "count":
    case "includes":
    case "length":
    case "toArray":
    case "slice":
      return true;
    default:
      return output !== undefined && "error" in output;
  }
}

/** Items stand in the order in which they were appended wherever several are seen at once. */
function estimates(history: readonly Operation<ListInput>[]): Estimates<ListInput> {
  return estimateByOrder(history, {
    makes: ({ input }) => (input.type === "append" ? [input.value] : input.type === "extend" ? input.values : []),
    shows: ({ input, output }) => {
      if ((input.type !== "toArray" && input.type !== "slice") || output === undefined || "error" in output) return [];
      return Array.isArray(output.value) ? output.value : [];
    },
  });
}

/** Of a list that only grows: what a read shows of it stands there for ever. */
function deadEnds(history: readonly Operation<ListInput>[]): (state: Items) => boolean {
  const onlyGrows = history.every(
    ({ input, output }) => input.type === "append" || input.type === "extend" || isRead(input, output),
  );
  if (!onlyGrows) return () => false;
  const longest = history.reduce<Items>((items, { input, output }) => {
    if (input.type !== "toArray" || output === undefined || "error" in output) return items;
    return Array.isArray(output.value) && output.value.length > items.length ? output.value : items;
  }, []);
  // The items before were compared when they were the last ones.
  return (state) => {
    const last = state.length - 1;
    return last >= 0 && last < longest.length && !same(state[last], longest[last]);
  };
}
