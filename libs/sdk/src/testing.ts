/** Tasks of the tests, in a module of their own: what they import is the inside of workers. */
import { env } from "node:process";
import { setTimeout as after } from "node:timers/promises";
import { connect, Pool, PoolTerminatedError, task, UnavailableError } from "heddle";

const forEver = (): Promise<void> => after(0x7fff_ffff);

/** Two handles and a pool side by side, of which one handle is closed while the others' work goes on. */
export async function closesOne(): Promise<readonly unknown[]> {
  await using pool = new Pool({ processes: 1 });
  const late = pool.apply(() => after(100, "late"));
  const first = await connect();
  await using second = await connect();
  const outcome = first
    .pool({ processes: 1 })
    .apply(forEver)
    .catch((error: unknown) => error instanceof PoolTerminatedError);
  const mine = await new Pool({ fabric: second, processes: 1 }).apply((x: number) => x + 1, [1]);
  await second.ready();
  await first.close();
  return [await late, mine, await outcome, nameOfRefusal(() => first.pool())];
}

function nameOfRefusal(act: () => unknown): string {
  try {
    act();
    return "not refused";
  } catch (error) {
    return nameOf(error);
  }
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : "no error";
}

/** What its fabric gives a task whose environment names an address where nobody is, and what that address does. */
export async function ignoresEnvironment(): Promise<readonly unknown[]> {
  env.HEDDLE_ADDRESS = "127.0.0.1:1";
  await using fabric = await connect();
  const results = [await fabric.pool().apply(() => 1), await new Pool().apply(() => 2)];
  const error: unknown = await connect("127.0.0.1:1", { timeoutMs: 300 }).catch((caught: unknown) => caught);
  return [...results, error instanceof UnavailableError];
}

/** What a task finds of its agent's credentials, and what it is told that wants some for its own fabric. */
export async function looksForCredentials(): Promise<readonly unknown[]> {
  const names = Object.keys(env).filter((name) => name.startsWith("HEDDLE_"));
  const refused: unknown = await connect(undefined, { token: "s".repeat(43) }).catch((error: unknown) => error);
  await using fabric = await connect();
  return [names, nameOf(refused), await fabric.pool({ processes: 1 }).apply(() => 3)];
}

/** What a task is told of itself, before and after a wait. */
export async function looksAtItself(): Promise<readonly unknown[]> {
  const mine = task();
  await after(1);
  return [mine.index, task().index, mine.attempt, mine.jobId === task().jobId, mine.signal.aborted];
}

const kept: { pool?: Pool; uses: number } = { uses: 0 };

/** Uses a pool that the first task of this worker made. */
export async function reusesPool(x: number): Promise<readonly [doubled: number, uses: number]> {
  kept.pool ??= new Pool({ processes: 1 });
  kept.uses++;
  return [await kept.pool.apply((n: number) => n * 2, [x]), kept.uses];
}
