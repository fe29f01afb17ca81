import {
  type Dict,
  type Fabric,
  type List,
  type Lock,
  type Manager,
  objectsAdmin,
  type Queue,
  type Value,
} from "@heddle/client";
import { EmptyError } from "@heddle/kernel";
import { CalledObjects } from "../../harness/called-objects.ts";
import type { Calls } from "../../harness/caller.ts";
import { subjectsOf } from "../../harness/history-subjects.ts";
import { LockHistory } from "../../harness/lock-history.ts";
import { type Lane, type LaneStage, promised } from "./lane.ts";
import { pick } from "./plan.ts";

/** What shared objects promise, whoever writes to them: tasks on the nodes, and clients. */
export const sharedLanes = { counted, exclusive, queued, banked, historied } as const;

const ACCOUNTS = ["a", "b", "c"] as const;
const BALANCE = 100;
/** Lines of calls at a time in a history, and calls of each. */
const HISTORY_CALLS = 8;

/** Every acknowledged write is there, once; none is there twice; nothing is there that nobody wrote. */
function checkWrites(
  what: string,
  there: readonly string[],
  sent: ReadonlySet<string>,
  heard: ReadonlySet<string>,
): void {
  const kept = new Set(there);
  promised(
    kept.size === there.length,
    () => `${what}: ${there.find((id, at) => there.indexOf(id) < at)} is there twice`,
  );
  for (const id of there) promised(sent.has(id), () => `${what}: ${id} is there, and nobody wrote it`);
  for (const id of heard) promised(kept.has(id), () => `${what}: ${id} was acknowledged, and is not there`);
}

/** Tasks that write: into a list, and to a number. Whether they await it or not, an item that has its result has written. */
function counted({ cluster, fabric, pool, random, name }: LaneStage): Lane {
  const count = 3 + random.int(25);
  const awaits = random.int(3) > 0;
  const [sent, heard] = [new Set<string>(), new Set<string>()];
  let serial = 0;
  let isDone = false;
  const task = async (log: List<string>, sum: Value<"f64">, n: number): Promise<number> => {
    const id = `${n}/${++serial}`;
    const { sleep } = cluster.world.processes.here();
    sent.add(id);
    const writes = [log.append(id), sum.add(1)];
    await sleep(n % 5);
    if (!awaits) return n;
    await Promise.all(writes);
    heard.add(id);
    return n;
  };
  const objects = (of: Fabric) => {
    const manager = of.manager();
    return { log: manager.list<string>([], { name: `log ${name}` }), sum: manager.value(0, { name: `sum ${name}` }) };
  };
  const run = async (): Promise<void> => {
    const { log, sum } = objects(fabric);
    const items = Array.from({ length: count }, (_, n) => [log, sum, n] as const);
    // a write that nobody awaits and that fails is told of the last item of its chunk: a retry would hide those of the others
    await pool.starmap(task, items, { chunkSize: 1 + random.int(4), retries: awaits ? 3 : 0 });
    isDone = true;
  };
  const read = async (of: Fabric) => {
    const { log, sum } = objects(of);
    return { ids: await log.toArray(), total: await sum.get() };
  };
  const judge = async (of: Fabric): Promise<void> => {
    const { ids, total } = await read(of);
    checkWrites("tasks' list", ids, sent, heard);
    promised(
      total >= heard.size && total <= sent.size,
      () => `${heard.size} adds were heard of, ${sent.size} sent, ${total} done`,
    );
    const items = new Set(ids.map((id) => Number(id.slice(0, id.indexOf("/")))));
    if (isDone)
      promised(items.size === count, () => `all ${count} items have results, and only ${items.size} have written`);
  };
  return { run, judge, read };
}

