import { connect, Pool, range } from "heddle";
import { ProcessCluster } from "../../harness/process-cluster.ts";
import { samples, slices } from "../chunk-tasks.ts";
import type { Contender, Operation } from "../contender.ts";
import { CHUNKS, IN_FLIGHT, SAMPLE_CHUNKS, WORKERS } from "../rows.ts";
import { add, cube, isPrime, noop, type Sale, sales, sample, taxed } from "../tasks.ts";
import { streamed } from "./by-calls.ts";
import { serialPrimes } from "./plain.ts";

/** With a bound on a worker's tasks, chunks are counted, so that small ones do not travel as one. */
const NEVER_REACHED = 1_000_000_000;

type AnyPool = Pick<Pool, "apply" | "map" | "imap" | "mapReduce">;

/** Coordinator and agent in the caller's process. */
export async function openEmbedded(): Promise<Contender> {
  await using scope = new AsyncDisposableStack();
  const pool = scope.use(new Pool({ processes: WORKERS }));
  const moved = scope.move();
  const openUnpacked = (): AnyPool => moved.use(new Pool({ processes: WORKERS, maxTasksPerChild: NEVER_REACHED }));
  return contender(pool, openUnpacked, moved);
}

/** Coordinator and agent as processes of their own, over gRPC on loopback. */
export async function openServed(): Promise<Contender> {
  await using scope = new AsyncDisposableStack();
  const cluster = scope.use(await ProcessCluster.start({ nodes: 1, slots: WORKERS, leaseMs: 15_000 }));
  const fabric = scope.use(await connect(cluster.address));
  const pool = scope.use(fabric.pool());
  const moved = scope.move();
  const openUnpacked = (): AnyPool => moved.use(fabric.pool({ maxTasksPerChild: NEVER_REACHED }));
  return contender(pool, openUnpacked, moved);
}

function contender(pool: AnyPool, openUnpacked: () => AnyPool, scope: AsyncDisposableStack): Contender {
  let unpacked: AnyPool | undefined;
  let inputs: Sale[] = [];
  return {
    operations: {
      noops: streamedNoops(pool),
      apply: singleCalls(pool),
      cubes: { how: "pool.map(cube, range(n))", run: (count) => pool.map(cube, range(count)) },
      typedCubes: {
        how: "pool.map(cube, range(n), { into: Float64Array })",
        run: (count) => pool.map(cube, range(count), { into: Float64Array }),
      },
      samples: {
        how: "pool.mapReduce(sample, add, range(n))",
        run: (count) => pool.mapReduce(sample, add, range(count)),
      },
      sampleChunks: {
        how: `pool.map(samples, ${SAMPLE_CHUNKS} slices, { chunkSize: 1 }), then summed`,
        run: async (count) => (await pool.map(samples, slices(count, SAMPLE_CHUNKS), { chunkSize: 1 })).reduce(add, 0),
      },
      serialPrimes,
      primes: {
        how: `pool.map(isPrime, range(n)), its default of ${CHUNKS} chunks`,
        run: (count) => pool.map(isPrime, range(count)),
      },
      objects: {
        how: "pool.map(taxed, objects)",
        prepare: (count) => {
          inputs = sales(count);
        },
        run: () => pool.map(taxed, inputs),
      },
      calls: {
        how: `pool.apply(noop, [item]), ${IN_FLIGHT} under way`,
        run: (count) => streamed(count, (item) => pool.apply(noop, [item])),
      },
      unpackedNoops: {
        how: "the same imap in a pool with a maxTasksPerChild that is never reached: each chunk travels by itself",
        run: (count) => {
          unpacked ??= openUnpacked(); // last of all: its workers are there only from here on
          return drained(unpacked.imap(noop, range(count), { chunkSize: 1 }));
        },
      },
    },
    [Symbol.asyncDispose]: () => scope.disposeAsync(),
  };
}

export function streamedNoops(pool: Pick<Pool, "imap">): Operation {
  return {
    how: "for await (const _ of pool.imap(noop, range(n), { chunkSize: 1 })) seen++; up to 256 such chunks travel as one",
    run: (count) => drained(pool.imap(noop, range(count), { chunkSize: 1 })),
  };
}

export function singleCalls(pool: Pick<Pool, "apply">): Operation {
  return { how: "await pool.apply(noop, [1])", run: () => pool.apply(noop, [1]) };
}

async function drained(results: AsyncIterable<number>): Promise<number> {
  let seen = 0;
  for await (const _ of results) seen++;
  return seen;
}
