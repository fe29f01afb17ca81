import type { Contender, Operation, Report } from "./contender.ts";
import { KEYS, type OperationId, type PlannedOperation } from "./rows.ts";
import { isPrime } from "./tasks.ts";

type SharedOperationId =
  | "appends"
  | "unawaitedAppends"
  | "sets"
  | "manySets"
  | "gets"
  | "lockPairs"
  | "manyLockPairs"
  | "flowLockPairs"
  | "collectedPrimes";

/** Does what is planned, one operation after the other, each warmed up first. An operation that fails is reported, and the rest go on. */
export async function measure(contender: Contender, plan: readonly PlannedOperation[]): Promise<Report> {
  const laps: Partial<Record<OperationId, readonly number[]>> = {};
  const hows: Partial<Record<OperationId, string>> = {};
  const failures: Partial<Record<OperationId, string>> = {};
  for (const planned of plan) {
    const operation = contender.operations[planned.id];
    if (operation === undefined) continue;
    hows[planned.id] = operation.how;
    try {
      laps[planned.id] = await lapsOf(operation, planned);
    } catch (error) {
      failures[planned.id] = String(error);
    }
  }
  return { laps, hows, failures };
}

function lapsOf(operation: Operation, planned: PlannedOperation): Promise<number[]> {
  return planned.isCalls ? callLaps(operation, planned) : runLaps(operation, planned);
}

async function callLaps(operation: Operation, planned: PlannedOperation): Promise<number[]> {
  const { id, warmUps, warmUpCount, laps: calls } = planned;
  await operation.prepare?.(warmUpCount);
  for (let turn = 0; turn < warmUps; turn++) for (let at = 0; at < warmUpCount; at++) await operation.run(1, at);
  await operation.prepare?.(calls);
  const laps: number[] = [];
  for (let at = 0; at < calls; at++) {
    const start = performance.now();
    const result = await operation.run(1, at);
    laps.push((performance.now() - start) / 1_000);
    if (operation.outcome === undefined) checkResult(id, 1, result, at);
  }
  if (operation.outcome !== undefined) checkResult(id, calls, await operation.outcome(calls));
  return laps;
}

async function runLaps(operation: Operation, planned: PlannedOperation): Promise<number[]> {
  const { id, count, warmUps, warmUpCount, laps: runs } = planned;
  for (let turn = 0; turn < warmUps; turn++) {
    await operation.prepare?.(warmUpCount);
    await operation.run(warmUpCount, 0);
  }
  const laps: number[] = [];
  for (let lap = 0; lap < runs; lap++) {
    await operation.prepare?.(count);
    const start = performance.now();
    const result = await operation.run(count, 0);
    laps.push((performance.now() - start) / 1_000);
    checkResult(id, count, operation.outcome === undefined ? result : await operation.outcome(count));
  }
  return laps;
}

/** Throws unless `result` is what the operation must give: a contender that answers wrongly is not fast. `at`: which call it was, of single calls. */
export function checkResult(id: OperationId, count: number, result: unknown, at = 0): void {
  const expect = (isRight: boolean, what: string): void => {
    if (!isRight) throw new Error(`${id}: ${what} is wrong`);
  };
  switch (id) {
    case "noops":
    case "calls":
    case "unpackedNoops":
    case "apply":
    case "syncs":
    case "securedNoops":
    case "securedApply":
      expect(result === count, `the answer ${String(result)}`);
      return;
    case "cubes":
    case "typedCubes": {
      const cubes = result as ArrayLike<number>;
      expect(Array.isArray(cubes) !== (id === "typedCubes"), "the kind of array");
      expect(cubes.length === count && cubes[count - 1] === (count - 1) ** 3, "the length or the last cube");
      return;
    }
    case "samples":
    case "sampleChunks":
      // ten standard deviations
      expect(Math.abs(Number(result) / count - 1 / 3) < 3 / Math.sqrt(count), `the integral ${Number(result) / count}`);
      return;
    case "serialPrimes":
    case "primes": {
      const flags = result as boolean[];
      const found = flags.reduce((sum, isPrime) => sum + Number(isPrime), 0);
      expect(flags.length === count && found === primesBelow(count), `the number ${found} of primes`);
      return;
    }
    case "objects": {
      const last = (result as { id: number; total: number }[])[count - 1];
      expect(last?.id === count - 1 && last.total === (count - 1) / 2, "the last object");
      return;
    }
    default:
      checkShared(id, count, result, at);
  }
}

/** The operations on shared objects. */
function checkShared(id: SharedOperationId, count: number, result: unknown, at: number): void {
  const expect = (isRight: boolean, what: string): void => {
    if (!isRight) throw new Error(`${id}: ${what} is wrong`);
  };
  switch (id) {
    case "appends":
    case "unawaitedAppends": {
      if (typeof result === "number") return expect(result === count, `the length ${result}`); // of who appends the same to it
      const items = result as number[];
      expect(items.length === count, `the length ${items.length}`);
      expect(!items.some((item, index) => item !== index), "an item, or the order,");
      return;
    }
    case "sets":
    case "manySets": {
      const values = result as number[];
      expect(values.length === Math.min(KEYS, count), `the number ${values.length} of keys`);
      const wrong = values.findIndex((value, key) => value !== lastOf(key, count));
      expect(wrong < 0, `the value ${values[wrong]} of key ${wrong}`);
      return;
    }
    case "gets":
      expect(result === at % KEYS, `the value ${String(result)}`);
      return;
    case "lockPairs":
    case "manyLockPairs":
    case "flowLockPairs":
      expect(result === true, "that a lock is not free in the end,");
      return;
    case "collectedPrimes": {
      const found = new Set(result as number[]);
      expect((result as number[]).length === found.size, "that a prime is there twice,");
      expect(found.size === primesBelow(count), `the number ${found.size} of primes`);
      expect([...found].every(isPrime), "that something is no prime,");
      return;
    }
    default:
      id satisfies never;
  }
}

/** What a key was set to last when each of `count` sets, in order, wrote its number. */
function lastOf(key: number, count: number): number {
  return key + KEYS * Math.floor((count - 1 - key) / KEYS);
}

/** By the sieve, so that what is checked is not checked by itself. */
function primesBelow(bound: number): number {
  const isComposite = new Uint8Array(bound);
  let found = 0;
  for (let n = 2; n < bound; n++) {
    if (isComposite[n] === 1) continue;
    found++;
    for (let multiple = n * n; multiple < bound; multiple += n) isComposite[multiple] = 1;
  }
  return found;
}
