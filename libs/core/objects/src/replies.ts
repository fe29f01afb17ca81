import { objectText } from "@heddle/kernel";
import type { ObjectLimits } from "./limits.ts";
import { kindText } from "./spec.ts";
import type { SharedObject, State } from "./state.ts";
import type { Operation, Refusal, Reply, Revision } from "./types.ts";

export const NO_NUMBERS: readonly number[] = [];
export const NO_VALUES: readonly Uint8Array[] = [];

/** The operation cannot be done, and nothing of it was done: thrown by handlers before they change anything. */
export class Refused extends Error {
  override readonly name = "Refused";
  readonly refusal: Refusal;
  constructor(refusal: Refusal) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

/** To be thrown. */
export function refused(code: string, message: string): Refused {
  return new Refused({ code, message });
}

/** To be thrown: `what` would be over a limit. */
export function overLimit(state: State, name: keyof ObjectLimits, actual: number, what: string): Refused {
  return overBound(name, state.limits[name], actual, what);
}

/** As `overLimit`, of a limit that is known already. */
export function overBound(name: keyof ObjectLimits, limit: number, actual: number, what: string): Refused {
  const message = `${what}: ${name} is ${limit}, this would be ${actual}`;
  return new Refused({ code: "limit", message, limit: { name, limit, actual } });
}

/** The reply of an operation that was done at this revision. */
export function done(state: State, { seq }: Operation): Reply {
  return { seq, values: NO_VALUES, numbers: NO_NUMBERS, revision: state.revision, refusal: undefined };
}

/** As `done`, with numbers. */
export function numbers(state: State, { seq }: Operation, told: readonly number[]): Reply {
  return { seq, values: NO_VALUES, numbers: told, revision: state.revision, refusal: undefined };
}

/** As `done`, with values. */
export function values(state: State, { seq }: Operation, told: readonly Uint8Array[]): Reply {
  return { seq, values: told, numbers: NO_NUMBERS, revision: state.revision, refusal: undefined };
}

/** What was read is `values`, as it is since `revision`. */
export function readValues({ seq }: Operation, revision: Revision, told: readonly Uint8Array[]): Reply {
  return { seq, values: told, numbers: NO_NUMBERS, revision, refusal: undefined };
}

/** What was read is `numbers`, as it is since `revision`. */
export function readNumbers({ seq }: Operation, revision: Revision, told: readonly number[]): Reply {
  return { seq, values: NO_VALUES, numbers: told, revision, refusal: undefined };
}

/** Nothing was done, or read; `revision` as in a reply. */
export function refusal({ seq }: Operation, revision: Revision, why: Refusal): Reply {
  return { seq, values: NO_VALUES, numbers: NO_NUMBERS, revision, refusal: why };
}

/** An operation that does not wait would have had to. */
export function busy(state: State, operation: Operation, code: string, message: string): Reply {
  return refusal(operation, state.revision, { code, message });
}

/** How messages name an object. */
export function called(object: SharedObject): string {
  return `${kindText(object.spec)} ${objectText(object.ref)}`;
}
