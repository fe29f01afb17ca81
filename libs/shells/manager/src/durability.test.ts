import { describe, expect, onTestFinished, test } from "vitest";
import { type Bench, openBench, operation, type Peer, settle } from "./testing.ts";

const LIST = "@list";

async function bench(): Promise<{ readonly world: Bench; readonly client: Peer }> {
  const world = await openBench(onTestFinished);
  const client = await world.client("a");
  client.ask([operation("create", LIST, { values: [{ kind: "list" }] })]);
  await settle();
  return { world, client };
}

const append = (value: unknown) => operation("list-append", LIST, { values: [value] });

describe("what the manager says", () => {
  test("is on disk: no reply leaves before, nor that of a read which may have seen what is not", async () => {
    const { world, client } = await bench();
    const reader = await world.client("b");
    world.disk.hold();
    client.ask([append(1)]);
    await settle();
    reader.ask([operation("list-slice", LIST)]);
    await settle();
    expect([client.replied().length, reader.replied().length]).toEqual([1, 0]);
    world.disk.release();
    await settle();
    expect(client.replied().at(-1)).toEqual([2]);
    expect(reader.replied()).toEqual([[1, 1]]);
  });

  test("of grants and opened sessions waits for the disk likewise", async () => {
    const { world, client } = await bench();
    client.ask([operation("create", "@lock", { values: [{ kind: "lock" }] })]);
    await settle();
    world.disk.hold();
    client.ask([operation("lock-acquire", "@lock", { numbers: [1] })]);
    const other = await world.client("b");
    expect([client.replied().length, other.session]).toEqual([2, undefined]);
    world.disk.release();
    await settle();
    expect([client.replied().length, typeof other.session]).toEqual([3, "number"]);
  });

  test("waits for nothing when nothing is under way", async () => {
    const { world, client } = await bench();
    world.disk.hold();
    client.ask([operation("list-length", LIST)]);
    await settle();
    expect(client.replied().at(-1)).toEqual([2, 0]);
  });

  test("costs one write for all that came while another was under way", async () => {
    const { world, client } = await bench();
    const others = [await world.client("b"), await world.client("c")];
    const before = world.disk.asked.length;
    world.disk.hold();
    client.ask([append(0)]);
    await settle();
    for (const each of [client, ...others]) each.ask([append(1), append(2)]);
    await settle();
    world.disk.release();
    await settle();
    expect(world.disk.asked.length - before).toBe(2);
    client.ask([operation("list-length", LIST)]);
    await settle();
    expect(client.replied().at(-1)).toEqual([5, 7]);
  });

  test("no more is read from streams than may gather before the disk has it", async () => {
    const { world, client } = await bench();
    world.disk.hold();
    const large = "x".repeat(100_000);
    for (let at = 0; at < 400; at++) client.ask([append(large)]);
    await settle();
    await settle();
    expect(client.wire?.queuedBytes).toBeGreaterThan(15_000_000);
    world.disk.release();
    for (let turns = 0; turns < 20; turns++) await settle();
    expect(client.replied()).toHaveLength(401);
  });
});

describe("a manager that is killed and started again", () => {
  test("has every acknowledged write once, and does once what is asked again", async () => {
    const { world, client } = await bench();
    client.ask([append(1), append(2)]);
    await settle();
    world.disk.hold();
    client.ask([append(3)]);
    await settle();
    await world.restart();
    world.disk.release();
    const again = await world.stream();
    again.attach(client.session ?? 0);
    again.ask([
      operation("list-append", LIST, { seq: 3, values: [2] }),
      operation("list-append", LIST, { seq: 4, values: [3] }),
    ]);
    again.ask([operation("list-slice", LIST, { seq: 5 })]);
    await settle();
    expect(again.session).toBe(client.session);
    expect(again.replied()).toEqual([[3], [4], [5, 1, 2, 3]]);
  });

  test("keeps the holder of a lock, its token, and the order of those who wait", async () => {
    const { world, client: first } = await bench();
    const acquire = operation("lock-acquire", "@lock", { numbers: [1] });
    first.ask([operation("create", "@lock", { values: [{ kind: "lock" }] }), acquire]);
    await settle();
    const token = first.reply(3)?.numbers[0] ?? 0;
    const others = [await world.client("b"), await world.client("c")];
    for (const other of others) {
      other.ask([acquire]);
      await settle();
    }
    await world.restart();
    const back: Peer[] = [];
    for (const [at, { session }] of [first, ...others].entries()) {
      const peer = await world.stream();
      peer.attach(session ?? 0, ["a", "b", "c"][at]?.repeat(32));
      back.push(peer);
      await settle();
    }
    const [again, second, third] = back;
    again?.ask([operation("lock-state", "@lock", { seq: 4 })]);
    await settle();
    expect(again?.replied()).toEqual([[4, 1, token]]);
    again?.ask([operation("lock-release", "@lock", { seq: 5, numbers: [token] })]);
    await settle();
    expect(third?.replied()).toEqual([]);
    const granted = second?.reply(1)?.numbers[0] ?? 0;
    expect(granted).toBeGreaterThan(token);
    second?.ask([operation("lock-release", "@lock", { seq: 2, numbers: [granted] })]);
    await settle();
    expect(third?.reply(1)?.numbers[0]).toBeGreaterThan(granted);
  });

  test("begins with its newest snapshot, taken while writes went on", async () => {
    const { world, client } = await bench();
    const large = "x".repeat(4_000_000);
    for (let at = 0; at < 8; at++) {
      client.ask([operation("create", `@value${at}`, { values: [{ kind: "list" }, large] })]);
      client.ask([append(at)]);
      await settle();
    }
    expect(world.store.snapshots.length).toBeGreaterThan(0);
    await world.restart();
    const again = await world.stream();
    again.attach(client.session ?? 0);
    again.ask([operation("list-slice", LIST, { seq: 100 }), operation("list-length", "@value7", { seq: 101 })]);
    await settle();
    expect(again.replied()).toEqual([
      [100, 0, 1, 2, 3, 4, 5, 6, 7],
      [101, 1],
    ]);
  });
});

describe("a manager whose disk fails", () => {
  test.each(["failed-kept", "failed-lost"] as const)("answers nothing more, and says so (%s)", async (outcome) => {
    const { world, client } = await bench();
    world.disk.failNext(outcome);
    client.ask([append(1)]);
    await settle();
    client.ask([operation("list-length", LIST)]);
    const beats = await world.beats();
    expect(await beats.beat(client.session ?? 0)).toBeUndefined();
    expect(client.replied()).toHaveLength(1);
    expect(world.failures.map(({ name }) => name)).toEqual(["JournalFailedError"]);
  });
});

test("a manager that stops brings what is under way to the disk, says goodbye, and opens no new sessions", async () => {
  const { world, client } = await bench();
  world.disk.hold();
  client.ask([append(1)]);
  await settle();
  const stopped = world.shell?.stop(1_000);
  const late = await world.client("z");
  world.disk.release();
  await settle();
  await stopped;
  expect(client.replied().at(-1)).toEqual([2]);
  expect(client.end).toMatchObject({ reason: "goodbye", goodbye: { code: "unavailable" } });
  expect(late.session).toBeUndefined();
});
