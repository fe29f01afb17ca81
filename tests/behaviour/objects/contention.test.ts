import { type Random, seededRandom } from "@heddle/kernel";
import { type Guard, Lock, RLock, Semaphore, TimeoutError } from "heddle";
import { expect, test } from "vitest";
import { type ObjectsClient, ObjectsWorld } from "../../harness/objects-world.ts";

/** Of a session, while nobody says otherwise; and how much faster than another a clock may run. */
const TTL_MS = 15_000;
const CLOCK_RATE_BOUND = 0.002;

async function clients(world: ObjectsWorld, count: number): Promise<ObjectsClient[]> {
  const all: ObjectsClient[] = [];
  for (let each = 0; each < count; each++) all.push(await world.client(`client ${each}`));
  return all;
}

test("a lock whose holder is killed goes to the 100 that wait for it, in the order in which they asked (L02)", async () => {
  await using world = await ObjectsWorld.open();
  const holder = await world.client("holder");
  const lock = new Lock({ name: "ledger", fabric: holder.fabric });
  const lost = await lock.acquire();
  const handles = (await clients(world, 10)).map(({ fabric }) => new Lock({ name: "ledger", fabric }));
  const order: number[] = [];
  const tokens: bigint[] = [];
  const waiters: Promise<void>[] = [];
  let firstMs = 0;
  for (let waiter = 0; waiter < 100; waiter++) {
    const handle = handles[(waiter * 7) % handles.length] ?? lock;
    waiters.push(
      handle.run((guard) => {
        if (order.length === 0) firstMs = world.clock.nowMs();
        order.push(waiter);
        tokens.push(guard.token);
      }),
    );
    await world.settle();
  }
  const killedMs = world.clock.nowMs();
  holder.cutOff();
  await world.clock.advance(TTL_MS / 2);
  expect(order).toEqual([]);
  await world.clock.advance(TTL_MS);
  await Promise.all(waiters);
  expect(order).toEqual(Array.from({ length: 100 }, (_, waiter) => waiter));
  expect(tokens.toSorted((a, b) => Number(a - b))).toEqual(tokens);
  expect(tokens[0]).toBeGreaterThan(lost.token);
  expect(firstMs - killedMs).toBeLessThanOrEqual(TTL_MS * (1 + CLOCK_RATE_BOUND) + 1_000);
});

/** Somebody who asks for something again and again, and gives it up or gets it. */
interface Asker {
  readonly world: ObjectsWorld;
  readonly random: Random;
  readonly acquire: (options: { timeoutMs?: number; signal?: AbortSignal }) => Promise<Guard>;
  readonly seen: { holders: number; granted: number; tired: number; readonly limit: number };
}

async function askFor(times: number, asker: Asker): Promise<void> {
  for (let time = 0; time < times; time++) {
    const guard = await tryOnce(asker);
    if (guard === undefined) continue;
    const { seen } = asker;
    seen.holders++;
    seen.granted++;
    expect(seen.holders).toBeLessThanOrEqual(seen.limit);
    await pause(asker, 3);
    seen.holders--;
    await guard.release();
  }
}

/** Undefined when it was given up. */
async function tryOnce(asker: Asker): Promise<Guard | undefined> {
  const { random, acquire, seen, world } = asker;
  const abort = new AbortController();
  const patienceMs = random.int(6);
  const byTimeout = random.int(2) === 0;
  using _tired = byTimeout
    ? undefined
    : world.clock.setTimer(world.clock.nowMs() + patienceMs, () => abort.abort(new Error("tired")));
  try {
    return await acquire(byTimeout ? { timeoutMs: patienceMs } : { signal: abort.signal });
  } catch (error) {
    if (!(error instanceof TimeoutError)) expect(error).toBe(abort.signal.reason);
    seen.tired++;
    return undefined;
  }
}

function pause({ world, random }: Asker, ms: number): Promise<void> {
  const { clock } = world;
  return new Promise((resolve) => clock.setTimer(clock.nowMs() + random.int(ms + 1), resolve));
}

/** All of them at once, until each of their promises has settled. */
async function contend(world: ObjectsWorld, askers: readonly Asker[], times: number): Promise<void> {
  let isOver = false;
  const all = Promise.all(askers.map((asker) => askFor(times, asker))).finally(() => {
    isOver = true;
  });
  while (!isOver) await world.clock.advance(1);
  await all;
}

const kinds = [
  ["lock", 1, (fabric: ObjectsClient["fabric"]) => new Lock({ name: "one", fabric })],
  ["rlock", 1, (fabric: ObjectsClient["fabric"]) => new RLock({ name: "one", fabric })],
  ["semaphore", 3, (fabric: ObjectsClient["fabric"]) => new Semaphore(3, { name: "one", fabric })],
] as const;

test.for(kinds)(
  "10,000 waits for a %s that are given up as it is granted leave no holder behind, and each settles (L06)",
  async ([, limit, make]) => {
    await using world = await ObjectsWorld.open();
    const seen = { holders: 0, granted: 0, tired: 0, limit };
    const handles = (await clients(world, 20)).map(({ fabric }) => make(fabric));
    const askers = handles.map((handle, at): Asker => {
      const random = seededRandom(at, `L06 ${limit}`);
      return { world, random, seen, acquire: (options) => handle.acquire(options) };
    });
    await contend(world, askers, 500);
    expect(seen.granted + seen.tired).toBe(10_000);
    expect(Math.min(seen.granted, seen.tired)).toBeGreaterThan(500);
    const again = await Promise.all(handles.slice(0, limit).map((handle) => handle.tryAcquire()));
    expect(again.filter((guard) => guard === null)).toEqual([]);
    for (const guard of again) await guard?.release();
  },
);