/** Tasks that read, wait and write under a lock, which loses no update: each section sees what the one before it wrote. */
function exclusive({ cluster, fabric, pool, random, name, plan }: LaneStage): Lane {
  const count = 2 + random.int(10);
  const pauseMs = pick(random, [0, 5, 100, 3_000]);
  const heard = new Set<string>();
  /** An operator takes the lock away from whoever has it, just as that writes: whichever is at the manager first. */
  const isBroken = plan.weather === "storm" && random.int(3) === 0;
  const breakLock = (): void => {
    if (isBroken && random.int(3) === 0) objectsAdmin(fabric).breakLock(`@lock ${name}`).catch(ignore);
  };
  let begun = 0;
  const task = async (lock: Lock, cell: Value<"f64">, log: List<readonly [bigint, number]>): Promise<void> => {
    const { sleep } = cluster.world.processes.here();
    const section = await lock.run(async ({ token }) => {
      begun++;
      const next = (await cell.get()) + 1;
      await sleep(pauseMs);
      breakLock();
      await cell.set(next);
      await log.append([token, next]);
      return [token, next] as const;
    });
    heard.add(section.join());
  };
  const objects = (of: Fabric) => {
    const manager = of.manager();
    return [
      manager.lock({ name: `lock ${name}` }),
      manager.value(0, { name: `cell ${name}` }),
      manager.list<readonly [bigint, number]>([], { name: `sections ${name}` }),
    ] as const;
  };
  const run = async (): Promise<void> => {
    const shared = objects(fabric);
    await pool.starmap(
      task,
      Array.from({ length: count }, () => shared),
      { chunkSize: 1, retries: 3 },
    );
  };
  const read = async (of: Fabric) => {
    const [, cell, log] = objects(of);
    return {
      last: await cell.get(),
      sections: (await log.toArray()).map(([token, value]) => [Number(token), value] as const),
    };
  };
  const judge = async (of: Fabric): Promise<void> => {
    const { last, sections } = await read(of);
    for (const [at, [token, value]] of sections.entries()) {
      const [before = 0, valueBefore = 0] = sections[at - 1] ?? [];
      promised(
        token > before && value > valueBefore,
        () => `two had the lock at a time: ${sections.map(String).join(" ")}`,
      );
    }
    const all = new Set(sections.map((section) => section.join()));
    for (const section of heard) promised(all.has(section), () => `section ${section} was heard of, and is not there`);
    const [, lastLogged = 0] = sections.at(-1) ?? [];
    promised(
      last >= lastLogged && last <= begun,
      () => `${begun} sections began, ${lastLogged} was logged, ${last} is there`,
    );
  };
  return { run, judge, read };
}

/** What tasks put into a queue comes out of it once, or is still there. */
function queued({ fabric, pool, random, name }: LaneStage): Lane {
  const count = 3 + random.int(20);
  const [sent, heard, taken] = [new Set<string>(), new Set<string>(), [] as string[]];
  let serial = 0;
  let unknown = 0;
  const task = async (queue: Queue<string>, n: number): Promise<void> => {
    const id = `${n}/${++serial}`;
    sent.add(id);
    await queue.put(id);
    heard.add(id);
  };
  const queueOf = (of: Fabric): Queue<string> => of.manager().queue<string>({ name: `queue ${name}` });
  const take = async (queue: Queue<string>): Promise<boolean> => {
    unknown++; // until there is an answer, perhaps it was taken
    try {
      taken.push(await queue.get({ timeoutMs: 500 }));
    } catch (error) {
      if (!(error instanceof EmptyError)) throw error;
      unknown--;
      return false;
    }
    unknown--;
    return true;
  };
  const run = async (): Promise<void> => {
    const queue = queueOf(fabric);
    let isOver = false;
    const items = Array.from({ length: count }, (_, n) => [queue, n] as const);
    const put = pool.starmap(task, items, { chunkSize: 1 + random.int(4), retries: 3 }).finally(() => {
      isOver = true;
    });
    const got = (async (): Promise<void> => {
      while ((await take(queue)) || !isOver);
    })();
    for (const outcome of await Promise.allSettled([put, got])) if (outcome.status === "rejected") throw outcome.reason;
  };
  const judge = async (of: Fabric): Promise<void> => {
    const queue = queueOf(of);
    while (await take(queue));
    checkWrites("what came out of the queue", taken, sent, new Set());
    const missing = [...heard].filter((id) => !taken.includes(id)).length;
    promised(
      missing <= unknown,
      () => `${missing} items were put and are gone, and only ${unknown} gets have no answer`,
    );
  };
  return { run, judge };
}

