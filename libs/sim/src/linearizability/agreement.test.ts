import { type Random, seededRandom } from "@heddle/kernel";
import { describe, expect, test } from "vitest";
import { checkLinearizable } from "./check.ts";
import type { Operation } from "./history.ts";
import { isLinearizableByTryingAll } from "./testing/brute-force.ts";
import { simulateHistory } from "./testing/simulate.ts";
import {
  appends,
  cells,
  dict,
  list,
  lock,
  queue,
  register,
  semaphore,
  stack,
  value,
  type Workload,
} from "./testing/workloads.ts";

/** What is asked of each model, whatever its types. */
interface Suite {
  readonly name: string;
  readonly clientsMax: number;
  /** Verdicts of the checker and of trying all orders, for a small history made wrong by chance. */
  readonly compare: (seed: number) => readonly [checked: string, tried: string];
  /** The verdict over a correct run. */
  readonly judge: (run: { seed: number; clientCount: number; operationCount: number; lostPart: number }) => string;
  /** The verdict over a correct run of which two answers were swapped, or an acknowledged write was taken out. */
  readonly judgeMutant: (seed: number, mutation: "swap" | "drop") => string;
}

function suite<S, In>({ name, model, draw, closing, clientsMax }: Workload<S, In>): Suite {
  const check = (history: readonly Operation<In>[]): string => {
    const verdict = checkLinearizable(history, model);
    return "text" in verdict ? `${verdict.type}: ${verdict.text}` : verdict.type;
  };
  return {
    name,
    clientsMax,
    compare: (seed) => {
      const random = seededRandom(seed, "mutation");
      const run = {
        seed,
        model,
        draw,
        clientCount: 1 + random.int(4),
        operationCount: 2 + random.int(5),
        lostPart: 0.2,
      };
      let history = simulateHistory(run);
      for (let times = random.int(3); times > 0; times--) history = swapped(history, random) ?? history;
      if (random.int(3) === 0) history = history.toSpliced(random.int(history.length), 1);
      const tried = isLinearizableByTryingAll(history, model);
      return [checkLinearizable(history, model).type, tried ? "linearizable" : "not-linearizable"];
    },
    judge: (run) => check(simulateHistory({ ...run, model, draw, closing })),
    judgeMutant: (seed, mutation) => {
      const random = seededRandom(seed, "mutation");
      const history = simulateHistory({ seed, model, draw, closing, clientCount: 4, operationCount: 60 });
      const mutant = mutation === "swap" ? swapped(history, random) : withoutWrite(history, random, model.isRead);
      return checkLinearizable(mutant ?? history, model).type;
    },
  };
}

/** Two operations whose answers differ have each other's; undefined when there are none. */
function swapped<In>(history: readonly Operation<In>[], random: Random): Operation<In>[] | undefined {
  for (let attempt = 0; attempt < 20; attempt++) {
    const [i, j] = [random.int(history.length), random.int(history.length)];
    const [a, b] = [history[i], history[j]];
    if (a?.output === undefined || b?.output === undefined) continue;
    if (JSON.stringify(a.output, plain) === JSON.stringify(b.output, plain)) continue;
    return history.with(i, { ...a, output: b.output }).with(j, { ...b, output: a.output });
  }
  return undefined;
}

function plain(_key: string, each: unknown): unknown {
  return typeof each === "bigint" ? `${each}n` : each;
}

/** Without one acknowledged write, of the first half: later operations can tell. */
function withoutWrite<In>(
  history: readonly Operation<In>[],
  random: Random,
  isRead: (input: In, output: Operation<In>["output"]) => boolean,
): Operation<In>[] | undefined {
  const writes = history
    .slice(0, history.length / 2)
    .filter(({ input, output }) => output !== undefined && !isRead(input, output));
  const dropped = writes[random.int(Math.max(1, writes.length))];
  return dropped === undefined ? undefined : history.filter((operation) => operation !== dropped);
}

const suites = [
  suite(appends),
  suite(cells),
  suite(dict),
  suite(list),
  suite(lock),
  suite(queue),
  suite(register),
  suite(semaphore),
  suite(stack),
  suite(value),
];

describe.each(suites)("$name", ({ clientsMax, compare, judge, judgeMutant }) => {
  test("small histories, right and wrong, are judged as by trying every order", () => {
    const counts = new Map<string, number>();
    for (let seed = 0; seed < 1_500; seed++) {
      const [checked, tried] = compare(seed);
      expect(checked, `seed ${seed}`).toBe(tried);
      counts.set(tried, (counts.get(tried) ?? 0) + 1);
    }
    expect(Math.min(counts.get("linearizable") ?? 0, counts.get("not-linearizable") ?? 0)).toBeGreaterThan(150);
  });

  test("what clients see of a correct object is linearizable, also where replies are lost", () => {
    for (let seed = 0; seed < 60; seed++) {
      const run = {
        seed,
        clientCount: 1 + (seed % Math.min(6, clientsMax)),
        operationCount: 120,
        lostPart: seed % 2 === 0 ? 0 : 0.05,
      };
      expect(judge(run), `seed ${seed}`).toBe("linearizable");
    }
  });

  test.each(["swap", "drop"] as const)("most histories with one %s are found out", (mutation) => {
    const verdicts = Array.from({ length: 100 }, (_, seed) => judgeMutant(seed, mutation));
    expect(verdicts).not.toContain("unknown");
    expect(verdicts.filter((verdict) => verdict === "not-linearizable").length).toBeGreaterThan(50);
  });
});

test.each(suites.filter(({ name }) => name !== "list"))(
  "10,000 operations of clients that never pause are judged in seconds: $clientsMax of $name",
  ({ judge, clientsMax }) => {
    expect(judge({ seed: 1, clientCount: clientsMax, operationCount: 10_000, lostPart: 0 })).toBe("linearizable");
  },
);
