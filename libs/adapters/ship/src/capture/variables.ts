import type { AnyFunction } from "@heddle/port-shipper";
import type { Variable } from "eslint-scope";
import type { LiveScope } from "../inspect.ts";

/** One captured variable of a function that may have run many times. */
interface Instance {
  readonly cell: number;
  readonly value: unknown;
  readonly scope: LiveScope;
  /** Functions that were found to use it. */
  readonly users: AnyFunction[];
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
    { cell, value, scope, fn }: { cell: number; value: unknown; scope: LiveScope; fn: AnyFunction },
    isSole: boolean,
  ): void {
    if (isSole) this.keep(variable, cell);
    const instances = this.#instances.get(variable) ?? [];
    instances.push({ cell, value, scope, users: [fn] });
    this.#instances.set(variable, instances);
  }

  /** The cell of a variable that never changes, by the value that it has. */
  withValue(variable: Variable, value: unknown): number | undefined {
    return this.#instances.get(variable)?.find((instance) => Object.is(instance.value, value))?.cell;
  }

  /** The cell of a variable that may change, by the scope that it is in; "ambiguous" when two functions of one text have equal scopes. */
  ofScope(variable: Variable, { scope, fn }: { scope: LiveScope; fn: AnyFunction }): number | "ambiguous" | undefined {
    for (const { cell, users, ...instance } of this.#instances.get(variable) ?? []) {
      if (users.includes(fn)) return cell;
      if (!isEqualScope(instance.scope, scope)) continue;
      if (users.some((user) => String(user) === String(fn))) return "ambiguous";
      users.push(fn);
      return cell;
    }
    return undefined;
  }
}

function isEqualScope(one: LiveScope, other: LiveScope): boolean {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => Object.is(one[name], other[name]));
}
