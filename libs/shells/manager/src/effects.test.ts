import { told } from "@heddle/port-metrics/contract";
import { expect, onTestFinished, test } from "vitest";
import { type Bench, nonceOf, openBench, operation, type Peer, settle } from "./testing.ts";

const LIST = "@list";

async function withJob(): Promise<{ readonly world: Bench; readonly client: Peer; readonly worker: Peer }> {
  const world = await openBench(onTestFinished);
  const client = await world.client("a");
  client.ask([
    operation("create", LIST, { values: [{ kind: "list" }] }),
    operation("effects-open", "", { values: ["job"] }),
  ]);
  const worker = await world.client("b");
  return { world, client, worker };
}

/** Each item appends its index; `outcome` is said of all. */
function commit(first: number, count: number, outcome: unknown, seq = 0) {
  const items = Array.from({ length: count }, (_, at) => first + at);
  return operation("effects-commit", "", {
    seq,
    values: ["job", ...items.map(() => outcome)],
    numbers: [first, ...items.map(() => 1)],
    operations: items.map((item, at) => operation("list-append", LIST, { seq: at + 1, values: [item] })),
  });
}

const NO_KEY = new Uint8Array();

const settled = (first: number, count: number, seq = 0) =>
  operation("effects-settled", "", { seq, values: ["job"], numbers: [first, count] });

const slice = (seq = 0) => operation("list-slice", LIST, { seq });

function metrics({ shell }: Bench): unknown {
  if (shell === undefined) throw new Error("it was not started");
  return ["jobs", "commits_total", "items_total"].map((name) => told(shell, `heddle_manager_effects_${name}`));
}

test("what items write is on disk before anybody hears that it counts, or sees it", async () => {
  const { world, client, worker } = await withJob();
  world.disk.hold();
  worker.ask([commit(0, 2, "done")]);
  await settle();
  client.ask([slice(), settled(0, 2)]);
  await settle();
  expect([worker.replied(), client.replied().length]).toEqual([[], 2]);
  world.disk.release();
  await settle();
  expect(worker.replied()).toEqual([[1, 1, 1]]);
  expect(client.replied().slice(2)).toEqual([
    [3, 0, 1],
    [4, 1, 1, "done", "done"],
  ]);
});

test.each(["kept", "lost"] as const)(
  "a commit that was under way when the manager was killed (%s by the disk) is asked again, and done once",
  async (fate) => {
    const { world, client, worker } = await withJob();
    worker.ask([commit(0, 2, "first")]);
    await settle();
    if (fate === "lost") world.disk.hold();
    worker.ask([commit(1, 2, "second")]);
    if (fate === "kept") await settle();
    await world.restart();
    world.disk.release();
    const again = await world.stream();
    again.attach(worker.session ?? 0, nonceOf("b"));
    again.ask([commit(0, 2, "first", 1), commit(1, 2, "second", 2)]);
    // by another, who knows nothing of the first
    const other = await world.client("c");
    other.ask([commit(0, 4, "third"), slice(), settled(0, 5)]);
    await settle();
    expect(again.replied()).toEqual([
      [1, 1, 1],
      [2, 0, 1, "first"],
    ]);
    expect(other.replied()).toEqual([
      [1, 0, 0, 0, 1, "first", "first", "second"],
      [2, 0, 1, 2, 3],
      [3, 1, 1, 1, 1, 0, "first", "first", "second", "third"],
    ]);
    const back = await world.stream();
    back.attach(client.session ?? 0);
    back.ask([operation("effects-close", "", { seq: 3, values: ["job"] })]);
    await settle();
    other.ask([commit(7, 1, "late")]);
    await settle();
    expect(other.replied().at(-1)).toEqual([4, "not-found"]);
  },
);

test("a large commit travels in parts, and is in a snapshot like everything else", async () => {
  const { world, worker } = await withJob();
  const outcome = "x".repeat(900_000);
  for (let first = 0; first < 60; first += 20) {
    worker.ask([commit(first, 20, outcome)]);
    await settle();
  }
  expect(worker.replied()).toEqual([1, 2, 3].map((seq) => [seq, ...Array.from({ length: 20 }, () => 1)]));
  expect(world.store.snapshots.length).toBeGreaterThan(0);
  await world.restart();
  const again = await world.stream();
  again.attach(worker.session ?? 0, nonceOf("b"));
  again.ask([settled(0, 1, 4), settled(58, 3, 5), commit(59, 2, "other", 6)]);
  again.ask([operation("list-length", LIST, { seq: 7 })]);
  await settle();
  expect(again.replied()).toEqual([
    [4, 1, outcome],
    [5, 1, 1, 0, outcome, outcome],
    [6, 0, 1, outcome],
    [7, 61],
  ]);
});

