import type { Estimates } from "./estimates.ts";
import { same } from "./same.ts";

/** What a caller got: the value its promise was fulfilled with (undefined for calls that give nothing), or the name of the error that refused it. */
export type Answer = { readonly value: unknown } | { readonly error: string };

/**
 * One call, as its caller saw it. Without `returnedAt` (and `output`) its outcome is unknown: it may have happened at any time from
 * `invokedAt` on, may still happen, or never will. Times are of one clock; a call is after another only if it was invoked later than that returned,
 * so what has the same time is concurrent.
 */
export interface Operation<In> {
  /** Who called. For people: its calls may overlap. */
  readonly client: number;
  readonly input: In;
  readonly invokedAt: number;
  readonly output?: Answer;
  readonly returnedAt?: number;
}

/**
 * The naive, obviously right object that a history is judged by. States are never changed in place.
 */
export interface SequentialModel<S, In> {
  readonly initial: S;
  /**
   * The state after `input`, and its answer. A call that waits is answered here as if it had not waited: what got a value cannot stand where
   * the model refuses. `seen` is what the caller got (undefined: unknown), for answers that the object is free to choose, such as a token.
   */
  step(state: S, input: In, seen: Answer | undefined): readonly [S, Answer];
  /** Equal for equal states, and different for different ones but for chances like 2^-64. */
  key(state: S): string;
  /** True only when a call with this answer (undefined: unknown) changes no state, whatever the state. Saves steps, changes no verdict. */
  isRead(input: In, output: Answer | undefined): boolean;
  /** Guesses from all answers when operations took effect whose own answers tell little. Saves steps, changes no verdict. */
  estimates?(history: readonly Operation<In>[]): Estimates<In>;
  /** Tells states in which some answer of the history cannot come true any more. Saves steps, changes no verdict. */
  deadEnds?(history: readonly Operation<In>[]): (state: S) => boolean;
}

/** The answer of a call that gave nothing. */
export const done: Answer = { value: undefined };

/** The answer of a call that gave `value`. */
export function answered(value: unknown): Answer {
  return { value };
}

/** The answer of a call that was refused with an error of that name. */
export function refused(error: string): Answer {
  return { error };
}

/** Whether two answers are the same: errors by name, values by structure. */
export function equalAnswers(a: Answer, b: Answer): boolean {
  if ("error" in a || "error" in b) return "error" in a && "error" in b && a.error === b.error;
  if (!Array.isArray(a.value) || !Array.isArray(b.value)) return same(a.value, b.value);
  const others: readonly unknown[] = b.value;
  return a.value.length === others.length && a.value.every((item, at) => same(item, others[at]));
}

/**
 * Splits a history by what it is about: an object's name, or an object and a key when only calls about single keys were made. A history is linearizable
 * exactly when each part is. Order within parts is kept.
 */
export function partition<In>(
  history: readonly Operation<In>[],
  objectOf: (operation: Operation<In>) => string,
): ReadonlyMap<string, readonly Operation<In>[]> {
  return Map.groupBy(history, objectOf);
}

/** Throws RangeError for an operation that cannot be: one that returns before it was invoked, or whose answer and its time do not come together. */
export function validateHistory<In>(history: readonly Operation<In>[]): void {
  for (const [index, { invokedAt, output, returnedAt }] of history.entries()) {
    if ((output === undefined) !== (returnedAt === undefined)) {
      throw new RangeError(
        `operation ${index} has ${output === undefined ? "a time of return without an answer" : "an answer without a time"}`,
      );
    }
    if (Number.isNaN(invokedAt) || (returnedAt !== undefined && !(returnedAt >= invokedAt))) {
      throw new RangeError(`operation ${index} returned at ${returnedAt} but was invoked at ${invokedAt}`);
    }
  }
}
