import { describe, expect, test } from "vitest";
import { type ContenderId, entries, planFor } from "./contenders.ts";
import { disturbanceLines } from "./disturbance.ts";
import { type Figures, figuresOf, medians, quantile } from "./figures.ts";
import { howLines } from "./how-lines.ts";
import { checkResult } from "./measure.ts";
import { parseOptions } from "./options.ts";
import { planOf, rowIds, sizesOf } from "./rows.ts";
import { figuresTable, targetsTable } from "./table.ts";
import { type Target, targetsOf, verdictOf } from "./targets.ts";

const primes = { serialPrimesS: 0.3, primesS: 0.1, efficiency: 1.5 };
const figures = new Map<ContenderId, Figures>([
  [
    "heddle-grpc",
    { noopsPerSecond: 250_000, unpackedPerSecond: 100_000, applyP50Us: 260, cubesS: 0.5, samplesS: 0.09, ...primes },
  ],
  ["heddle-embedded", { noopsPerSecond: 320_000, applyP50Us: 44, cubesS: 0.3, typedCubesS: 0.2, samplesS: 0.06 }],
  ["python", { noopsPerSecond: 60_000, applyP50Us: 100, cubesS: 1.5 }],
  ["plain", { cubesS: 0.2, samplesS: 0.1, serialPrimesS: 0.184 }],
  ["scheduler", { decisionsPerSecond: 400_000, firstTenth: 500_000, lastTenth: 300_000 }],
]);
const sharedFigures = new Map<ContenderId, Figures>([
  [
    "heddle-grpc-objects",
    {
      ...{ appendsPerSecond: 160_000, setP50Us: 340, setsPerSecond: 2_900, manySetsPerSecond: 90_000 },
      ...{ getsPerSecond: 11_000, lockPairsPerSecond: 1_500, manyLockPairsPerSecond: 20_000, collectedPrimesS: 0.08 },
    },
  ],
  ["heddle-embedded-objects", { appendsPerSecond: 900_000 }],
  ["python-manager", { appendsPerSecond: 40_000, collectedPrimesS: 0.27 }],
  ["etcd", { setsPerSecond: 1_700, lockPairsPerSecond: 550 }],
]);

const verdicts = (row: string, by = figures): Record<string, string> =>
  Object.fromEntries(
    targetsOf(by, rowIds)
      .filter((target) => target.row === row)
      .map((target) => [target.what, verdictOf(target).verdict]),
  );

describe("targets", () => {
  test("are judged by figures of the same run", () => {
    expect(verdicts("a")).toEqual({
      "no-ops over gRPC, packed": "met",
      "no-ops over gRPC, packed, beside Python": "met",
      "no-ops over gRPC, unpacked": "missed",
      "no-ops over gRPC, unpacked, beside Python": "missed",
      "no-ops embedded, packed": "met, stretch too",
      "no-ops embedded, packed, beside Python": "met",
      "no-ops embedded, unpacked": "not measured",
      "no-ops embedded, unpacked, beside Python": "not measured",
    });
    expect(verdicts("b")).toEqual({ "apply p50 over gRPC": "missed", "apply p50 embedded": "met, stretch too" });
    expect(verdicts("f")).toEqual({ decisions: "met", "decisions, last tenth": "missed" });
  });

  test("without a figure are not measured, which is not met", () => {
    expect(verdicts("e")).toEqual({
      "parallel efficiency over gRPC": "met",
      "parallel efficiency embedded": "not measured",
    });
  });

  test("that ask for faster than something are missed by what is as fast", () => {
    expect(verdicts("c")).toEqual({
      "cubes over gRPC, array": "met",
      "cubes over gRPC, into Float64Array": "not measured",
      "cubes embedded, array": "met, stretch too",
      "cubes embedded, into Float64Array": "missed",
    });
  });

  test("are met from a ratio of 1 on, whichever way is better", () => {
    const atMost: Target = {
      row: "d",
      what: "",
      unit: "s",
      kind: "at-most",
      value: 0.06,
      target: 0.08,
      stretch: 0.05,
      from: "",
    };
    expect(verdictOf(atMost)).toEqual({ verdict: "met", ratio: 0.08 / 0.06 });
    expect(verdictOf({ ...atMost, kind: "at-least" })).toEqual({ verdict: "missed", ratio: 0.06 / 0.08 });
  });

  test("of efficiency are judged by the faster of the serial runs, whatever disturbed the other", () => {
    const efficiency = targetsOf(figures, ["e"]).find(({ what }) => what.endsWith("over gRPC"));
    expect(efficiency?.value).toBeCloseTo(0.92, 9);
  });

  test("of shared state are those of the durable manager, beside its peers", () => {
    expect(verdicts("h", sharedFigures)).toEqual({ "list.append, 1,024 under way": "met" });
    expect(verdicts("i", sharedFigures)).toEqual({ "dict.set p50": "met", "dict.set, beside etcd": "met" });
    expect(verdicts("j", sharedFigures)).toEqual({ "dict.set, 64 under way": "met, stretch too" });
    expect(verdicts("k", sharedFigures)).toEqual({ "dict.get": "missed" });
    expect(verdicts("l", sharedFigures)).toEqual({
      "lock pairs, one client": "met",
      "lock pairs, beside etcd": "missed",
      "lock pairs, 64 clients": "met, stretch too",
    });
    expect(verdicts("m", sharedFigures)).toEqual({ "primes in a shared list": "met" });
  });

  test("of mutual TLS leave it a share of the throughput and so much more time for a call", () => {
    const both = (noops: number, applyUs: number): Map<ContenderId, Figures> =>
      new Map([
        ["heddle-token", { securedNoopsPerSecond: 800_000, securedApplyP50Us: 300 }],
        ["heddle-tls", { securedNoopsPerSecond: noops, securedApplyP50Us: applyUs }],
      ]);
    const [throughput, call] = ["no-ops over mutual TLS, packed", "apply p50 over mutual TLS"] as const;
    expect(verdicts("n", both(600_000, 361))).toEqual({ [throughput]: "met", [call]: "missed" });
    expect(verdicts("n", both(599_999, 360))).toEqual({ [throughput]: "missed", [call]: "met" });
    expect(verdicts("n")).toEqual({ [throughput]: "not measured", [call]: "not measured" });
  });

  test("of rows that were not run are not listed", () => {
    expect(targetsOf(figures, ["f"]).map(({ row }) => row)).toEqual(["f", "f"]);
  });
});

