import { decodeValue, encodeValue } from "@heddle/wire";
import { describe, expect, test } from "vitest";
import { OUTCOME_BYTES_MAX } from "./limits.ts";
import type { CollectedItems, InsideEffects } from "./shared-objects.ts";
import { Bench } from "./testing.ts";

type Committed = Awaited<ReturnType<CollectedItems["commit"]>>;

const bytesOf = (value: unknown): Uint8Array => encodeValue(value, "result");
const JOB = { effectsOnce: true };

/** A manager of outcomes, whose answers to commits may be the test's. */
class Effects implements InsideEffects {
  readonly outcomes = new Map<number, Uint8Array>();
  /** What was asked, in order. */
  readonly said: string[] = [];
  /** Answers the next commits in the place of settling what they are of. */
  readonly answers: ((first: number, outcomes: readonly Uint8Array[]) => Committed)[] = [];
  isMuch = false;
  patience = Number.POSITIVE_INFINITY;

  async settled(_job: string, first: number, count: number): Promise<readonly (Uint8Array | undefined)[]> {
    this.said.push(`settled ${first}+${count}`);
    return Array.from({ length: count }, (_, at) => this.outcomes.get(first + at));
  }

  collect(job: string): CollectedItems {
    const { said, outcomes, answers } = this;
    const isMuch = (): boolean => this.isMuch;
    said.push(`collect ${job}`);
    return {
      run: (item) => item(),
      close: async () => void said.push("close"),
      drop: () => void said.push("drop"),
      get isMuch() {
        return isMuch();
      },
      objects: [],
      commit: async (first, given) => {
        said.push(`commit ${first}: ${given.map((bytes) => JSON.stringify(decodeValue(bytes))).join(" ")}`);
        const answer = answers.shift();
        if (answer !== undefined) return answer(first, given);
        for (const [at, outcome] of given.entries()) outcomes.set(first + at, outcome);
        return { outcomes: given, end: { type: "all" } };
      },
    };
  }

  conflicts() {
    return {
      next: async (_: unknown, conflict: unknown): Promise<void> => {
        this.said.push("conflict");
        if (this.patience-- <= 0) throw conflict;
      },
      through: async (): Promise<void> => undefined,
      [Symbol.asyncDispose]: async (): Promise<void> => undefined,
    };
  }
}

function benchOf(flush: () => Promise<void> | undefined = () => undefined): { bench: Bench; effects: Effects } {
  const [bench, effects] = [new Bench(), new Effects()];
  bench.loadInside = () => bench.runtime.objects.provide({ revive: () => ({}), flush, effects });
  return { bench, effects };
}

const conflict = new Error("somebody was quicker");
const conflictAt = (done: number) => (_first: number, outcomes: readonly Uint8Array[]) =>
  ({ outcomes: outcomes.slice(0, done), end: { type: "conflict", error: conflict } }) as const;

