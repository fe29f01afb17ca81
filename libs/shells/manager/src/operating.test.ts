import { decodeValue, encodeValue, type Verb } from "@heddle/wire";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Bench, openBench, operation, type Peer, settle } from "./testing.ts";

const LIST = "1".repeat(32);
const DICT = "@settings";

async function bench(): Promise<Bench> {
  return openBench(onTestFinished);
}

async function withList(world: Bench): Promise<Peer> {
  const client = await world.client("a");
  client.ask([operation("create", LIST, { values: [{ kind: "list" }] })]);
  await settle();
  return client;
}

describe("a stream to the manager", () => {
  test("has its operations done in order, and each answered once", async () => {
    const client = await withList(await bench());
    client.ask([
      operation("list-append", LIST, { values: ["x"] }),
      operation("list-length", LIST),
      operation("list-append", LIST, { values: ["y"] }),
      operation("list-slice", LIST),
    ]);
    await settle();
    expect(client.replied()).toEqual([[1, 1], [2], [3, 1], [4], [5, "x", "y"]]);
  });

  test("may ask before it hears that its session is open", async () => {
    const client = await (await bench()).stream();
    client.open("a".repeat(32));
    client.ask([operation("create", DICT, { values: [{ kind: "dict" }] })]);
    await settle();
    expect(client.heard.map(({ $case }) => $case)).toEqual(["sessionOpened", "replies"]);
  });

  test("hears the replies of one turn in one entry for each owner", async () => {
    const client = await withList(await bench());
    const before = client.heard.length;
    const append = operation("list-append", LIST, { values: [1] });
    client.ask([append, append]);
    client.ask([append], { owner: 7 });
    client.ask([append]);
    await settle();
    expect(client.heard.length - before).toBe(2);
    expect([client.replied(7), client.replied().slice(1)]).toEqual([[[1]], [[2], [3], [4]]]);
  });

  test("carries operations and replies of any size", async () => {
    const client = await withList(await bench());
    const large = "z".repeat(700_000);
    client.ask([operation("list-append", LIST, { values: [large] })]);
    client.ask([operation("list-at", LIST, { numbers: [0] }), operation("list-length", LIST)]);
    await settle();
    expect(decodeValue(client.reply(3)?.values[0] ?? new Uint8Array(0))).toBe(large);
    expect(client.replied().at(-1)).toEqual([4, 1]);
  });

  test("that knows an operation which this build does not is told so, and goes on", async () => {
    const client = await withList(await bench());
    const unknown = { ...operation("list-append", LIST), verb: 9_999 as Verb };
    client.ask([operation("list-append", LIST, { values: [1] }), unknown, operation("list-length", LIST)]);
    await settle();
    expect(client.replied().slice(1)).toEqual([[2], [3, "protocol"], [4, 1]]);
    expect(client.reply(3)?.error?.message).toContain("9999");
    client.ask([operation("transaction", LIST, { operations: [unknown] })]);
    await settle();
    expect(client.reply(5)?.error?.message).toContain("9999");
  });

  test("that names an object in 10 MB is refused, and goes on", async () => {
    const client = await withList(await bench());
    client.ask([operation("create", `@${"n".repeat(10_000_000)}`, { values: [{ kind: "list" }] })]);
    client.ask([operation("list-length", LIST)]);
    await settle();
    expect(client.replied().slice(1)).toEqual([
      [2, "limit"],
      [3, 0],
    ]);
    expect(client.reply(2)?.error?.limitName).toBe("NAME_BYTES_MAX");
  });

  test("that waits for an event is answered when another one sets it", async () => {
    const world = await bench();
    const [first, second] = [await world.client("a"), await world.client("b")];
    first.ask([operation("create", "@go", { values: [{ kind: "event" }] })]);
    first.ask([operation("event-wait", "@go", { numbers: [1] })]);
    await settle();
    expect(first.replied()).toEqual([[1, 1]]);
    second.ask([operation("event-set", "@go")]);
    await settle();
    expect(first.replied()).toEqual([[1, 1], [2]]);
  });

  test.each<[string, (client: Peer) => void, string]>([
    ["asks before it has a session", (client) => client.ask([operation("list-length", LIST)]), "open or attach"],
    ["has a nonce that is none", (client) => client.open("zz"), "32 hex digits"],
    [
      "repeats a number",
      (client) => {
        client.open("c".repeat(32));
        client.ask([operation("list-length", LIST, { seq: 3 }), operation("list-length", LIST, { seq: 3 })]);
      },
      "numbers must grow",
    ],
    [
      "sends what are no operations",
      (client) => {
        client.open("c".repeat(32));
        const batch = { encoding: 0, count: 1, size: 2, data: Uint8Array.of(255, 255), partStream: 0 } as const;
        client.say({ $case: "operations", value: { owner: 0, batch, acknowledged: [] } }, 2);
      },
      "batch of operations",
    ],
    [
      "announces more than there can be",
      (client) => {
        client.open("c".repeat(32));
        const batch = { encoding: 0, count: 1, size: 2 ** 31, data: new Uint8Array(0), partStream: 1 } as const;
        client.say({ $case: "operations", value: { owner: 0, batch, acknowledged: [] } }, 2);
      },
      "OPERATIONS_BYTES_MAX",
    ],
  ])("that %s is ended in words, and no other", async (_what, offend, words) => {
    const world = await bench();
    const [good, bad] = [await withList(world), await world.stream()];
    offend(bad);
    await settle();
    const goodbye = bad.end?.reason === "goodbye" ? bad.end.goodbye : undefined;
    expect(goodbye?.code).toBe("protocol");
    expect(goodbye?.message).toContain(words);
    good.ask([operation("list-length", LIST)]);
    await settle();
    expect(good.replied().at(-1)).toEqual([2, 0]);
  });
});