/** Transactions move money between accounts; there is always as much of it. */
function banked({ fabric, random, name }: LaneStage): Lane {
  const transfers = 2 + random.int(10);
  const total = BALANCE * ACCOUNTS.length;
  const accounts = (manager: Manager): Dict<string, number> =>
    manager.dict(
      ACCOUNTS.map((account) => [account, BALANCE] as const),
      { name: `accounts ${name}` },
    );
  const sumOf = (balances: readonly number[]): number => balances.reduce((sum, balance) => sum + balance, 0);
  const clerk = async (): Promise<void> => {
    const manager = fabric.manager();
    const dict = accounts(manager);
    for (let made = 0; made < transfers; made++) {
      const [from, to, amount] = [pick(random, ACCOUNTS), pick(random, ACCOUNTS), 1 + random.int(20)];
      await manager.transaction(async (tx) => {
        const view = tx.use(dict);
        const balances = await Promise.all(ACCOUNTS.map(async (account) => (await view.get(account)) ?? Number.NaN));
        promised(sumOf(balances) === total, () => `a transaction saw ${balances} in the accounts`);
        await view.set(from, ((await view.get(from)) ?? 0) - amount);
        await view.set(to, ((await view.get(to)) ?? 0) + amount);
      });
    }
    await manager.close();
  };
  const read = async (of: Fabric) => {
    const entries = await accounts(of.manager()).entries();
    return [...entries].map(([account, balance]) => [account, balance] as const).sort();
  };
  const run = async (): Promise<void> => {
    for (const outcome of await Promise.allSettled([clerk(), clerk()]))
      if (outcome.status === "rejected") throw outcome.reason;
  };
  const judge = async (of: Fabric): Promise<void> => {
    const balances = await read(of);
    promised(sumOf(balances.map(([, balance]) => balance)) === total, () => `the accounts have ${balances}`);
  };
  return { run, judge, read };
}

/** Calls of two sessions, whose histories must be those of objects that take one call at a time. */
function historied({ cluster, fabric, random, name, plan, isGoner }: LaneStage): Lane {
  const { clock } = cluster.world;
  const subject = pick(random, subjectsOf(name, clock));
  const lock = new LockHistory(name, clock);
  let serial = 0;
  const callers: readonly Calls[] = [caller(fabric), caller(fabric)];
  const refusals = new Set(["EmptyError", "NotFoundError", "RangeError", "TimeoutError"]);
  const line = async (call: () => Promise<unknown>): Promise<void> => {
    for (let made = 0; made < HISTORY_CALLS; made++)
      await call().catch((error: Error) => {
        if (!refusals.has(error.name)) throw error;
      });
  };
  const run = async (): Promise<void> => {
    if (isGoner) for (const client of callers.keys()) lock.ends(client);
    const lines = callers.flatMap((each, client) => [
      ...Array.from({ length: subject.lines }, () => line(() => subject.call(each, client, random, ++serial))),
      // a session that is lost loses its lock at some time that nobody tells: such histories say little
      ...(plan.weather === "outages" ? [line(() => lock.use(each, client, random))] : []),
    ]);
    for (const outcome of await Promise.allSettled(lines)) if (outcome.status === "rejected") throw outcome.reason;
  };
  const judge = async (of: Fabric): Promise<void> => {
    await subject.close(caller(of), callers.length);
    subject.judge();
    if (plan.weather !== "outages") return;
    await lock.close(caller(of), callers.length);
    lock.judge();
  };
  return { run, judge };
}

/** Calls objects through a session of its own. */
function caller(fabric: Fabric): Calls {
  const objects = new CalledObjects(fabric.manager());
  return { call: (object, method, args = [], under) => objects.call({ id: 0, object, method, args, under }) };
}

function ignore(): void {}
