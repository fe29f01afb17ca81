import type * as chunkTasks from "../chunk-tasks.ts";
import { type Slice, slices } from "../chunk-tasks.ts";
import type { Contender, Operation } from "../contender.ts";
import { CHUNKS, IN_FLIGHT, SAMPLE_CHUNKS } from "../rows.ts";
import { add, type Sale, sales, type Taxed } from "../tasks.ts";
import { serialPrimes } from "./plain.ts";

/** Runs the task of this name with this argument in some worker. */
type Call = (task: Exclude<keyof typeof chunkTasks, "slices">, argument: unknown) => PromiseLike<unknown>;

export interface CallingPool {
  /** The call as a user writes it, with `task` and `argument` in it. */
  readonly how: string;
  readonly call: Call;
  /** Float64Arrays are moved or copied whole. */
  readonly sendsTypedArrays: boolean;
  readonly close: () => PromiseLike<unknown>;
}

/** A pool that knows single calls only: no-ops as calls, so many under way at a time, everything else in chunks. */
export function contenderByCalls({ how, call, sendsTypedArrays, close }: CallingPool): Contender {
  const all = (task: Parameters<Call>[0], cut: readonly unknown[]): Promise<unknown[]> =>
    Promise.all(cut.map((argument) => call(task, argument)));
  const mapped = (task: "cubes" | "primes"): Operation => ({
    how: `${how}, ${CHUNKS} slices, joined`,
    run: async (count) => joined(await all(task, slices(count, CHUNKS)), count),
  });
  const typedCubes: Operation = {
    how: `${how}, ${CHUNKS} slices as Float64Arrays, joined`,
    run: async (count) => joinedTyped(await all("typedCubes", slices(count, CHUNKS)), slices(count, CHUNKS), count),
  };
  let inputs: Sale[] = [];
  return {
    operations: {
      noops: { how: `${how}, ${IN_FLIGHT} under way`, run: (count) => streamed(count, (item) => call("one", item)) },
      apply: { how, run: () => call("one", 1) },
      cubes: mapped("cubes"),
      ...(sendsTypedArrays && { typedCubes }),
      sampleChunks: {
        how: `${how}, ${SAMPLE_CHUNKS} slices, summed`,
        run: async (count) => ((await all("samples", slices(count, SAMPLE_CHUNKS))) as number[]).reduce(add, 0),
      },
      serialPrimes,
      primes: mapped("primes"),
      objects: {
        how: `${how}, ${CHUNKS} slices of the objects, joined`,
        prepare: (count) => {
          inputs = sales(count);
        },
        run: async (count) => {
          const parts = slices(count, CHUNKS).map(({ from, to }) => inputs.slice(from, to));
          return ((await all("objects", parts)) as Taxed[][]).flat();
        },
      },
    },
    [Symbol.asyncDispose]: async () => {
      await close();
    },
  };
}

/** Resolves to how many answers there were; so many calls are under way at a time, each in a lane of its own, numbered from 0. */
export async function streamed(
  count: number,
  call: (item: number, lane: number) => PromiseLike<unknown>,
  underWay = IN_FLIGHT,
): Promise<number> {
  let next = 0;
  let seen = 0;
  const lane = async (_: unknown, number: number): Promise<void> => {
    while (next < count) {
      await call(next++, number);
      seen++;
    }
  };
  await Promise.all(Array.from({ length: Math.min(underWay, count) }, lane));
  return seen;
}

function joined(parts: readonly unknown[], count: number): unknown[] {
  const results = new Array<unknown>(count);
  let at = 0;
  for (const part of parts as unknown[][]) for (const item of part) results[at++] = item;
  return results;
}

function joinedTyped(parts: readonly unknown[], cut: readonly Slice[], count: number): Float64Array {
  const results = new Float64Array(count);
  for (const [at, part] of (parts as Float64Array[]).entries()) results.set(part, cut[at]?.from ?? 0);
  return results;
}
