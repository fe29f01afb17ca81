import { type Answer, equalAnswers, type Operation, type SequentialModel } from "./history.ts";
import { SHOWN_OPERATIONS_MAX, SHOWN_STUCK_MAX } from "./limits.ts";
import { show, showAnswer, showOperation } from "./show.ts";

/** An operation that could come next in real time but leads nowhere, and what the model answers there: the same, when it is later answers that it cannot go with. */
export interface Stuck<In> {
  readonly operation: Operation<In>;
  readonly expected: Answer;
}

/** Where the longest order ends. */
export interface DeadEnd<In> {
  /** The answered operations that could come next in real time. */
  readonly stuck: readonly Stuck<In>[];
  readonly text: string;
}

/** Says why nothing follows `order`, the longest that fits; `conclusion` is its first line. */
export function explain<S, In>(
  history: readonly Operation<In>[],
  order: readonly Operation<In>[],
  model: SequentialModel<S, In>,
  conclusion: string,
): DeadEnd<In> {
  const state = order.reduce((before, { input, output }) => model.step(before, input, output)[0], model.initial);
  const stuck = nextInTime(history, order).map((operation) => ({
    operation,
    expected: model.step(state, operation.input, operation.output)[1],
  }));
  const unknown = history.filter(({ output }) => output === undefined).length;
  const lines = [
    `${conclusion} An order of ${order.length} of the ${history.length} operations fits, none of more answered ones was found.`,
    ...(unknown > 0 ? [`The outcome of ${unknown} is unknown: they were tried at every place, and left out.`] : []),
    "The order that fits ends with",
    ...lastLines(order),
    `after which the object is ${show(state)}. What could come next does not fit:`,
    ...stuckLines(stuck),
  ];
  return { stuck, text: lines.join("\n") };
}

/** Answered operations outside of the order that were called before any other of those returned. */
function nextInTime<In>(history: readonly Operation<In>[], order: readonly Operation<In>[]): Operation<In>[] {
  const placed = new Set(order);
  const open = history.filter((operation) => operation.output !== undefined && !placed.has(operation));
  const firstReturn = open.reduce(
    (first, { returnedAt = first }) => Math.min(first, returnedAt),
    Number.POSITIVE_INFINITY,
  );
  return open.filter(({ invokedAt }) => invokedAt <= firstReturn);
}

function lastLines<In>(order: readonly Operation<In>[]): string[] {
  if (order.length === 0) return ["  (nothing)"];
  const from = Math.max(0, order.length - SHOWN_OPERATIONS_MAX);
  return order.slice(from).map((operation, at) => `  ${from + at + 1}. ${showOperation(operation)}`);
}

function stuckLines<In>(stuck: readonly Stuck<In>[]): string[] {
  const shown = stuck
    .slice(0, SHOWN_STUCK_MAX)
    .map(({ operation, expected }) => `  ${showOperation(operation)}, ${reason(operation, expected)}`);
  const more = stuck.length - shown.length;
  return more > 0 ? [...shown, `  and ${more} more`] : shown;
}

function reason({ output }: Operation<unknown>, expected: Answer): string {
  const fits = output !== undefined && equalAnswers(output, expected);
  return fits ? "but later answers show that it was not there" : `should be ${showAnswer(expected)}`;
}