test("a job ends with the lease of whoever opened it", async () => {
  const { world, client, worker } = await withJob();
  const beats = await world.beats();
  await client.wire?.close();
  for (let ms = 0; ms < 20_000; ms += 5_000) {
    await world.clock.advance(5_000);
    await beats.beat(worker.session ?? 0, nonceOf("b"));
  }
  worker.ask([commit(0, 1, "late")]);
  await settle();
  expect(worker.replied()).toEqual([[1, "not-found"]]);
});

test("a full disk refuses what items write, and takes it once there is room", async () => {
  const { world, worker } = await withJob();
  world.disk.isFull = true;
  worker.ask([commit(0, 1, "one"), slice()]);
  await settle();
  worker.ask([settled(0, 1)]);
  await settle();
  expect(worker.replied()).toEqual([[1, "limit"], [2], [3, 0]]);
  world.disk.isFull = false;
  await world.clock.advance(5_000);
  worker.ask([commit(0, 1, "one"), slice()]);
  await settle();
  expect(worker.replied().slice(3)).toEqual([
    [4, 1],
    [5, 0],
  ]);
  expect(metrics(world)).toMatchObject([1, { done: 1, refused: 0 }, { settled: 1, again: 0 }]);
});

test("jobs, commits, conflicts and items that are answered again are counted", async () => {
  const { world, worker } = await withJob();
  const stale = { object: LIST, key: NO_KEY, revision: 1 };
  worker.ask([commit(0, 3, "one")]);
  worker.ask([commit(2, 2, "two")]);
  worker.ask([commit(0, 3, "one", 1)]);
  worker.ask([{ ...commit(9, 1, "three"), expectations: [stale] }]);
  worker.ask([{ ...commit(9, 1, "three"), operations: [operation("list-pop", LIST, { seq: 1, numbers: [99] })] }]);
  await settle();
  expect(metrics(world)).toEqual([1, { done: 2, conflict: 1, refused: 1 }, { settled: 4, again: 1 }]);
  worker.ask([operation("effects-close", "", { values: ["job"] })]);
  await settle();
  expect(metrics(world)).toMatchObject([0, { done: 2 }, { settled: 4 }]);
});

/** Two workers have run some of the same items, and both say so. */
const story: readonly { readonly by: string; readonly operation: ReturnType<typeof commit> }[] = [
  { by: "b", operation: commit(0, 2, "by b") },
  { by: "c", operation: commit(1, 3, "by c") },
  { by: "c", operation: { ...commit(4, 1, "by c"), expectations: [{ object: LIST, key: NO_KEY, revision: 1 }] } },
  { by: "b", operation: commit(0, 5, "by b, who was slow") },
  { by: "c", operation: commit(1, 3, "by c, again") },
  { by: "b", operation: settled(0, 6) },
  { by: "c", operation: slice() },
];

/** What is replied at each step. `kill`: at which the manager is killed, when the disk has lost or kept what was asked, or its reply is on its way. */
async function tellStory(kill?: { readonly at: number; readonly fate: "lost" | "kept" | "said" }): Promise<unknown[]> {
  const { world, worker } = await withJob();
  const peers = new Map([
    ["b", worker],
    ["c", await world.client("c")],
  ]);
  const heard: unknown[] = [];
  for (const [at, { by, operation: asked }] of story.entries()) {
    const isWrite = at < 5;
    if (kill?.at === at && kill.fate !== "said") world.disk.failNext(`failed-${kill.fate}`);
    peers.get(by)?.ask([{ ...asked, seq: at + 1 }]);
    await settle();
    if (kill?.at === at) {
      expect(peers.get(by)?.reply(at + 1) !== undefined).toBe(kill.fate === "said" || !isWrite);
      await world.restart();
      for (const [name, peer] of peers) peers.set(name, await attached(world, peer, name));
      peers.get(by)?.ask([{ ...asked, seq: at + 1 }]);
      await settle();
    }
    heard.push(peers.get(by)?.replied().at(-1));
  }
  return heard;
}

async function attached(world: Bench, { session = 0 }: Peer, name: string): Promise<Peer> {
  const peer = await world.stream();
  peer.attach(session, nonceOf(name));
  return peer;
}

test("a manager that is killed at any step makes no other story of it", async () => {
  const told = await tellStory();
  expect(told).toEqual([
    [1, 1, 1],
    [2, 0, 1, 1, "by b"],
    [3, "conflict"],
    [4, 0, 0, 0, 0, 1, "by b", "by b", "by c", "by c"],
    [5, 0, 0, 0, "by b", "by c", "by c"],
    [6, 1, 1, 1, 1, 1, 0, "by b", "by b", "by c", "by c", "by b, who was slow"],
    [7, 0, 1, 2, 3, 4],
  ]);
  for (const at of story.keys())
    for (const fate of ["lost", "kept", "said"] as const)
      expect(await tellStory({ at, fate }), `${fate} at step ${at}`).toEqual(told);
});
