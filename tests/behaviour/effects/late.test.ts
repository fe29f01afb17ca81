import { openScope } from "@heddle/adapter-processes";
import { EffectsJobs, type Flow, Flows, KINDS, ObjectsHome, OnceEffects } from "@heddle/client";
import { NotFoundError } from "@heddle/kernel";
import { decodeValue, encodeValue } from "@heddle/wire";
import { Dict, List, SessionLostError } from "heddle";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { type ObjectsClient, ObjectsWorld } from "../../harness/objects-world.ts";

const OBJECTS = { dict: "0".repeat(31).concat("d"), list: "0".repeat(31).concat("e") };
const bytesOf = (value: string): Uint8Array => encodeValue(value, "result");
const text = (outcomes: readonly Uint8Array[]): unknown[] => outcomes.map((bytes) => decodeValue(bytes));

/** A worker, as far as writes that count once are concerned. */
class Worker {
  readonly effects: OnceEffects;
  readonly home: ObjectsHome;

  constructor({ session }: ObjectsClient, { env }: ObjectsWorld) {
    const flows = new Flows({ openScope: () => openScope<Flow>(), attempt: () => undefined });
    const keepAlive = (): Disposable => ({ [Symbol.dispose]: () => undefined });
    this.effects = new OnceEffects({ home: () => this.home, openScope });
    this.home = new ObjectsHome({
      channel: () => session,
      env,
      kinds: KINDS,
      keepAlive,
      flows,
      effects: this.effects.own,
    });
  }

  get dict(): Dict<string, number | string> {
    return new Dict(this.home, { kind: "dict", object: OBJECTS.dict });
  }

  get list(): List<string> {
    return new List(this.home, { kind: "list", object: OBJECTS.list });
  }

  /** Runs an item, whose writes do not count yet. */
  async ran(item: () => Promise<unknown>) {
    const collected = this.effects.collect("job");
    await collected.run(item);
    await collected.close();
    return collected;
  }
}

let world: ObjectsWorld;
let client: ObjectsClient;
let jobs: EffectsJobs;
/** That of worker a. */
let node: ObjectsClient;
let [a, b]: Worker[] = [];
let lost: Error | undefined;

beforeEach(async () => {
  world = await ObjectsWorld.open();
  onTestFinished(() => world[Symbol.asyncDispose]());
  client = await world.client("program");
  const { home } = client.fabric;
  await home.live({ verb: "create", object: OBJECTS.dict, values: [home.encode({ kind: "dict" })] }, ignore);
  await home.live({ verb: "create", object: OBJECTS.list, values: [home.encode({ kind: "list" })] }, ignore);
  jobs = new EffectsJobs(() => home);
  lost = undefined;
  await jobs.open("job", (error) => {
    lost = error;
  });
  node = await world.client("a");
  a = new Worker(node, world);
  b = new Worker(await world.client("b"), world);
});

const ignore = (): void => undefined;

/** Both workers. */
function workers(): readonly [Worker, Worker] {
  if (a === undefined || b === undefined) throw new TypeError("there are no workers");
  return [a, b];
}

test("T03: an attempt that commits late, with another payload, hears what the winner came to, and its writes are dropped", async () => {
  const [late, winner] = workers();
  const item = (worker: Worker, mark: string) => async (): Promise<void> => {
    await worker.dict.set("by", mark);
    await worker.list.append(mark);
  };
  const [slow, quick] = [await late.ran(item(late, "late")), await winner.ran(item(winner, "winner"))];
  expect(await quick.commit(4, [bytesOf("winner's")])).toMatchObject({ end: { type: "all" } });
  const told = await slow.commit(4, [bytesOf("late one's")]);
  expect([text(told.outcomes), told.end]).toEqual([["winner's"], { type: "all" }]);
  expect(await late.dict.entries()).toEqual([["by", "winner"]]);
  expect(await late.list.toArray()).toEqual(["winner"]);
  expect((await late.effects.settled("job", 3, 3)).map((bytes) => bytes && decodeValue(bytes))).toEqual([
    undefined,
    "winner's",
    undefined,
  ]);
});