describe("figures", () => {
  const plan = planOf(rowIds, sizesOf(false));

  test("are computed from what a contender's process reports", () => {
    const laps = { noops: [0.5], apply: [0.0001, 0.0003, 0.0002], serialPrimes: [0.4, 9, 0.1], primes: [0.25] };
    const { applyP50Us, applyP99Us, ...others } = figuresOf({ laps, hows: {}, failures: {} }, plan, 2);
    expect(others).toEqual({ noopsPerSecond: 200_000, serialPrimesS: 0.4, primesS: 0.25, efficiency: 0.8 });
    expect(applyP50Us).toBeCloseTo(200);
    expect(applyP99Us).toBeCloseTo(300);
  });

  test("of calls one at a time are their median and their rate as a whole", () => {
    const laps = { sets: [0.0001, 0.0001, 0.0008], gets: [0.001], appends: [0.5, 0.8, 2], collectedPrimes: [0.1] };
    const { setP50Us, ...others } = figuresOf({ laps, hows: {}, failures: {} }, plan, 2);
    expect(setP50Us).toBeCloseTo(100);
    expect(others).toEqual({
      appendsPerSecond: 250_000,
      setsPerSecond: 3_000,
      getsPerSecond: 1_000,
      collectedPrimesS: 0.1,
    });
  });

  test("have medians over the runs that have them", () => {
    expect(medians([{ cubesS: 3, samplesS: 1 }, { cubesS: 1 }, { cubesS: 2, samplesS: 2 }])).toEqual({
      cubesS: 2,
      samplesS: 1.5,
    });
    expect(quantile([], 0.5)).toBeUndefined();
  });

  test("of wrong answers are none", () => {
    expect(() => checkResult("cubes", 3, [0, 1, 8])).not.toThrow();
    expect(() => checkResult("cubes", 3, [0, 1, 9])).toThrow("cubes");
    expect(() => checkResult("typedCubes", 3, [0, 1, 8])).toThrow("typedCubes");
    expect(() => checkResult("primes", 6, [false, false, true, true, false, true])).not.toThrow();
    expect(() => checkResult("primes", 6, [false, true, true, true, false, true])).toThrow("primes");
  });

  test("of shared objects that do not hold what they should are none", () => {
    expect(() => checkResult("appends", 3, [0, 1, 2])).not.toThrow();
    expect(() => checkResult("appends", 3, [0, 2, 1])).toThrow("appends: an item, or the order,");
    expect(() => checkResult("appends", 3, 2)).toThrow("appends: the length 2");
    const thousand = Array.from({ length: 1_000 }, (_, key) => key);
    expect(() => checkResult("sets", 1_000, thousand)).not.toThrow();
    expect(() => checkResult("sets", 1_001, thousand)).toThrow("sets: the value 0 of key 0");
    expect(() => checkResult("manySets", 1_001, thousand.with(0, 1_000))).not.toThrow();
    expect(() => checkResult("gets", 1, 7, 1_007)).not.toThrow();
    expect(() => checkResult("gets", 1, 7, 8)).toThrow("gets: the value 7");
    expect(() => checkResult("lockPairs", 9, false)).toThrow("lockPairs");
    expect(() => checkResult("collectedPrimes", 6, [5, 2, 3])).not.toThrow();
    expect(() => checkResult("collectedPrimes", 6, [2, 3])).toThrow("the number 2 of primes");
    expect(() => checkResult("collectedPrimes", 6, [2, 3, 3, 5])).toThrow("there twice");
    expect(() => checkResult("collectedPrimes", 6, [2, 3, 4])).toThrow("is no prime");
  });

  test("of Dask come from fewer calls, and of no row that it has not", () => {
    const dask = entries.filter(({ id }) => id === "dask").flatMap((entry) => planFor(entry, plan));
    expect(dask.map(({ id, count }) => [id, count])).toEqual([
      ["noops", 5_000],
      ["apply", 100],
      ["samples", 500_000],
      ["sampleChunks", 10_000_000],
      ["calls", 1_000],
      ["unpackedNoops", 5_000],
    ]);
  });
});

