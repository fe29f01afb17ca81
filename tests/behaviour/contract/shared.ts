import { type Fabric, type Manager, type Pool, Process } from "heddle";
import { afterAll, beforeAll, describe, expect } from "vitest";
import type { RealCluster } from "../../harness/real-cluster.ts";

/** A program that shares objects with workers and processes: two of them at a time, on different nodes where there are several. */
export interface SharedRun {
  readonly cluster: RealCluster;
  readonly fabric: Fabric;
  readonly manager: Manager;
  /** Of two workers. */
  readonly pool: Pool;
}

export type GetShared = () => SharedRun;

/** A description that is filled by `describers` with a cluster of its own. Ids in titles are those of the catalogue of multiprocessing's behaviours. */
export function describeShared(
  name: string,
  start: () => Promise<RealCluster>,
  describers: readonly ((get: GetShared) => void)[],
): void {
  describe(name, () => {
    let run: SharedRun;
    beforeAll(async () => {
      const cluster = await start();
      const fabric = await cluster.fabric();
      run = { cluster, fabric, manager: fabric.manager(), pool: fabric.pool({ processes: 2 }) };
    });
    afterAll(async () => {
      await run.manager.close();
      await run.pool.terminate();
      await run.cluster[Symbol.asyncDispose]();
    });
    for (const describer of describers) describer(() => run);
  });
}

/** Runs a function with its arguments in a process of its own, on the node with this number where there are so many. Resolves once it runs. */
export async function child<A extends readonly unknown[]>(
  { cluster, fabric }: SharedRun,
  node: number,
  target: (...args: A) => unknown,
  args: A,
): Promise<Process> {
  const process = new Process({ target, args, fabric, ...nodeOf(cluster, node) });
  await cluster.drive(process.start());
  return process;
}

/** Waits for children, of which each ends well. */
export async function ended({ cluster }: SharedRun, ...children: readonly Process[]): Promise<void> {
  await cluster.drive(Promise.all(children.map((one) => one.join())));
  const endings = children.map(({ name, exitCode }) => `${name} ended with ${exitCode}`);
  expect(endings).toEqual(children.map(({ name }) => `${name} ended with 0`));
}

/** What five parties get: one here, two in each of the two workers, all at the same time. What `act` captures it takes along. */
export async function fiveOf<T>({ cluster, pool }: SharedRun, act: (party: number) => Promise<T>): Promise<T[]> {
  const both = async (first: number): Promise<T[]> => await Promise.all([act(first), act(first + 1)]);
  const [here, there] = await cluster.drive(Promise.all([act(0), pool.map(both, [1, 3], { chunkSize: 1 })]));
  return [here, ...there.flat()];
}

function nodeOf({ nodes }: RealCluster, at: number): { readonly node?: string } {
  const node = nodes[at % nodes.length];
  return node === undefined ? {} : { node };
}
