import { type Dict, type List, type Lock, Manager, Pool, range } from "heddle";
import type { Contender, Operation } from "../contender.ts";
import { connectTo, startUp } from "../heddle-up.ts";
import { CONCURRENT, KEYS, WORKERS } from "../rows.ts";
import { isPrime } from "../tasks.ts";
import { streamed } from "./by-calls.ts";
import { concurrently, key, keysOf, underWay } from "./shared-state.ts";

/** Where shared objects come from. */
interface Source {
  readonly pool: Pick<Pool, "map">;
  readonly manager: Manager;
  /** One more session with the manager, on a stream of its own. */
  readonly openManager: () => Manager;
}

/** The manager in the caller's process: nothing is durable. */
export async function openEmbeddedObjects(): Promise<Contender> {
  await using scope = new AsyncDisposableStack();
  const pool = scope.use(new Pool({ processes: WORKERS }));
  const manager = scope.use(new Manager());
  const moved = scope.move();
  return contender({ pool, manager, openManager: () => moved.use(new Manager()) }, moved);
}

/** `heddle up` with a data directory: the manager is a process of its own and answers when it is on disk. */
export async function openServedObjects(): Promise<Contender> {
  await using scope = new AsyncDisposableStack();
  const up = scope.use(await startUp("token"));
  const fabric = scope.use(await connectTo(up.facts));
  const pool = scope.use(fabric.pool());
  const manager = scope.use(fabric.manager());
  const moved = scope.move();
  return contender({ pool, manager, openManager: () => moved.use(fabric.manager()) }, moved);
}

function contender(source: Source, scope: AsyncDisposableStack): Contender {
  return {
    operations: { ...listOperations(source), ...dictOperations(source), ...lockOperations(source) },
    [Symbol.asyncDispose]: () => scope.disposeAsync(),
  };
}

function listOperations({ pool, manager }: Source): Contender["operations"] {
  let list: List<number> = manager.list<number>();
  const fresh = {
    prepare: async () => {
      await list.destroy();
      list = manager.list<number>();
      await list.length();
    },
    outcome: () => list.toArray(),
  };
  return {
    appends: {
      ...fresh,
      how: `list.append(item), ${underWay}, each awaited`,
      run: (count) => streamed(count, (item) => list.append(item)),
    },
    unawaitedAppends: {
      ...fresh,
      how: "for (...) void list.append(item); await manager.flush()",
      run: async (count) => {
        for (let item = 0; item < count; item++) void list.append(item);
        await manager.flush();
      },
    },
    collectedPrimes: {
      ...fresh,
      how: "pool.map((n) => (isPrime(n) ? void list.append(n) : undefined), range(n))",
      run: async (count) => {
        const found = list;
        await pool.map((n: number) => (isPrime(n) ? void found.append(n) : undefined), range(count));
      },
    },
  };
}

function dictOperations({ manager }: Source): Contender["operations"] {
  let dict: Dict<string, number> = manager.dict<string, number>();
  const fresh = {
    prepare: async () => {
      await dict.destroy();
      dict = manager.dict<string, number>();
      await dict.size();
    },
    outcome: async (count: number) => {
      const values = await dict.toMap();
      return keysOf(count).map((name) => values.get(name));
    },
  };
  return {
    sets: { ...fresh, how: "await dict.set(key, value)", run: (_, at) => dict.set(key(at), at) },
    manySets: {
      ...fresh,
      how: `dict.set(key, value), ${concurrently}`,
      run: (count) => streamed(count, (at) => dict.set(key(at), at), CONCURRENT),
    },
    gets: {
      prepare: async () => {
        await fresh.prepare();
        await dict.update(keysOf(KEYS).map((name, at) => [name, at]));
      },
      how: "await dict.get(key)",
      run: (_, at) => dict.get(key(at)),
    },
  };
}

function lockOperations({ manager, openManager }: Source): Contender["operations"] {
  const lock = manager.lock();
  const managers: Manager[] = [];
  let locks: readonly Lock[] = [];
  const areFree = async (all: readonly Lock[]): Promise<boolean> =>
    (await Promise.all(all.map((one) => one.locked()))).every((locked) => !locked);
  const many: Pick<Operation, "run" | "outcome"> = {
    run: (count) => streamed(count, (_, lane) => pair(locks[lane] ?? lock), CONCURRENT),
    outcome: () => areFree(locks),
  };
  return {
    lockPairs: {
      how: "const guard = await lock.acquire(); await guard.release()",
      run: () => pair(lock),
      outcome: () => areFree([lock]),
    },
    manyLockPairs: {
      ...many,
      how: `the same by ${CONCURRENT} managers with a lock each: ${CONCURRENT} sessions on as many streams, all in one process`,
      prepare: async () => {
        while (managers.length < CONCURRENT) managers.push(openManager());
        locks = managers.map((one) => one.lock());
        await areFree(locks);
      },
    },
    flowLockPairs: {
      ...many,
      how: `the same by ${CONCURRENT} flows of one manager with a lock each`,
      prepare: async () => {
        locks = Array.from({ length: CONCURRENT }, () => manager.lock());
        await areFree(locks);
      },
    },
  };
}

async function pair(lock: Lock): Promise<void> {
  const guard = await lock.acquire();
  await guard.release();
}