describe("items whose writes count once", () => {
  test("are told only when they count, with the index that the call knows them by", async () => {
    const { bench, effects } = benchOf();
    bench.job(1, (n: number) => n * 2, false, JOB);
    const span = { offset: 1, count: 2 };
    const answer = await bench.run(1, [1, 2, 3], { firstIndex: 10, span });
    expect(answer).toMatchObject({ done: [4, 6] });
    expect(effects.said).toEqual(["settled 11+2", "collect j", "close", "close", "commit 11: 4 6"]);
  });

  test("do not run when they are settled: what they came to then is their result", async () => {
    const { bench, effects } = benchOf();
    const ran: number[] = [];
    bench.job(1, (n: number) => ran.push(n) * 0 + n, false, JOB);
    effects.outcomes.set(0, bytesOf("zero")).set(2, bytesOf("two"));
    expect(await bench.run(1, [0, 1, 2, 3], { attempt: 2 })).toMatchObject({ done: ["zero", 1, "two", 3] });
    expect(ran).toEqual([1, 3]);
    expect(effects.said.filter((each) => each.startsWith("commit"))).toEqual(["commit 1: 1", "commit 3: 3"]);
  });

  test("have the outcome that the manager has when another run of them was quicker", async () => {
    const { bench, effects } = benchOf();
    effects.answers.push(() => ({ outcomes: [bytesOf("theirs"), bytesOf(1)], end: { type: "all" } }));
    bench.job(1, (n: number) => n, false, JOB);
    expect(await bench.run(1, [0, 1])).toMatchObject({ done: ["theirs", 1] });
  });

  test("run again from the one on that met a conflict, but for those that another run has settled", async () => {
    const { bench, effects } = benchOf();
    const ran: number[] = [];
    effects.answers.push((first, outcomes) => {
      effects.outcomes.set(2, bytesOf("theirs"));
      return conflictAt(1)(first, outcomes);
    });
    bench.job(1, (n: number) => ran.push(n) * 0 + n, false, JOB);
    expect(await bench.run(1, [0, 1, 2, 3])).toMatchObject({ done: [0, 1, "theirs", 3] });
    expect(ran).toEqual([0, 1, 2, 3, 1, 3]);
  });

  test("fail with the conflict when it does not end", async () => {
    const { bench, effects } = benchOf();
    effects.patience = 1;
    effects.answers.push(conflictAt(0), conflictAt(0));
    bench.job(1, (n: number) => n, false, JOB);
    expect(await bench.run(1, [0, 1])).toMatchObject({ completed: 0, offset: 0, error: { message: conflict.message } });
  });

  test("that fail leave nothing, and those before them count", async () => {
    const { bench, effects } = benchOf();
    bench.job(1, (n: number) => (n === 2 ? Promise.reject(new RangeError("two")) : n), false, JOB);
    const answer = await bench.run(1, [0, 1, 2, 3]);
    expect(answer).toMatchObject({ completed: 2, values: [0, 1], offset: 2, error: new RangeError("two") });
    const asked = ["settled 0+4", "collect j", "close", "close", "drop", "commit 0: 0 1", "settled 2+2"];
    expect(effects.said).toEqual(asked);
  });

  test("have succeeded when they fail and another run of them counts", async () => {
    const { bench, effects } = benchOf();
    bench.job(
      1,
      (n: number) => {
        effects.outcomes.set(n, bytesOf("theirs"));
        throw new RangeError("ours");
      },
      false,
      JOB,
    );
    expect(await bench.run(1, [0])).toMatchObject({ done: ["theirs"] });
  });

  test("that were written off fail, and do not run", async () => {
    const { bench, effects } = benchOf();
    effects.outcomes.set(1, new Uint8Array());
    bench.job(1, (n: number) => n, false, JOB);
    const answer = await bench.run(1, [0, 1]);
    expect(answer).toMatchObject({ completed: 1, values: [0], error: { name: "StateError" } });
  });

  test("fail when what they wrote is refused, at the one that it is refused of", async () => {
    const { bench, effects } = benchOf();
    const error = new RangeError("index 7 is outside of a list of 3");
    effects.answers.push((_first, outcomes) => ({ outcomes: outcomes.slice(0, 1), end: { type: "error", error } }));
    bench.job(1, (n: number) => n, false, JOB);
    expect(await bench.run(1, [0, 1, 2])).toMatchObject({ completed: 1, values: [0], offset: 1, error });
  });

  test("fail for a write that nobody awaited, and then it is not there", async () => {
    const error = new RangeError("index");
    const { bench, effects } = benchOf(() => Promise.reject(error));
    bench.job(1, (n: number) => n, false, JOB);
    expect(await bench.run(1, [0])).toMatchObject({ completed: 0, error });
    expect(effects.said).not.toContain("commit 0: 0");
  });

  test("come to a result of 1 MiB at most, and one that cannot travel fails like others", async () => {
    const { bench, effects } = benchOf();
    bench.job(1, (n: number) => (n < 0 ? () => n : new Uint8Array(n)), false, JOB);
    const [large, odd] = [await bench.run(1, [OUTCOME_BYTES_MAX]), await bench.run(1, [-1])];
    expect(large).toMatchObject({ completed: 0, refused: { code: "limit", limitName: "OUTCOME_BYTES_MAX" } });
    expect(odd).toMatchObject({ completed: 0, refused: { code: "serialization", side: "result" } });
    expect(effects.said.filter((each) => each.startsWith("commit"))).toEqual([]);
  });

  test("count before more of them run when there is much to count", async () => {
    const { bench, effects } = benchOf();
    effects.isMuch = true;
    bench.job(1, (n: number) => n, false, JOB);
    expect(await bench.run(1, [0, 1])).toMatchObject({ done: [0, 1] });
    expect(effects.said.filter((each) => each.startsWith("commit"))).toEqual(["commit 0: 0", "commit 1: 1"]);
  });

  test("of a chunk of several grains that takes long count, and the others are given back", async () => {
    const { bench, effects } = benchOf();
    const slow = (n: number): number => {
      bench.nowMs += 20;
      return n;
    };
    bench.job(1, slow, false, JOB);
    expect(await bench.run(1, [0, 1, 2, 3], { grain: 2 })).toMatchObject({ part: [0], completed: 1 });
    expect(effects.said.filter((each) => each.startsWith("commit"))).toEqual(["commit 0: 0"]);
  });

  test("are marked as they run, and nothing is marked while they are made to count", async () => {
    const { bench, effects } = benchOf();
    const marked: number[] = [];
    effects.answers.push((_first, outcomes) => {
      marked.push(bench.marked.size);
      return { outcomes, end: { type: "all" } };
    });
    bench.job(1, (n: number) => n, false, { ...JOB, watched: true });
    await bench.run(1, [0, 1]);
    expect(bench.marks.map(([, offset]) => offset)).toEqual([0, 1]);
    expect(marked).toEqual([0]);
  });
});
