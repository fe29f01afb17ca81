import { MemoryJobs } from "@heddle/port-job-store";
import { JobOutcome } from "@heddle/wire";
import { describe, expect, onTestFinished, test } from "vitest";
import { attach, ID, keeper, Lives, offerAll, openKept, seal, submit, told, work } from "./kept-testing.ts";
import { Bench, finish, inline, settle } from "./testing.ts";

/** Chunks of 1, 2 and 3 items. */
const COUNTS = [1, 2, 3];
const ALL = ["0: 0", "1: 10", "2: 20", "3: 30", "4: 40", "5: 50"];

/** Each item's answer of what was told, however it came, in the order in which it came. */
function items(lines: readonly string[]): string[] {
  return lines.flatMap((line) => {
    const [, first = "", values = ""] = /^\d+ (\d+)\+\d+: (.*)$/.exec(line) ?? [];
    return first === "" ? [] : values.split(",").map((value, at) => `${Number(first) + at}: ${value}`);
  });
}

/** A disk whose nth write, and each after it, never ends. */
function diskUntil(writes: number): MemoryJobs {
  let made = 0;
  return new MemoryJobs(() => (made++ < writes ? "kept" : new Promise(() => undefined)));
}

describe("a coordinator that is killed at any of its writes, and started again", () => {
  test.each(Array.from({ length: 14 }, (_, writes) => writes))("after %i writes", async (writes) => {
    const disk = diskUntil(writes);
    const lives = new Lives(onTestFinished, disk);
    const first = await lives.next();
    const node = await first.node("n1", 8, { slots: 2 });
    const client = await keeper(first);
    openKept(client, 1);
    await settle();
    for (const chunk of COUNTS.keys()) {
      offerAll(client, 1, COUNTS.slice(0, chunk + 1), chunk);
      await settle();
    }
    seal(client, 1, 3);
    await work(node);
    const told1 = told(client);
    const heard = await first.client();
    attach(heard, 1);
    await work(node);
    const before = items(told(heard));

    const healed = new Lives(onTestFinished, healedCopy(disk));
    const later = await healed.next();
    const again = await keeper(later);
    openKept(again, 2, {}, { jobId: "job-1" });
    await settle();
    const [word] = again.said("jobKept");
    if (word?.digest === "") {
      expect(word.chunks).toBeGreaterThanOrEqual(told1.includes("1 kept 3") ? 3 : told1.includes("1 kept 2") ? 2 : 0);
      offerAll(again, 2, COUNTS, word.chunks);
      seal(again, 2, 3);
      await settle();
    } else expect(word).toMatchObject({ chunks: 3 });
    attach(again, 3, "job-1");
    const listener = await later.client();
    const settled = before.map((line) => ({ firstIndex: Number.parseInt(line, 10), count: 1 }));
    attach(
      listener,
      4,
      "job-1",
      settled.sort((one, other) => one.firstIndex - other.firstIndex),
    );
    const node2 = await later.node("n1", 8, { slots: 2 });
    await work(node2);
    const run = node2.said("assignChunk").reduce((sum, { span, input }) => sum + (span?.count ?? input?.count ?? 0), 0);
    expect(run).toBeLessThanOrEqual(6 - before.length);
    expect(items(told(again)).sort()).toEqual(ALL);
    expect([...before, ...items(told(listener))].sort()).toEqual(ALL);
    expect(again.said("jobEnded").map(({ job, outcome }) => [job, outcome])).toEqual([[3, JobOutcome.DONE]]);
    expect(listener.said("jobEnded")).toMatchObject([{ outcome: JobOutcome.DONE }]);
  });

  test("has all of them in a whole run: there are no more writes than were tried", async () => {
    let writes = 0;
    const bench = await new Lives(onTestFinished, new MemoryJobs(() => (++writes > 0 ? "kept" : "full"))).next();
    const node = await bench.node("n1", 8, { slots: 2 });
    const client = await keeper(bench);
    await submit(client, 1, COUNTS);
    await work(node);
    expect(writes).toBeLessThan(14);
  });
});

/** What is on a disk, on one that works. `otherCode`: instead of what is there. */
function healedCopy(disk: MemoryJobs, otherCode?: Uint8Array): MemoryJobs {
  const copy = new MemoryJobs();
  for (const { id, spec, note, chunks, answers, code } of disk.recovered().jobs) {
    copy.apply({ type: "job-added", job: id, spec });
    for (const hash of code)
      copy.apply({
        type: "code-added",
        job: id,
        hash,
        bytes: otherCode ?? bytesOf(disk.find({ type: "code", job: id, hash })),
      });
    for (const { number, about } of chunks) {
      const input = bytesOf(disk.find({ type: "input", job: id, chunk: number }));
      copy.apply({ type: "chunk-added", job: id, chunk: number, about, input });
    }
    for (const { number, about } of answers) {
      const bytes = bytesOf(disk.find({ type: "answer", job: id, answer: number }));
      copy.apply({ type: "answer-added", job: id, answer: number, about, bytes });
    }
    if (note !== undefined) copy.apply({ type: "job-noted", job: id, note });
    if (chunks.length === 0 && answers.length > 0) copy.apply({ type: "inputs-dropped", job: id });
  }
  return copy;
}

function bytesOf(bytes: Uint8Array | undefined): Uint8Array {
  if (bytes === undefined) throw new Error("a piece of the disk is missing");
  return bytes;
}

