import { equalAnswers, type Operation, type SequentialModel } from "../history.ts";

/**
 * Whether some order explains the history: tries every one, without memory or cleverness, so that it is plainly right and only good for a handful of operations.
 */
export function isLinearizableByTryingAll<S, In>(
  history: readonly Operation<In>[],
  model: SequentialModel<S, In>,
): boolean {
  const goOn = (state: S, rest: readonly Operation<In>[]): boolean => {
    if (rest.every(({ output }) => output === undefined)) return true;
    return rest.some((operation, index) => {
      const isTooEarly = rest.some(({ returnedAt }) => returnedAt !== undefined && returnedAt < operation.invokedAt);
      if (isTooEarly) return false;
      const [next, answer] = model.step(state, operation.input, operation.output);
      if (operation.output !== undefined && !equalAnswers(operation.output, answer)) return false;
      return goOn(next, rest.toSpliced(index, 1));
    });
  };
  return goOn(model.initial, history);
}
