import { LimitError, Manager, NotFoundError, UnavailableError } from "heddle";
import { expect, test } from "vitest";
import { ObjectsWorld } from "../../harness/objects-world.ts";
import { failure } from "../../harness/waiting.ts";

test("a watch outlives the manager's restart, and says that changes are missing when they are", async () => {
  await using world = await ObjectsWorld.open();
  const client = await world.client("ours");
  const dict = new Manager({ fabric: client.fabric }).dict<string, number>({}, { name: "dict" });
  const other = new Manager({ fabric: (await world.client("theirs")).fabric });
  const theirs = other.dict<string, number>(undefined, { name: "dict" });
  await dict.created;
  await using watch = dict.watch();
  await theirs.set("a", 1);
  expect((await watch.next()).value).toMatchObject({ type: "set", key: "a", value: 1 });
  const waiting = watch.next();
  await world.settle();
  await world.kill();
  await world.start();
  await world.clock.advance(5_000);
  await theirs.set("a", 2);
  expect((await waiting).value).toMatchObject({ type: "set", key: "a", value: 2 });
  client.cutOff();
  await theirs.set("a", 3);
  await world.kill(); // what it remembered of changes is gone
  await world.start();
  client.reconnect();
  const missed = watch.next();
  await world.clock.advance(5_000);
  const { value } = await missed;
  expect(value).toEqual({ type: "reset", revision: value?.revision });
  expect(await dict.get("a")).toBe(3);
  await theirs.set("a", 4);
  expect((await watch.next()).value).toMatchObject({ type: "set", value: 4 });
});

test("a watch whose stream is cut and comes back misses nothing", async () => {
  await using world = await ObjectsWorld.open();
  const client = await world.client("ours");
  const other = new Manager({ fabric: (await world.client("theirs")).fabric });
  const list = new Manager({ fabric: client.fabric }).list<number>([], { name: "list" });
  await list.created;
  await using watch = list.watch();
  const waiting = watch.next();
  await world.settle();
  client.cutOff();
  const theirs = other.list<number>([], { name: "list" });
  for (let n = 0; n < 3; n++) await theirs.append(n);
  client.reconnect();
  await world.clock.advance(10_000);
  expect([await waiting, await watch.next(), await watch.next()].map(({ value }) => value)).toMatchObject(
    [0, 1, 2].map((n) => ({ type: "insert", index: n, value: n })),
  );
});

test("a watch of a named object goes on in the next session when its own was lost; one without a name ends with it", async () => {
  await using world = await ObjectsWorld.open();
  const client = await world.client("ours");
  const other = new Manager({ fabric: (await world.client("theirs")).fabric });
  const manager = new Manager({ fabric: client.fabric });
  const named = manager.dict<string, number>({}, { name: "dict" });
  const unnamed = manager.dict<string, number>();
  await Promise.all([named.created, unnamed.created]);
  const [namedWatch, unnamedWatch] = [named.watch(), unnamed.watch()];
  const [change, end] = [namedWatch.next(), failure(unnamedWatch.next())];
  await world.settle();
  client.cutOff();
  await world.clock.advance(40_000); // the lease is long over
  await other.dict<string, number>(undefined, { name: "dict" }).set("a", 1);
  client.reconnect();
  await world.clock.advance(30_000);
  expect((await change).value).toMatchObject({ type: "set", key: "a", value: 1 });
  expect(await end).toBeInstanceOf(NotFoundError);
  expect(await failure(unnamed.set("a", 1))).toBeInstanceOf(NotFoundError);
  await namedWatch.return();
});

test("a handle whose first use found no manager makes its object at a later one, with what it holds", async () => {
  await using world = await ObjectsWorld.open();
  const client = await world.client("ours");
  const manager = new Manager({ fabric: client.fabric });
  const list = manager.list(Array.from({ length: 3 }, () => "x".repeat(600_000))); // several operations
  client.cutOff();
  const first = failure(list.append("y"));
  await world.clock.advance(70_000);
  expect(await first).toBeInstanceOf(UnavailableError);
  client.reconnect();
  const length = list.length();
  await world.clock.advance(10_000);
  expect(await length).toBe(3);
});

test("an object that cannot be made says why at each use, not that it is not there", async () => {
  await using world = await ObjectsWorld.open();
  const manager = new Manager({ fabric: (await world.client("ours")).fabric });
  const list = manager.list(Array(1_000_001).fill(0));
  const [appended, length] = [failure(list.append(1)), failure(list.length())];
  for (const error of [await appended, await length, await failure(list.at(0)), await failure(list.created)]) {
    expect(error).toBeInstanceOf(LimitError);
    expect(error).toMatchObject({ limitName: "OBJECT_ITEMS_MAX" });
  }
  const holder = manager.list<unknown>();
  expect(await failure(holder.append(list))).toBeInstanceOf(LimitError);
  expect(await holder.length()).toBe(0);
});

test("a transaction over the manager's kill is done once", async () => {
  await using world = await ObjectsWorld.open();
  const manager = new Manager({ fabric: (await world.client("ours")).fabric });
  const dict = manager.dict<string, number>({ a: 0, b: 0 }, { name: "dict" });
  await dict.created;
  const done: Promise<void>[] = [];
  for (let n = 0; n < 20; n++) {
    done.push(
      manager.transaction(async (tx) => {
        await tx.use(dict).increment("a");
        await tx.use(dict).increment("b", -1);
      }),
    );
    if (n % 7 === 3) {
      await world.kill();
      await world.start();
    }
  }
  for (let passed = 0; passed < 60; passed++) await world.clock.advance(500);
  await Promise.all(done);
  expect(await dict.toMap()).toEqual(
    new Map([
      ["a", 20],
      ["b", -20],
    ]),
  );
});