describe("a session at the manager", () => {
  test("goes on on the newest stream that attaches it; the older one is told", async () => {
    const world = await bench();
    const older = await withList(world);
    const newer = await world.stream();
    newer.attach(older.session ?? 0);
    await settle();
    expect(newer.session).toBe(older.session);
    expect(older.end).toMatchObject({ reason: "goodbye", goodbye: { code: "conflict" } });
    newer.ask([operation("list-length", LIST, { seq: 2 })]);
    await settle();
    expect(newer.replied()).toEqual([[2, 0]]);
  });

  test("is opened once for each nonce", async () => {
    const world = await bench();
    const [first, second] = [await world.client("a"), await world.client("a")];
    expect(second.session).toBe(first.session);
    expect((await world.client("b")).session).not.toBe(first.session);
  });

  test("that nobody knows is answered as unknown, and the stream can open a new one", async () => {
    const client = await (await bench()).stream();
    client.attach(77);
    client.ask([operation("list-length", LIST)]);
    await settle();
    expect(client.ended).toBe("unknown");
    client.open("d".repeat(32));
    await settle();
    expect(client.session).toBeGreaterThan(0);
    expect(client.replied()).toEqual([]);
  });

  test("that is closed ends, with its anonymous objects and those who wait on them", async () => {
    const world = await bench();
    const [first, second] = [await world.client("a"), await world.client("b")];
    first.ask([operation("create", LIST, { values: [{ kind: "queue" }] })]);
    await settle();
    second.ask([operation("queue-get", LIST, { numbers: [1] })]);
    await settle();
    first.say({ $case: "closeSession", value: {} });
    await settle();
    expect(first.ended).toBe("closed");
    expect(second.replied()).toEqual([[1, "not-found"]]);
  });

  test("whose owner is closed has that owner's locks free at once, and its others not", async () => {
    const world = await bench();
    const client = await world.client("a");
    client.ask([operation("create", "@lock", { values: [{ kind: "lock" }] })]);
    client.ask([operation("lock-acquire", "@lock", { numbers: [1] })], { owner: 1 });
    client.ask([operation("lock-acquire", "@lock", { numbers: [1] })], { owner: 2 });
    await settle();
    expect([client.replied(1).length, client.replied(2).length]).toEqual([1, 0]);
    client.say({ $case: "closeOwner", value: { owner: 1 } });
    await settle();
    expect(client.replied(2)).toHaveLength(1);
  });

  test("keeps what it asked for exactly once when it asks again on another stream", async () => {
    const world = await bench();
    const first = await withList(world);
    first.ask([operation("list-append", LIST, { values: [1] })]);
    await settle();
    world.network.cut("manager");
    const second = await world.stream();
    second.attach(first.session ?? 0);
    second.ask([
      operation("list-append", LIST, { seq: 2, values: [1] }),
      operation("list-append", LIST, { seq: 3, values: [2] }),
    ]);
    second.ask([operation("list-slice", LIST, { seq: 4 })]);
    await settle();
    expect(second.replied()).toEqual([[2], [3], [4, 1, 2]]);
  });
});

test("values are bytes that nobody changes on the way", async () => {
  const client = await withList(await bench());
  const odd = encodeValue(new Map([[-0, [1n, undefined]]]), "value");
  const bytes = Uint8Array.from(odd);
  client.ask([{ ...operation("list-append", LIST), values: [bytes] }, operation("list-at", LIST, { numbers: [0] })]);
  await settle();
  expect(Uint8Array.from(client.reply(3)?.values[0] ?? [])).toEqual(bytes);
});
