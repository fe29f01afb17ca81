import { Heap, type Random, seededRandom } from "@heddle/kernel";
import type { Answer, Operation, SequentialModel } from "../history.ts";

/** What a client knows when it decides on its next call. */
export interface Turn<In> {
  readonly random: Random;
  readonly client: number;
  /** A number that no other call of the run has. */
  readonly serial: number;
  /** Its call before, and the answer unless that was lost. */
  readonly before: { readonly input: In; readonly output: Answer | undefined } | undefined;
}

/** A run of clients that call one correct object at the same time. */
export interface Simulation<S, In> {
  readonly seed: number;
  readonly model: SequentialModel<S, In>;
  readonly draw: (turn: Turn<In>) => In;
  readonly clientCount: number;
  readonly operationCount: number;
  /** Part of the calls whose reply is lost, 0 unless given: a third of them never happens, some happen long after the caller gave up. */
  readonly lostPart?: number;
  /** One more call, when all others are over. */
  readonly closing?: In | undefined;
}

interface Event {
  readonly atMs: number;
  readonly sequence: number;
  readonly run: () => void;
}

/** A history that is linearizable: each call takes effect at one moment between its start and its end. Times are whole, so that some are equal. */
export function simulateHistory<S, In>(simulation: Simulation<S, In>): Operation<In>[] {
  const { seed, model, draw, clientCount, operationCount, lostPart = 0, closing } = simulation;
  const random = seededRandom(seed, "history");
  const history: Operation<In>[] = [];
  const events = new Heap<Event>((a, b) => (a.atMs !== b.atMs ? a.atMs < b.atMs : a.sequence < b.sequence));
  let [state, serial, sequence] = [model.initial, 0, 0];
  const post = (atMs: number, run: () => void): void => events.push({ atMs, sequence: sequence++, run });

  const take = (input: In): Answer => {
    const [, answer] = model.step(state, input, undefined);
    [state] = model.step(state, input, answer);
    return answer;
  };
  const call = (client: number, invokedAt: number, before: Turn<In>["before"]): void => {
    if (serial >= operationCount) return;
    const input = draw({ random, client, serial: serial++, before });
    const isLost = random.float() < lostPart;
    const happensAt = invokedAt + random.int(isLost ? 100 : 10);
    const returnedAt = happensAt + random.int(10);
    if (isLost) {
      history.push({ client, input, invokedAt });
      if (random.int(3) > 0) post(happensAt, () => take(input));
      return post(invokedAt + 20, () => call(client, invokedAt + 20, { input, output: undefined }));
    }
    post(happensAt, () => {
      const output = take(input);
      history.push({ client, input, invokedAt, output, returnedAt });
      post(returnedAt, () => call(client, returnedAt + random.int(3), { input, output }));
    });
  };

  for (let client = 0; client < clientCount; client++) call(client, random.int(10), undefined);
  for (let event = events.pop(); event !== undefined; event = events.pop()) event.run();
  if (closing !== undefined) {
    const invokedAt =
      history.reduce((last, { invokedAt, returnedAt = invokedAt }) => Math.max(last, returnedAt), 0) + 200;
    const output = take(closing);
    history.push({ client: 0, input: closing, invokedAt, output, returnedAt: invokedAt + 1 });
  }
  return history.sort((a, b) => a.invokedAt - b.invokedAt);
}
