import { type Estimates, estimateByOrder } from "../estimates.ts";
import { fingerprint } from "../fingerprint.ts";
import { type Answer, answered, done, type Operation, refused, type SequentialModel } from "../history.ts";

/**
 * Calls of a queue, whether they may wait or not: a put that was answered found room, a get an item. One that did not wait, or not for ever,
 * may be refused with FullError or EmptyError, and then the queue was full or empty at that moment.
 */
export type QueueInput =
  | { readonly type: "put"; readonly value: unknown }
  | { readonly type: "get" }
  | { readonly type: "qsize" }
  | { readonly type: "empty" }
  | { readonly type: "full" };

type Items = readonly unknown[];

/** A queue that takes `maxSize` items, or any number when that is 0. */
export function queueModel(maxSize = 0): SequentialModel<Items, QueueInput> {
  const isFull = (state: Items): boolean => maxSize > 0 && state.length >= maxSize;
  const step = (state: Items, input: QueueInput): readonly [Items, Answer] => {
    switch (input.type) {
      case "put":
        return isFull(state) ? [state, refused("FullError")] : [[...state, input.value], done];
      case "get":
        return state.length === 0 ? [state, refused("EmptyError")] : [state.slice(1), answered(state[0])];
      case "qsize":
        return [state, answered(state.length)];
      case "empty":
        return [state, answered(state.length === 0)];
      case "full":
        return [state, answered(isFull(state))];
    }
  };
  return { initial: [], step, key: fingerprint, isRead, estimates, deadEnds };
}

function isRead(input: QueueInput, output: Answer | undefined): boolean {
  if (input.type === "put" || input.type === "get") return output !== undefined && "error" in output;
  return true;
}

/** What was got first was put first. */
function estimates(history: readonly Operation<QueueInput>[]): Estimates<QueueInput> {
  return estimateByOrder(history, {
    makes: ({ input }) => (input.type === "put" ? [input.value] : []),
    shows: ({ input, output }) =>
      input.type === "get" && output !== undefined && "value" in output ? [output.value] : [],
  });
}

/** What stands first in a queue is got first, if not by somebody whose reply was lost. */
function deadEnds(history: readonly Operation<QueueInput>[]): (state: Items) => boolean {
  const puts = new Set<unknown>();
  const gets = new Map<unknown, Operation<QueueInput>>();
  const lostGets: number[] = [];
  for (const operation of history) {
    const { input, output } = operation;
    if (input.type === "put") {
      if (puts.has(named(input.value))) return () => false;
      puts.add(named(input.value));
    } else if (input.type === "get" && output === undefined) lostGets.push(operation.invokedAt);
    else if (input.type === "get" && output !== undefined && "value" in output)
      gets.set(named(output.value), operation);
  }
  // Those before the last item were compared when they were the last one.
  return (state) => {
    const last = gets.get(named(state.at(-1)));
    if (last?.returnedAt === undefined) return false;
    const before = state.slice(0, -1).map((item) => gets.get(named(item)));
    const { returnedAt } = last;
    return (
      before.some((get) => get !== undefined && get.invokedAt > returnedAt) ||
      before.filter((get) => get === undefined).length > lostGets.filter((invokedAt) => invokedAt <= returnedAt).length
    );
  };
}

/** Equal for equal items only. */
function named(item: unknown): unknown {
  return typeof item === "object" ? `object ${fingerprint(item)}` : item;
}
