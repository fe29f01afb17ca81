import { inspect } from "node:util";
import {
  BoundedSemaphore,
  connect,
  EmptyError,
  FullError,
  type Manager,
  NotFoundError,
  SerializationError,
  TimeoutError,
} from "heddle";
import { afterAll, beforeAll, expect, test } from "vitest";
import { failure } from "../../harness/waiting.ts";

const fabric = await connect();
let manager: Manager;
let other: Manager;
beforeAll(() => {
  manager = fabric.manager();
  other = fabric.manager();
});
afterAll(() => fabric.close());

const refusal = async (asked: Promise<unknown>): Promise<Error> => (await failure(asked)) as Error;

/** An object without a name is called by the beginning of its id. */
const short = ({ id }: { readonly id: string }): string => id.slice(0, 8);

test("a wait that was too long says what of which object did not come", async () => {
  const [lock, rlock] = [manager.lock({ name: "mine" }), manager.rlock()];
  const [semaphore, queue, full] = [manager.semaphore(0), manager.queue(), manager.queue({ maxSize: 1, name: "full" })];
  await lock.acquire();
  await other.rlock({ name: "theirs" }).acquire();
  await full.put(1);
  expect(await refusal(lock.acquire({ timeoutMs: 20 }))).toEqual(
    new TimeoutError('lock "mine" was not free within 20 ms'),
  );
  expect(await refusal(lock.acquire({ timeoutMs: 0 }))).toEqual(new TimeoutError('lock "mine" is held'));
  expect(await refusal(manager.rlock({ name: "theirs" }).acquire({ timeoutMs: 20 }))).toEqual(
    new TimeoutError('rlock "theirs" was not free within 20 ms'),
  );
  expect(await refusal(semaphore.acquire({ timeoutMs: 20 }))).toEqual(
    new TimeoutError(`semaphore ${short(semaphore)} had no permit free within 20 ms`),
  );
  expect(await refusal(queue.get({ timeoutMs: 20 }))).toEqual(
    new EmptyError(`queue ${short(queue)} stayed empty for 20 ms`),
  );
  expect(await refusal(queue.getNowait())).toEqual(new EmptyError(`queue ${short(queue)} is empty`));
  expect(await refusal(full.put(2, { timeoutMs: 20 }))).toEqual(new FullError('queue "full" stayed full for 20 ms'));
  expect(await refusal(full.putNowait(2))).toEqual(new FullError('queue "full" is full'));
  expect(await rlock.tryAcquire()).not.toBeNull();
});

test("what is of another kind, or has no room, is told in words that fit", async () => {
  await manager.list([], { name: "kept" }).length();
  expect((await refusal(manager.array("i32", 3, { name: "kept" }).get(0))).message).toBe(
    '"kept" is a list, not an array of 3 i32',
  );
  const bounded = manager.boundedSemaphore(2, { name: "bounded" });
  expect(await refusal(bounded.release())).toEqual(
    new RangeError('bounded semaphore "bounded" has 2 of 2 permits free: 1 more would be above its bound'),
  );
  expect(bounded).toBeInstanceOf(BoundedSemaphore);
  expect((await refusal(manager.semaphore(5, { name: "bounded" }).getValue())).message).toBe(
    '"bounded" is a bounded semaphore of 2, not a semaphore of 5',
  );
});

test("what cannot be added says where, in a transaction as well", async () => {
  const dict = manager.dict<string, unknown>({ b: "text", c: [1] }, { name: "x" });
  const words = 'cannot add a number to the string at key "b" of dict "x"';
  const increment = (key: string, by: number) => dict.increment(key as never, by as never);
  expect(await refusal(increment("b", 1))).toEqual(new TypeError(words));
  expect((await refusal(increment("c", 1))).message).toBe('cannot add a number to the array at key "c" of dict "x"');
  expect(await refusal(manager.transaction((tx) => tx.use(dict).increment("b" as never, 1 as never)))).toEqual(
    new TypeError(words),
  );
  expect(await refusal(dict.pop("a"))).toEqual(new NotFoundError('dict "x" has no key "a"'));
});

test("handles print as what they are, and as JSON say which object they are of", async () => {
  const [list, named] = [manager.list(), manager.dict({}, { name: "settings" })];
  expect([`${list}`, inspect(list)]).toEqual([`List ${short(list)}`, `List ${short(list)}`]);
  expect([`${named}`, inspect({ named })]).toEqual(['Dict "settings"', '{ named: Dict "settings" }']);
  expect(JSON.stringify([list, named])).toBe(
    JSON.stringify([
      { kind: "list", object: list.id },
      { kind: "dict", object: "@settings" },
    ]),
  );
});

test("a guard prints what it holds and how that stands", async () => {
  const lock = manager.lock({ name: "printed" });
  const guard = await lock.acquire();
  const { token } = guard;
  expect(`${guard} ${inspect(guard)}`).toBe(Array(2).fill(`Guard of lock "printed" (token ${token})`).join(" "));
  expect(JSON.parse(JSON.stringify(guard))).toEqual({ kind: "guard", object: "@printed", token: `${token}` });
  await guard.release();
  expect(inspect(guard)).toBe(`Guard of lock "printed" (token ${token}, released)`);
});

test("a value that cannot travel, or is too large, is told of the method and the object that it was given to", async () => {
  const [list, dict] = [manager.list<unknown>([], { name: "values" }), manager.dict<string, unknown>()];
  expect((await refusal(list.append(() => 1))).message).toMatch(
    /^append of list "values": \$ cannot travel: it is a function/,
  );
  const nested = await refusal(dict.set("a", { deep: [Symbol("x")] }));
  expect(nested).toBeInstanceOf(SerializationError);
  expect(nested).toMatchObject({ path: "$.deep[0]", side: "value" });
  expect(nested.message).toBe(`set of dict ${short(dict)}: $.deep[0] cannot travel: it is a symbol (Symbol(x))`);
  const large = await refusal(list.append(new Uint8Array(64 * 1024 * 1024 + 1)));
  expect(large).toMatchObject({ name: "LimitError", limitName: "ITEM_BYTES_MAX", limit: 64 * 1024 * 1024 });
  expect(large.message).toMatch(
    /^append of list "values": ITEM_BYTES_MAX is 67108864 bytes \(64 MiB\), one value would have 671\d+: split it into /,
  );
});
