/** Functions that use the fabric they run on. */
import { Pool, task, WorkerLostError } from "heddle";

/** The products of a row, computed by a pool of its own. */
export async function rowOfProducts(row: number): Promise<number[]> {
  await using pool = new Pool();
  return await pool.map((n) => n * row, [1, 2, 3]);
}

/** Leaves of a tree of calls: each level is a pool inside a task. */
export async function leaves(depth: number): Promise<number> {
  if (depth === 0) return 1;
  await using pool = new Pool({ processes: 1 });
  const below = await pool.map(leaves, [depth - 1, depth - 1], { chunkSize: 1 });
  return below.reduce((sum, count) => sum + count, 0);
}

/** A task in a task in a task, for ever. */
export async function endlessly(depth: number): Promise<number> {
  await using pool = new Pool({ processes: 1 });
  return await pool.apply(endlessly, [depth + 1]);
}

export function whoAmI(): {
  readonly index: number;
  readonly attempt: number;
  readonly node: string;
  readonly jobId: string;
} {
  const { index, attempt, node, jobId } = task();
  return { index, attempt, node, jobId };
}

/** What a task sees when a task of its own kills its worker. */
export async function survives(n: number): Promise<string> {
  await using pool = new Pool({ processes: 1 });
  try {
    await pool.apply(() => process.kill(process.pid, "SIGKILL"));
    return "not killed";
  } catch (error) {
    return error instanceof WorkerLostError ? `${n} lost ${error.signal}` : String(error);
  }
}

/** Keeps a task of its own waiting for ever. */
export async function waitsForEver(): Promise<never> {
  const pool = new Pool({ processes: 1 });
  return await pool.apply(() => new Promise<never>(() => setInterval(() => undefined, 1_000)));
}

/** Sends and gets megabytes: more than any frame between a worker and its agent, and more than any window. */
export async function megabytes(count: number): Promise<number> {
  await using pool = new Pool();
  const inputs = Array.from({ length: count }, (_, at) => new Uint8Array(1024 * 1024 + at).fill(at));
  const back = await pool.map((bytes) => bytes.map((byte) => byte + 1), inputs, { chunkSize: 1 });
  return back.reduce((sum, bytes, at) => sum + (bytes[0] === at + 1 ? bytes.length - 1024 * 1024 : Number.NaN), 0);
}