test("nothing is seen of what an item writes before it counts, but by itself; then all of it at once", async () => {
  const [one, other] = workers();
  const seen: unknown[] = [];
  const collected = await one.ran(async () => {
    await one.dict.set("x", 1);
    seen.push(await one.dict.increment("x"), await one.dict.get("x"), await one.dict.size());
  });
  expect([seen, await other.dict.size()]).toEqual([[2, 2, 1], 0]);
  const changes = other.dict.watch();
  await collected.commit(0, [bytesOf("done")]);
  expect(await other.dict.get("x")).toBe(2);
  await changes.return();
});

test("of two that read and write one key the second meets a conflict, and writes nothing", async () => {
  const [one, other] = workers();
  const add = (worker: Worker) => () => worker.dict.modify("sum", (sum) => Number(sum ?? 0) + 1);
  const [first, second] = [await one.ran(add(one)), await other.ran(add(other))];
  expect(await first.commit(0, [bytesOf("0")])).toMatchObject({ end: { type: "all" } });
  expect(await second.commit(1, [bytesOf("1")])).toMatchObject({ outcomes: [], end: { type: "conflict" } });
  expect(await one.dict.get("sum")).toBe(1);
});

test("of two that only add, append and set, neither meets a conflict", async () => {
  const [one, other] = workers();
  const add = (worker: Worker, name: string) => async (): Promise<void> => {
    await worker.dict.increment("sum");
    await worker.list.append(name);
    await worker.dict.set(name, name);
  };
  const [first, second] = [await one.ran(add(one, "one")), await other.ran(add(other, "other"))];
  for (const [index, collected] of [first, second].entries())
    expect(await collected.commit(index, [bytesOf("done")])).toMatchObject({ end: { type: "all" } });
  expect(await one.dict.get("sum")).toBe(2);
  expect(await one.list.toArray()).toEqual(["one", "other"]);
});

test("an item that is written off does not come to count, and one that counts is not written off", async () => {
  const [one] = workers();
  const early = await one.ran(() => one.dict.set("early", 1));
  await early.commit(0, [bytesOf("early")]);
  expect(text([(await jobs.writeOff("job", 0)) ?? bytesOf("nothing")])).toEqual(["early"]);
  const zombie = await one.ran(() => one.dict.set("late", 1));
  expect(await jobs.writeOff("job", 1)).toBeUndefined();
  expect(await jobs.writeOff("job", 1)).toBeUndefined();
  expect((await zombie.commit(1, [bytesOf("late")])).outcomes).toEqual([new Uint8Array()]);
  expect(await one.dict.keys()).toEqual(["early"]);
});

test("a commit of several items of which another run has settled one is made for none of them", async () => {
  const [one, other] = workers();
  const chunk = one.effects.collect("job");
  for (const mark of ["0", "1"]) {
    await chunk.run(() => one.list.append(mark));
    await chunk.close();
  }
  await (await other.ran(() => other.list.append("other 0"))).commit(0, [bytesOf("other 0")]);
  expect(await chunk.commit(0, [bytesOf("0"), bytesOf("1")])).toMatchObject({
    outcomes: [],
    end: { type: "conflict" },
  });
  expect(await one.list.toArray()).toEqual(["other 0"]);
});

test("a node whose session was lost meanwhile makes what it collected count in its next one, and asks there what it has to know", async () => {
  const [one, other] = workers();
  await one.dict.set("sum", 1);
  const collected = await one.ran(() => one.dict.increment("sum"));
  node.cutOff();
  await world.clock.advance(40_000);
  const next = other.dict.set("seen", 1); // others go on
  node.reconnect();
  const [committed, known] = [collected.commit(0, [bytesOf("done")]), one.effects.settled("job", 1, 1)];
  await world.clock.advance(20_000);
  await next;
  expect(await committed).toMatchObject({ end: { type: "all" } });
  expect(await known).toEqual([undefined]);
  expect(await other.dict.entries()).toEqual([
    ["sum", 2],
    ["seen", 1],
  ]);
});

test("once the program's session is over the call is told, and what its items write counts no more", async () => {
  const [one] = workers();
  const collected = await one.ran(() => one.dict.set("x", 1));
  client.cutOff();
  await world.clock.advance(40_000);
  client.reconnect();
  await world.clock.advance(10_000);
  expect(lost).toBeInstanceOf(SessionLostError);
  const { end } = await collected.commit(0, [bytesOf("x")]);
  expect(end).toMatchObject({ type: "error", error: expect.any(NotFoundError) });
  expect(end).toMatchObject({ error: { message: expect.stringContaining("job job is over") } });
});
