import type { Verb } from "@heddle/wire";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { PROBE_PAUSE_MS } from "./limits.ts";
import { type Bench, nonceOf, openBench, operation, type Peer, settle } from "./testing.ts";

const LIST = "@list";
const append = (value: unknown) => operation("list-append", LIST, { values: [value] });

describe("a manager whose disk is full", () => {
  let world: Bench;
  let client: Peer;

  beforeEach(async () => {
    world = await openBench(onTestFinished);
    client = await world.client("a");
    client.ask([operation("create", LIST, { values: [{ kind: "list" }] }), append(1)]);
    await settle();
  });

  async function fill(): Promise<void> {
    world.disk.isFull = true;
    client.ask([append(2)]);
    await settle();
  }

  test("refuses what it cannot keep, in words, and answers reads from what it kept", async () => {
    world.disk.hold();
    world.disk.isFull = true;
    client.ask([append(2), operation("list-slice", LIST), append(3)]);
    await settle();
    world.disk.release();
    await settle();
    expect(client.replied().slice(2)).toEqual([
      [3, "limit"],
      [5, "limit"],
      [4, 1],
    ]);
    const { error } = client.reply(3) ?? {};
    expect([error?.limitName, error?.message]).toEqual(["DISK_SPACE", expect.stringContaining("reads go on")]);
    client.ask([append(4), operation("list-length", LIST)]);
    await settle();
    expect(client.replied().slice(5)).toEqual([
      [6, "limit"],
      [7, 1],
    ]);
  });

  test("takes writes again once there is room, and what it refused was never done", async () => {
    await fill();
    await world.clock.advance(PROBE_PAUSE_MS + 1);
    client.ask([append(3)]);
    await settle();
    expect(client.replied().at(-1)).toEqual([4, "limit"]);
    world.disk.isFull = false;
    await world.clock.advance(PROBE_PAUSE_MS + 1);
    client.ask([append(4), operation("list-slice", LIST)]);
    await settle();
    expect(client.replied().slice(-2)).toEqual([[5], [6, 1, 4]]);
    await world.restart();
    const again = await world.stream();
    again.attach(client.session ?? 0);
    again.ask([operation("list-slice", LIST, { seq: 7 })]);
    await settle();
    expect(again.replied()).toEqual([[7, 1, 4]]);
  });

  test("answers what was done before as it was, when it is asked for again", async () => {
    client.ask([operation("create", "@q", { values: [{ kind: "queue" }] })]);
    client.ask([operation("queue-get", "@q", { numbers: [1] })], { owner: 1 });
    await settle();
    await fill();
    world.network.cut("manager");
    const again = await world.stream();
    again.attach(client.session ?? 0);
    again.ask([operation("list-append", LIST, { seq: 2, values: [1] }), operation("list-append", LIST, { seq: 4 })]);
    again.ask([operation("queue-get", "@q", { seq: 1, numbers: [1] })], { owner: 1 });
    await settle();
    expect(again.replied()).toEqual([[2], [4, "limit"]]);
    expect(again.replied(1)).toEqual([]);
  });

  test("keeps those waiting who read, even those whom a lost write had answered", async () => {
    client.ask([operation("create", "@go", { values: [{ kind: "event" }] })]);
    await settle();
    const reader = await world.client("b");
    reader.ask([operation("event-wait", "@go", { numbers: [1] })]);
    await settle();
    world.disk.isFull = true;
    client.ask([operation("event-set", "@go")]);
    await settle();
    expect(reader.replied()).toEqual([]);
    world.disk.isFull = false;
    await world.clock.advance(PROBE_PAUSE_MS + 1);
    client.ask([operation("event-set", "@go")]);
    await settle();
    expect(reader.replied()).toEqual([[1]]);
  });

  test("keeps leases as they are, ends no session, and opens none", async () => {
    const other = await world.client("b", 4_000);
    await fill();
    const late = await world.client("c");
    expect(late.end).toMatchObject({ reason: "goodbye", goodbye: { code: "limit" } });
    await world.clock.advance(10_000);
    const beats = await world.beats();
    expect((await beats.beat(other.session ?? 0, nonceOf("b")))?.alive).toBe(true);
    world.disk.isFull = false;
    await world.clock.advance(PROBE_PAUSE_MS + 1);
    await world.clock.advance(5_000);
    expect((await beats.beat(other.session ?? 0, nonceOf("b")))?.alive).toBe(false);
  });

  test("ends later whom it could not end then", async () => {
    client.ask([operation("create", "@lock", { values: [{ kind: "lock" }] })]);
    const other = await world.client("b");
    other.ask([operation("lock-acquire", "@lock", { numbers: [1] })]);
    await settle();
    await fill();
    other.say({ $case: "closeSession", value: {} });
    await settle();
    expect(other.ended).toBeUndefined();
    world.disk.isFull = false;
    await world.clock.advance(PROBE_PAUSE_MS + 1);
    expect(other.ended).toBe("closed");
    client.ask([operation("lock-acquire", "@lock", { numbers: [0] })]);
    await settle();
    expect(client.replied().at(-1)).toHaveLength(2);
  });

  test("forgets the replies that were acknowledged with what it refused, once there is room", async () => {
    const count = 1_000;
    client.ask(
      Array.from({ length: count }, (_, at) => append(at)),
      { acknowledged: [1, 2] },
    );
    await settle();
    world.disk.isFull = true;
    client.ask([append("lost")], { acknowledged: [3, count / 2] });
    await settle();
    client.ask([append("refused")], { acknowledged: [3 + count / 2, count / 2] });
    await settle();
    world.disk.isFull = false;
    await world.clock.advance(PROBE_PAUSE_MS + 1);
    client.ask(Array.from({ length: 1_024 }, (_, at) => append(at)));
    await settle();
    expect(client.replies.slice(-1_024).filter(({ reply }) => reply.error !== undefined)).toEqual([]);
  });

  test("loses no answer that waited for what then found no room", async () => {
    const other = await world.client("b");
    world.disk.hold();
    world.disk.isFull = true;
    client.ask([append(2)]);
    await settle();
    const again = await world.stream();
    again.attach(other.session ?? 0, nonceOf("b"));
    again.ask([operation("list-length", LIST, { seq: 1 })]);
    client.ask([{ ...append(3), verb: 9_999 as Verb }]);
    const lost = await world.stream();
    lost.attach(999_999, nonceOf("c"));
    await settle();
    world.disk.release();
    await settle();
    expect([again.session, again.replied()]).toEqual([other.session, [[1, 1]]]);
    expect(client.replied().slice(2)).toEqual([[3, "limit"], expect.arrayContaining([4])]);
    expect(lost.end).toMatchObject({ reason: "goodbye", goodbye: { code: "unavailable" } });
  });

  test("that was just opening a session refuses it", async () => {
    world.disk.isFull = true;
    const late = await world.client("c");
    await settle();
    expect(late.session).toBeUndefined();
    expect(late.end).toMatchObject({ reason: "goodbye", goodbye: { code: "limit" } });
  });
});
