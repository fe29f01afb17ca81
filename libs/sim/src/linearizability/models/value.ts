import { fingerprint } from "../fingerprint.ts";
import { type Answer, answered, done, refused, type SequentialModel } from "../history.ts";
import { same } from "../same.ts";

/** Calls of a shared value. `add` answers the sum, `compareExchange` what was there: it sets when that equals `expected`. */
export type ValueInput =
  | { readonly type: "get" }
  | { readonly type: "set"; readonly value: unknown }
  | { readonly type: "add"; readonly by: unknown }
  | { readonly type: "compareExchange"; readonly expected: unknown; readonly value: unknown };

/** One variable, of any value. Numbers do not wrap: see `cellsModel` for those that do. */
export function valueModel(initial: unknown): SequentialModel<unknown, ValueInput> {
  return { initial, step, key: fingerprint, isRead };
}

function step(state: unknown, input: ValueInput): readonly [unknown, Answer] {
  switch (input.type) {
    case "get":
      return [state, answered(state)];
    case "set":
      return [input.value, done];
    case "add": {
      const sum = add(state, input.by);
      return sum === undefined ? [state, refused("TypeError")] : [sum, answered(sum)];
    }
    case "compareExchange":
      return [same(state, input.expected) ? input.value : state, answered(state)];
  }
}

function isRead(input: ValueInput, output: Answer | undefined): boolean {
  if (input.type === "get") return true;
  if (output === undefined) return false;
  if ("error" in output) return true;
  return input.type === "compareExchange" && !same(output.value, input.expected);
}

/** The sum of two numbers or of two bigints; undefined for anything else. */
export function add(a: unknown, b: unknown): number | bigint | undefined {
  if (typeof a === "number" && typeof b === "number") return a + b;
  if (typeof a === "bigint" && typeof b === "bigint") return a + b;
  return undefined;
}
