import { explain, type Stuck } from "./explain.ts";
import { type Operation, type SequentialModel, validateHistory } from "./history.ts";
import { CHECK_STEPS_MAX } from "./limits.ts";
import { Search } from "./search.ts";

/** What a history is found to be. Only "linearizable" is good: "unknown" proves nothing, and a test treats it as it treats "not-linearizable". */
export type HistoryVerdict<In> =
  | {
      readonly type: "linearizable";
      /** One order that the model allows and that no caller could tell from what happened. Operations of unknown outcome that it needs are in it. */
      readonly order: readonly Operation<In>[];
      /** Steps of the model that it took to find out. */
      readonly steps: number;
    }
  | {
      readonly type: "not-linearizable" | "unknown";
      /** The order that places most answered operations. */
      readonly longest: readonly Operation<In>[];
      /** The answered operations that could come next in real time, none of which fits. */
      readonly stuck: readonly Stuck<In>[];
      /** All of it in words, over some lines. */
      readonly text: string;
      readonly steps: number;
    };

/** How long a check may take. */
export interface CheckOptions {
  /** Steps of the model, CHECK_STEPS_MAX unless given. When they are used up the verdict is "unknown". */
  readonly stepsMax?: number;
}

/** A history that is not linearizable, or that could not be shown to be. */
export class HistoryError extends Error {
  override readonly name = "HistoryError";
}

/**
 * Whether the history of one object (see `partition`) could have come from the model taking one operation at a time, each at some moment between its call
 * and its return. Takes about as many steps as there are operations when so; finding out that it is not may take exponentially many, hence `stepsMax`.
 * Throws RangeError for operations that cannot be.
 */
export function checkLinearizable<S, In>(
  history: readonly Operation<In>[],
  model: SequentialModel<S, In>,
  { stepsMax = CHECK_STEPS_MAX }: CheckOptions = {},
): HistoryVerdict<In> {
  validateHistory(history);
  // A read that nobody saw the answer of says nothing.
  const telling = history.filter(({ input, output }) => output !== undefined || !model.isRead(input, output));
  const { type, order: indices, steps } = new Search(telling, model, stepsMax).run();
  const order = indices.flatMap((index) => telling[index] ?? []);
  if (type === "order") return { type: "linearizable", order, steps };
  if (type === "none") {
    const conclusion = "Not linearizable: no order of one operation at a time explains the answers.";
    return { type: "not-linearizable", longest: order, steps, ...explain(telling, order, model, conclusion) };
  }
  const conclusion = `Unknown whether linearizable: ${steps} steps (stepsMax) were not enough to find out.`;
  return { type: "unknown", longest: order, steps, ...explain(telling, order, model, conclusion) };
}

/** Throws HistoryError, with the explanation, unless the history is linearizable. `what` names the object. */
export function assertLinearizable<S, In>(
  what: string,
  history: readonly Operation<In>[],
  model: SequentialModel<S, In>,
  options: CheckOptions = {},
): void {
  const verdict = checkLinearizable(history, model, options);
  if (verdict.type !== "linearizable") throw new HistoryError(`${what}: ${verdict.text}`);
}