describe("what is printed", () => {
  test("has contenders as lines, figures that somebody has as columns, and the scheduler by itself", () => {
    const lines = figuresTable(entries, figures);
    expect(lines[0]).toBe(
      "                        a no-op/s  a unpacked/s  b p50   c cubes  c typed  d samples  e serial  e primes  e parallel",
    );
    expect(lines).toContain(
      "Python Pool(2)          60,000     -             100 us  1.500 s  -        -          -         -         -",
    );
    expect(lines.slice(-3)).toEqual([
      "",
      "                f decisions/s  f first tenth  f last tenth",
      "scheduler core  400,000        500,000        300,000",
    ]);
  });

  test("has what shares state by itself, behind the pools", () => {
    const lines = figuresTable(entries, new Map([...sharedFigures, ["python", { cubesS: 1.5 }] as const]));
    expect(lines.slice(0, 4).map((line) => line.split(/ {2,}/))).toEqual([
      ["", "c cubes"],
      ["Python Pool(2)", "1.500 s"],
      [""],
      ["", "h appends/s", "i set p50", "i sets/s", "j sets/s", "k gets/s", "l pairs/s", "l 64 clients", "m primes"],
    ]);
    expect(lines.at(-1)?.split(/ {2,}/)).toEqual(["etcd, one node", "-", "-", "1,700", "-", "-", "550", "-", "-"]);
  });

  test("says of each target how far it is from it", () => {
    const lines = targetsTable(targetsOf(figures, ["f"])).map((line) => line.split(/ {2,}/));
    expect(lines[1]).toEqual([
      "f",
      "decisions",
      "400,000",
      ">= 300,000",
      "1.33x",
      ">= 500,000",
      "met",
      "300,000/s, stretch 500,000/s",
    ]);
  });

  test("says when others kept the machine busy", () => {
    expect(disturbanceLines([0.02, 0.05])).toEqual([]);
    expect(disturbanceLines([0.02, 0.5, 0.3])).toEqual([
      "DISTURBED: others kept up to 50 % of this machine busy before 2 of 3 measurements.",
    ]);
  });

  test("names everybody who was called alike once", () => {
    const hows = new Map<ContenderId, { noops: string }>([
      ["piscina", { noops: "run()" }],
      ["piscina-tuned", { noops: "run()" }],
    ]);
    expect(howLines(entries, hows)).toEqual(["a noops: run() (piscina, default; piscina, 8 tasks a worker)"]);
  });
});

describe("options", () => {
  test("are three rounds of every row unless given", () => {
    expect(parseOptions([])).toEqual({ runs: 3, rows: rowIds, quick: false, all: false });
    expect(parseOptions(["--only", "e,a", "--runs", "5", "--quick", "--all"])).toEqual({
      runs: 5,
      rows: ["a", "e"],
      quick: true,
      all: true,
    });
  });

  test("that cannot be are refused in words", () => {
    expect(() => parseOptions(["--only", "a,x"])).toThrow(
      "--only knows a, b, c, d, e, f, g, h, i, j, k, l, m, n, not x",
    );
    expect(() => parseOptions(["--runs", "0"])).toThrow("--runs must be a whole number from 1, got 0");
    expect(() => parseOptions(["--fast"])).toThrow("--fast");
  });
});