test("a detached job that nobody listens to goes on after a restart, without what is answered", async () => {
  const lives = new Lives(onTestFinished);
  const first = await lives.next();
  const node = await first.node("n1", 8, { slots: 8 });
  await submit(await keeper(first), 1, [3, 2, 4]);
  await work(node, 0, 1);
  const [, second] = node.said("assignChunk");
  const part = { completed: 1, values: inline([30]), failure: undefined };
  finish(node, second?.assignment, { $case: "partDone", value: part });
  await settle();

  const later = await lives.next();
  const node2 = await later.node("n1", 8, { slots: 8 });
  await settle();
  expect(
    node2.said("assignChunk").map(({ chunk, span, firstIndex, input }) => [chunk, firstIndex, span ?? input?.count]),
  ).toEqual([
    [0, 3, { offset: 1, count: 1 }],
    [1, 5, 4],
  ]);
  expect((await later.jobs())[0]).toMatchObject({
    state: "running",
    itemsDone: 4,
    itemsOffered: 9,
    chunksOffered: 3,
    chunksDone: 1,
  });
  await work(node2);
  const listener = await later.client();
  attach(listener, 1);
  await settle();
  expect(told(listener)).toEqual([
    "1 attached to 9",
    "1 0+3: 0,10,20",
    "1 3+1: 30",
    "1 4+1: 40",
    "1 5+4: 50,60,70,80",
    "1 ended 1",
  ]);
});

test("what has ended can be attached to after a restart: its answers, its failures and its end", async () => {
  const lives = new Lives(onTestFinished);
  const first = await lives.next();
  const node = await first.node("n1", 8, { slots: 8 });
  await submit(await keeper(first), 1, [2, 1], {}, { collect: true });
  await settle();
  const [one, other] = node.said("assignChunk");
  const failure = {
    ...{ offset: 1, summary: "Error: no", place: undefined },
    kind: { $case: "userError" as const, value: inline(["what it threw"]) },
  };
  finish(node, one?.assignment, { $case: "itemError", value: { completed: 1, values: inline(["fine"]), failure } });
  finish(node, other?.assignment, { $case: "done", value: inline(["good"]) });
  await settle();
  const later = await lives.next();
  const listener = await later.client();
  attach(listener, 1);
  await settle();
  expect(told(listener)).toEqual([
    "1 attached to 3",
    "1 0+1: fine",
    "1 1 failed: Error: no",
    "1 2+1: good",
    "1 ended 1",
  ]);
  const [failed] = listener.said("keptItemFailed");
  expect(failed?.failure).toMatchObject({ place: { node: "n1", attempt: 1 }, kind: { value: { count: 1 } } });
  expect(failed?.failure?.offset).toBeUndefined();
  expect((await later.jobs())[0]).toMatchObject({ jobId: "job-1", state: "done", kept: true, chunksDone: 2 });
});

test("a job that an item has failed for good ends as failed after a restart, without running again", async () => {
  const disk = diskUntil(6); // spec, code, chunk, note, and then the failure before the end
  const lives = new Lives(onTestFinished, disk);
  const first = await lives.next();
  const node = await first.node("n1", 8, { slots: 8 });
  await submit(await keeper(first), 1, [1, 1]);
  const [one] = node.said("assignChunk");
  const failure = { offset: 0, summary: "Error: no", place: undefined, kind: undefined };
  finish(node, one?.assignment, { $case: "itemError", value: { completed: 0, values: inline([]), failure } });
  await settle();
  const answers = disk.recovered().jobs[0]?.answers.length;
  const later = await new Lives(onTestFinished, healedCopy(disk)).next();
  const node2 = await later.node("n1", 8, { slots: 8 });
  const listener = await later.client();
  attach(listener, 1);
  await settle();
  expect([answers, node2.said("assignChunk").length]).toEqual([1, 0]);
  expect(told(listener)).toEqual(["1 attached to 2", "1 0 failed: Error: no", "1 ended 2"]);
  const ended = { jobId: "job-1", state: "failed", failure: "Error: no", kept: true };
  expect((await later.jobs())[0]).toMatchObject(ended);
});

test("a job whose code is not on disk as it was fails in words", async () => {
  const disk = new MemoryJobs();
  const first = await new Lives(onTestFinished, disk).next();
  await submit(await keeper(first), 1, [1]);
  const copy = healedCopy(disk, new TextEncoder().encode("export default 2"));
  const later = await new Lives(onTestFinished, copy).next();
  const listener = await later.client();
  attach(listener, 1);
  const node = await later.node("n1", 1);
  await settle();
  const hash = node.said("describeJob")[0]?.function?.artifact ?? "";
  node.say({ $case: "wantArtifact", value: { hash } });
  await settle();
  expect(told(listener)).toEqual(["1 attached to 1", "1 ended 2 internal"]);
  expect(listener.said("jobEnded")[0]?.error?.message).toContain("was refused");
  expect((await later.jobs())[0]).toMatchObject({ jobId: "job-1", state: "failed" });
});

test("the client of a job that is not detached finds it again after a restart", async () => {
  const lives = new Lives(onTestFinished);
  const first = await lives.next();
  await submit(await keeper(first), 1, [2], { detached: false });
  const later = await lives.next();
  await later.clock.advance(60_000);
  const again = await later.client({}, undefined, ID);
  attach(again, 1);
  await later.clock.advance(60_000);
  const node = await later.node("n1", 1);
  await work(node);
  expect(told(again)).toEqual(["1 attached to 2", "1 0+2: 0,10", "1 ended 1"]);
});

test("a coordinator is ready once it has read what it keeps, and lets clients in then", async () => {
  const bench = new Bench();
  onTestFinished(() => bench.network[Symbol.asyncDispose]());
  await bench.network.listen("coordinator", bench.shell.routes);
  const client = await bench.client();
  expect(bench.shell.readiness()).toEqual({ isReady: false, words: "the coordinator reads what jobs it keeps" });
  expect(client.heard).toEqual([]);
  await bench.shell.start();
  await settle();
  expect([bench.shell.readiness().isReady, client.said("capacity").length]).toEqual([true, 1]);
});
