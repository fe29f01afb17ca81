import { MESSAGE_BYTES_MAX } from "@heddle/kernel";
import {
  ListObjectsResponse,
  objectsAdminBreakLock,
  objectsAdminDescribeLock,
  objectsAdminDescribeObject,
  objectsAdminListLocks,
  objectsAdminListObjects,
  objectsAdminListSessions,
} from "@heddle/wire";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { PAGE_ITEMS_MAX } from "./limits.ts";
import { ADDRESS, type Bench, openBench, operation, type Peer, settle } from "./testing.ts";

const acquire = (object: string) => operation("lock-acquire", object, { numbers: [1] });
const create = (object: string, spec: object) => operation("create", object, { values: [spec] });
const timeout = { timeoutMs: 1_000 };

describe("operators", () => {
  let world: Bench;
  let first: Peer;
  let second: Peer;

  beforeEach(async () => {
    world = await openBench(onTestFinished);
    first = await world.client("a");
    second = await world.client("b");
  });

  test("see objects in order of their ids, page by page", async () => {
    const count = PAGE_ITEMS_MAX + 2;
    const name = (at: number): string => `@o${String(at).padStart(4, "0")}`;
    for (let at = 0; at < count; at++) {
      first.ask([create(name(count - 1 - at), { kind: "list" })], { acknowledged: [at, 1] });
      if (at % 100 === 0) await settle();
    }
    await settle();
    const page = await world.network.call(objectsAdminListObjects, ADDRESS, { after: "" }, timeout);
    expect([page.objects.length, page.more, page.objects[0]?.object]).toEqual([PAGE_ITEMS_MAX, true, name(0)]);
    const after = page.objects.at(-1)?.object ?? "";
    const rest = await world.network.call(objectsAdminListObjects, ADDRESS, { after }, timeout);
    expect(rest.objects.map(({ object }) => object)).toEqual([name(count - 2), name(count - 1)]);
    expect(rest.more).toBe(false);
  });

  test("get no more in one answer than fits into a message", async () => {
    const name = (at: number): string => `@${String(at).padStart(4, "0")}${"é".repeat(1_000)}`;
    first.ask(Array.from({ length: 400 }, (_, at) => create(name(at), { kind: "list" })));
    await settle();
    const names: string[] = [];
    for (let [after, more] = ["", true]; more; ) {
      const answer = await world.network.call(objectsAdminListObjects, ADDRESS, { after }, timeout);
      expect(ListObjectsResponse.encode(answer).finish().length).toBeLessThan(MESSAGE_BYTES_MAX / 2);
      names.push(...answer.objects.map(({ object }) => object));
      [after, more] = [names.at(-1) ?? "", answer.more];
    }
    expect(names).toEqual(Array.from({ length: 400 }, (_, at) => name(at)));
  });

  test("see one object by its name, its id, or the beginning of that", async () => {
    const id = `abc${"1".repeat(29)}`;
    first.ask([create("@jobs", { kind: "queue", maxSize: 3 }), create(id, { kind: "dict" })]);
    first.ask([operation("queue-put", "@jobs", { numbers: [1], values: [1] })]);
    await settle();
    const ask = (object: string) => world.network.call(objectsAdminDescribeObject, ADDRESS, { object }, timeout);
    expect((await ask("jobs")).object).toMatchObject({ object: "@jobs", kind: "queue", items: 1, session: 0 });
    expect((await ask("@jobs")).object?.spec).toBe("queue of at most 3");
    const { object, description } = await ask("abc");
    expect([object?.object, object?.session, description]).toEqual([id, first.session, "test a"]);
    await expect(ask("nothing")).rejects.toMatchObject({ code: "not-found" });
    first.ask([create(`abc${"2".repeat(29)}`, { kind: "dict" })]);
    await settle();
    await expect(ask("abc")).rejects.toThrow("the ids of 2 objects");
  });

  test("see who holds a lock, for how long, and who waits", async () => {
    first.ask([create("@lock", { kind: "lock" }), acquire("@lock")]);
    await settle();
    await world.clock.advance(2_000);
    second.ask([acquire("@lock")], { owner: 4 });
    await settle();
    await world.clock.advance(1_000);
    const { lock, queue, deadlock } = await world.network.call(
      objectsAdminDescribeLock,
      ADDRESS,
      { object: "lock" },
      timeout,
    );
    const token = first.reply(2)?.numbers[0];
    expect(lock?.holders).toEqual([
      { session: first.session, owner: 0, token, heldMs: 3_000, description: "test a", permits: 1 },
    ]);
    expect(queue).toEqual([{ session: second.session, owner: 4, waitedMs: 1_000, description: "test b" }]);
    expect(deadlock).toEqual([]);
  });

  test("see which worker of a node holds a lock or waits for it, as the node says on each of its streams", async () => {
    const holder = async (): Promise<string | undefined> => {
      const { lock } = await world.network.call(objectsAdminDescribeLock, ADDRESS, { object: "lock" }, timeout);
      return lock?.holders[0]?.description;
    };
    first.ask([create("@lock", { kind: "lock" }), acquire("@lock")], { owner: 4 });
    second.ask([acquire("@lock")], { owner: 2 });
    await settle();
    expect(await holder()).toBe("test a");
    const named = (owner: number, description: string) =>
      ({ $case: "describeOwner", value: { owner, description } }) as const;
    first.say(named(4, "worker pid 12"));
    second.say(named(2, "x".repeat(500)));
    await settle();
    expect(await holder()).toBe("worker pid 12 of test a");
    const { queue } = await world.network.call(objectsAdminDescribeLock, ADDRESS, { object: "lock" }, timeout);
    expect(queue[0]?.description).toBe(`${"x".repeat(200)} of test b`);
    first.say({ $case: "closeOwner", value: { owner: 4 } });
    await settle();
    expect(await holder()).toBe(`${"x".repeat(200)} of test b`);
    await second.wire?.close();
    await settle();
    expect(await holder()).toBe("test b");
  });

  test("see a deadlock by the waits that make it, from any lock in it", async () => {
    first.ask([create("@x", { kind: "lock" }), create("@y", { kind: "lock" }), acquire("@x")]);
    second.ask([acquire("@y")]);
    await settle();
    first.ask([acquire("@y")]);
    second.ask([acquire("@x")]);
    await settle();
    const ask = (object: string) => world.network.call(objectsAdminDescribeLock, ADDRESS, { object }, timeout);
    const [a, b] = [
      { session: first.session, owner: 0 },
      { session: second.session, owner: 0 },
    ];
    const firstWaits = {
      ...{ ...a, description: "test a", lock: "@y" },
      ...{ holderSession: second.session, holderOwner: 0, holderDescription: "test b" },
    };
    const secondWaits = {
      ...{ ...b, description: "test b", lock: "@x" },
      ...{ holderSession: first.session, holderOwner: 0, holderDescription: "test a" },
    };
    expect((await ask("x")).deadlock).toEqual([firstWaits, secondWaits]);
    expect((await ask("y")).deadlock).toEqual([secondWaits, firstWaits]);
    expect((await ask("x")).waits).toEqual([firstWaits, secondWaits]);
  });

  test("see sessions, what they hold, and what is left of their leases", async () => {
    first.ask([create("@lock", { kind: "lock" }), create("1".repeat(32), { kind: "list" }), acquire("@lock")]);
    await settle();
    await second.wire?.close();
    await world.clock.advance(1_000);
    const { sessions } = await world.network.call(objectsAdminListSessions, ADDRESS, { after: 0 }, timeout);
    const { session: after = 0 } = first;
    const rest = await world.network.call(objectsAdminListSessions, ADDRESS, { after }, timeout);
    expect([rest.sessions.map(({ session }) => session), rest.more]).toEqual([[second.session], false]);
    expect(sessions).toEqual([
      {
        ...{ session: first.session, description: "test a", ttlMs: 15_000, leftMs: 14_030, connected: true },
        ...{ owners: 1, objects: 1, held: 1, waiting: 0, identity: "this user" },
      },
      {
        ...{ session: second.session, description: "test b", ttlMs: 15_000, leftMs: 14_030, connected: false },
        ...{ owners: 0, objects: 0, held: 0, waiting: 0, identity: "this user" },
      },
    ]);
  });

  test("take a lock from its holder, whose token is stale from then on", async () => {
    first.ask([create("@lock", { kind: "lock" }), acquire("@lock")]);
    await settle();
    second.ask([acquire("@lock")]);
    await settle();
    const { broken } = await world.network.call(
      objectsAdminBreakLock,
      ADDRESS,
      { object: "lock", reason: "stuck" },
      timeout,
    );
    expect(broken.map(({ session }) => session)).toEqual([first.session]);
    expect(second.reply(1)?.numbers[0]).toBeGreaterThan(first.reply(2)?.numbers[0] ?? 0);
    first.ask([operation("lock-release", "@lock", { numbers: [first.reply(2)?.numbers[0] ?? 0] })]);
    await settle();
    expect(first.replied().at(-1)).toEqual([3, "not-held"]);
    const { locks } = await world.network.call(objectsAdminListLocks, ADDRESS, { after: "" }, timeout);
    expect(locks).toMatchObject([{ object: "@lock", brokenReason: "stuck", waiting: 0 }]);
  });

  test("are told nothing that is not on disk", async () => {
    world.disk.hold();
    first.ask([create("@list", { kind: "list" })]);
    await settle();
    let answered = false;
    const asked = world.network.call(objectsAdminListObjects, ADDRESS, { after: "" }, timeout).then((page) => {
      answered = true;
      return page;
    });
    await settle();
    expect(answered).toBe(false);
    world.disk.release();
    expect((await asked).objects).toHaveLength(1);
  });
});
