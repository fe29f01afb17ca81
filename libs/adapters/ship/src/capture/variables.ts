import type { AnyFunction } from "@heddle/port-shipper";
import type { AnyNode } from "acorn";
import type { Variable } from "eslint-scope";
import { type LiveScope, valueIn } from "../inspect.ts";

/** A function, and where its text is. */
export interface VariableUser {
  readonly fn: AnyFunction;
  readonly node: AnyNode;
}

/** One captured variable of a function that may have run many times. */
interface Instance {
  readonly cell: number;
  readonly value: unknown;
  readonly scope: LiveScope;
  /** Functions that were found to use it. */
  readonly users: VariableUser[];
}

/**
 * Which captured variables are one. V8 shows copies of scopes, so whether two functions share one cannot be seen. For a variable that
 * nobody assigns to it does not matter; of the others there is one if it is the module's own, and else values and texts must tell.
 */
export class Variables {
  /** Cells of variables that there is one of. */
  readonly #sole = new Map<Variable, number>();
  readonly #instances = new Map<Variable, Instance[]>();

  sole(variable: Variable): number | undefined {
    return this.#sole.get(variable);
  }

  /** There is one such variable, and this is its cell. */
  keep(variable: Variable, cell: number): number {
    this.#sole.set(variable, cell);
    return cell;
  }

  note(
    variable: Variable,
    { cell, value, scope, user }: { cell: number; value: unknown; scope: LiveScope; user: VariableUser },
    isSole: boolean,
  ): void {
    if (isSole) this.keep(variable, cell);
    const instances = this.#instances.get(variable) ?? [];
    instances.push({ cell, value, scope, users: [user] });
    this.#instances.set(variable, instances);
  }

  /** The cell of a variable that never changes, by the value that it has. */
  withValue(variable: Variable, value: unknown): number | undefined {
    return this.#instances.get(variable)?.find((instance) => Object.is(instance.value, value))?.cell;
  }

  /** The cell of a variable that may change, by the scope that it is in; "ambiguous" when two functions of one text have equal scopes. */
  ofScope(
    variable: Variable,
    { scope, user }: { scope: LiveScope; user: VariableUser },
  ): number | "ambiguous" | undefined {
    for (const { cell, users, ...instance } of this.#instances.get(variable) ?? []) {
      if (users.some(({ fn }) => fn === user.fn)) return cell;
      if (!isEqualScope(instance.scope, scope)) continue;
      if (users.some(({ node }) => node === user.node)) return "ambiguous";
      users.push(user);
      return cell;
    }
    return undefined;
  }

  /** What was taken for one variable still looks like one. `read` gives what it is now to a function. */
  areStillOne(read: (fn: AnyFunction, name: string) => unknown): boolean {
    for (const [{ name }, instances] of this.#instances) {
      for (const { users } of instances) {
        const [first, ...others] = users;
        if (first === undefined || others.length === 0) continue;
        const value = read(first.fn, name);
        if (!others.every(({ fn }) => Object.is(read(fn, name), value))) return false;
      }
    }
    return true;
  }
}

function isEqualScope(one: LiveScope, other: LiveScope): boolean {
  const names = Object.keys(one);
  return (
    names.length === Object.keys(other).length &&
    names.every((name) => Object.is(valueIn(one, name), valueIn(other, name)))
  );
}
