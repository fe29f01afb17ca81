import type { Contender, Operation, Report } from "./contender.ts";
import type { OperationId, PlannedOperation } from "./rows.ts";

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

async function lapsOf(operation: Operation, planned: PlannedOperation): Promise<number[]> {
  const { id, count, warmUps, warmUpCount, laps: timedRuns } = planned;
  const isCalls = id === "apply";
  operation.prepare?.(warmUpCount);
  for (let turn = 0; turn < warmUps; turn++)
    if (isCalls) for (let call = 0; call < warmUpCount; call++) await operation.run(1);
    else await operation.run(warmUpCount);
  operation.prepare?.(count);
  const laps: number[] = [];
  for (let lap = 0; lap < timedRuns; lap++) {
    const start = performance.now();
    const result = await operation.run(isCalls ? 1 : count);
    laps.push((performance.now() - start) / 1_000);
    checkResult(id, isCalls ? 1 : count, result);
  }
  return laps;
}

/** Throws unless `result` is what the operation must give: a contender that answers wrongly is not fast. */
export function checkResult(id: OperationId, count: number, result: unknown): void {
  const expect = (isRight: boolean, what: string): void => {
    if (!isRight) throw new Error(`${id}: ${what} is wrong`);
  };
  switch (id) {
    case "noops":
    case "calls":
    case "unpackedNoops":
    case "apply":
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
      id satisfies never;
  }
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
