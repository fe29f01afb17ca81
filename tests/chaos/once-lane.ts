import type { Manager } from "heddle";
import { shared } from "./client-events.ts";
import { type LaneContext, mustBe } from "./lane.ts";
import { type Marked, type OnceObjects, writeOnce } from "./tasks.ts";

/** Objects of one job whose writes count once, by its key. They have names: whoever looks finds them, whatever became of the program that made them. */
export function onceObjects(manager: Manager, key: string, isModifying = false): OnceObjects {
  return {
    sums: manager.dict<string, number>([], { name: shared.once }),
    lines: manager.list<number>([], { name: `${shared.once} ${key}` }),
    ...{ key, isModifying },
  };
}

/** Errors of items of which nobody knows whether their writes count: docs/failure-model.md. */
export const UNKNOWN_WRITES: ReadonlySet<string> = new Set([
  "UnavailableError",
  "OutcomeUnknownError",
  "SessionLostError",
]);

/** What became of the items of one job, when it was over. */
interface OnceOutcome {
  /** Items that have their result: each has its writes. */
  readonly done: readonly number[];
  /** Items of which nobody knows. */
  readonly unknown: readonly number[];
  /** Of an item: the first error that is none of its own. */
  readonly error: Error | undefined;
}

/** Throws WrongResult for results that no run of the items gives. */
function onceOutcome(results: readonly PromiseSettledResult<Marked>[]): OnceOutcome {
  const [done, unknown, errors]: [number[], number[], Error[]] = [[], [], []];
  for (const [n, result] of results.entries()) {
    if (result.status === "fulfilled") {
      mustBe(`item ${n} that counts once`, [result.value[0], n % 7 === 6], [n * n, false]);
      done.push(n);
      continue;
    }
    const { reason }: { readonly reason: unknown } = result;
    const error = reason instanceof Error ? reason : new Error(String(reason));
    if (error instanceof RangeError && n % 7 === 6) continue;
    errors.push(error);
    if (UNKNOWN_WRITES.has(error.name)) unknown.push(n);
  }
  return { done, unknown, error: errors[0] };
}

/** Items that add to sums of everybody and of this call, and to a list; many of them run more than once. The writes of those that have a result are there, once, and no others. */
export async function onceLane(context: LaneContext): Promise<void> {
  const { pool, manager, random, name } = context;
  const count = 1 + random.int(30);
  const key = `${name} ${random.int(2 ** 31)}`;
  const objects = onceObjects(manager, key, random.int(3) === 0);
  const inputs = Array.from({ length: count }, (_, n): [number, OnceObjects] => [n, objects]);
  await context.once({ key, state: "asked" });
  context.tally(1, count);
  const results = await pool.starmap(writeOnce, inputs, {
    ...{ effects: "once", onError: "collect", retries: 2, name: "once" },
    ...{ chunkSize: 1 + random.int(8), speculate: random.int(2) === 0 },
  });
  const { done, unknown, error } = onceOutcome(results);
  await context.once({ key, state: "answered", done, unknown });
  if (error !== undefined) throw error; // what it wrote is looked at in the end
  const [sum, lines] = [await objects.sums.get(key, 0), await objects.lines.toArray()];
  mustBe(`writes of ${key}`, [sum, lines.toSorted((a, b) => a - b)], [done.length, done]);
  await context.once({ key, state: "checked" });
  await objects.sums.pop(key, 0);
  await objects.lines.destroy();
}
