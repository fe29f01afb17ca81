import type { Effect, Operation, Reply, Verb } from "../index.ts";
import { testCodec } from "./codec.ts";

/** What writes do; "wrong" is refused. */
export const writeVerbs = ["set", "increment", "delete", "append", "pop", "add", "wrong"] as const;

/** A write: what it does, at which of few keys or places, and a number. */
export interface Write {
  readonly verb: (typeof writeVerbs)[number];
  readonly at: number;
  readonly by: number;
}

/** What there is, naively. */
export interface Model {
  readonly dict: Map<string, number>;
  readonly revisions: Map<string, number>;
  readonly list: number[];
  listChanged: number;
  readonly log: string[];
  readonly cells: number[];
}

/** Of the dict. */
export const KEYS = ["a", "b", "c"];

/** A write: what is asked, and what the model makes of it: undefined, or the code of why it cannot. */
export function plainWrite({ verb, at, by }: Write): {
  readonly operation: Operation;
  readonly run: (model: Model, revision: number) => string | undefined;
} {
  const key = KEYS[at] ?? "";
  const set = (model: Model, revision: number, value: number): undefined => {
    model.dict.set(key, value);
    model.revisions.set(key, revision);
  };
  switch (verb) {
    case "set":
      return {
        operation: operationOf(1, "dict-set", "@d", { values: [key, by] }),
        run: (model, revision) => set(model, revision, by),
      };
    case "increment":
      return {
        operation: operationOf(1, "dict-increment", "@d", { values: [key, by] }),
        run: (model, revision) => set(model, revision, (model.dict.get(key) ?? 0) + by),
      };
    case "delete":
      return {
        operation: operationOf(1, "dict-delete", "@d", { values: [key] }),
        run: (model) => {
          model.dict.delete(key);
          model.revisions.delete(key);
          return undefined;
        },
      };
    case "append":
      return {
        operation: operationOf(1, "list-append", "@l", { values: [by] }),
        run: (model, revision) => {
          model.list.push(by);
          model.listChanged = revision;
          return undefined;
        },
      };
    case "pop":
      return {
        operation: operationOf(1, "list-pop", "@l", { numbers: [at] }),
        run: (model, revision) => {
          if (at >= model.list.length) return "range";
          model.list.splice(at, 1);
          model.listChanged = revision;
          return undefined;
        },
      };
    case "add":
      return {
        operation: operationOf(1, "cells-add", "@v", { values: [by], numbers: [at] }),
        run: (model) => {
          model.cells[at] = (model.cells[at] ?? 0) + by;
          return undefined;
        },
      };
    case "wrong":
      return { operation: operationOf(1, "dict-increment", "@d", { values: [key, "x"] }), run: () => "type" };
  }
}

/** What an operation says beside its verb and object; values are encoded. */
export interface Said {
  readonly values: readonly unknown[];
  readonly numbers: readonly number[];
  readonly operations: readonly Operation[];
}

/** An operation without guards, expectations, and what is not said. */
export function operationOf(seq: number, verb: Verb, object: string, said: Partial<Said>): Operation {
  const { values = [], numbers = [], operations = [] } = said;
  const encoded = values.map((value) => (value instanceof Uint8Array ? value : testCodec.encode(value)));
  return { seq, verb, object, values: encoded, numbers, guards: [], operations, expectations: [] };
}

/** Those of the effects that are replies. */
export function repliesOf(effects: readonly Effect[]): Reply[] {
  return effects.flatMap((effect) => (effect.type === "reply" ? [effect.reply] : []));
}

/** A value as text. */
export function textOf(value: Uint8Array | undefined): string {
  return String(testCodec.decode(value ?? new Uint8Array()));
}
