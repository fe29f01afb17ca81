import { PART_BYTES_MAX } from "@heddle/kernel";
import { CHECKPOINTS_MINOR, type Payload } from "@heddle/wire";
import { expect, onTestFinished, test } from "vitest";
import { CheckpointBook } from "./checkpoints.ts";
import { JOB_CHECKPOINTS_BYTES_MAX } from "./limits.ts";
import { finish, inline, type Node, openBench, openJob, settle } from "./testing.ts";

/** A job of one chunk with items 5, 6 and 7 on a node of two slots. */
async function openStage() {
  const bench = await openBench(onTestFinished);
  const [node, client] = [await bench.node("n1", 2, { slots: 2 }), await bench.client()];
  openJob(client, 1);
  client.say(
    {
      $case: "offerChunk",
      value: { job: 1, chunk: 0, firstIndex: 5, input: inline([5, 6, 7]), grain: 0, settled: [] },
    },
    8,
  );
  await settle();
  return { bench, node, client };
}

function say(node: Node, offset: number, value: unknown): void {
  const { assignment = 0 } = node.said("assignChunk").at(-1) ?? {};
  node.say({ $case: "chunkCheckpointed", value: { assignment, offset, state: inline([value]) } }, 8);
}

function lose(node: Node, outcome: Parameters<typeof finish>[2]): void {
  finish(node, node.said("assignChunk").at(-1)?.assignment, outcome);
}

const restored = (node: Node) => node.said("assignChunk").map((assigned) => assigned.restored);
const stopped = { $case: "stopped", value: {} } as const;

test("whoever runs an item next is given what it came to last, until it is answered", async () => {
  const { node } = await openStage();
  say(node, 1, "a");
  say(node, 2, "b");
  say(node, 2, "c");
  lose(node, stopped);
  await settle();
  lose(node, { $case: "notStarted", value: { fault: "" } });
  await settle();
  const c = { offset: 2, state: inline(["c"]) };
  expect(restored(node)).toEqual([undefined, c, c]);
  lose(node, { $case: "partDone", value: { completed: 2, values: inline([5, 6]) } });
  await settle();
  expect(node.said("assignChunk").at(-1)).toMatchObject({ span: { offset: 2, count: 1 }, restored: c });
  lose(node, { $case: "done", value: inline([7]) });
  await settle();
});

test("what an item came to is there on another node, also when the first is lost", async () => {
  const { bench, node } = await openStage();
  say(node, 0, { far: 3 });
  await settle();
  const other = await bench.node("n2", 1);
  await node.session?.close({ code: "closed", message: "gone" });
  await settle();
  expect(restored(other)).toEqual([{ offset: 0, state: inline([{ far: 3 }]) }]);
});

test("an agent of a build that knows no checkpoints is given none, not even parts of one; the next that does is", async () => {
  const { bench, node } = await openStage();
  const size = 2 * PART_BYTES_MAX;
  const { assignment = 0 } = node.said("assignChunk").at(-1) ?? {};
  const state = { ...inline(["x"]), size, data: new Uint8Array(0), partStream: 1 };
  node.say({ $case: "chunkCheckpointed", value: { assignment, offset: 1, state } }, 0);
  for (const last of [false, true]) {
    const data = new Uint8Array(PART_BYTES_MAX);
    node.say({ $case: "part", value: { partStream: 1, data, last, aborted: false } }, data.length);
  }
  await settle();
  const older = await bench.node("n2", 1, { minor: CHECKPOINTS_MINOR - 1 });
  await node.session?.close({ code: "closed", message: "gone" });
  await settle();
  expect(restored(older)).toEqual([undefined]);
  expect(older.said("part")).toEqual([]);
  const newer = await bench.node("n3", 1);
  await older.session?.close({ code: "closed", message: "gone" });
  await settle();
  expect(restored(newer)).toMatchObject([{ offset: 1, state: { size } }]);
  expect(newer.said("part").reduce((bytes, { data }) => bytes + data.length, 0)).toBe(size);
});

test("a checkpoint of an item that the assignment does not have ends the node's session", async () => {
  const { node } = await openStage();
  say(node, 3, "not mine");
  await settle();
  expect(node.end).toMatchObject({ reason: "goodbye", goodbye: { code: "protocol" } });
});

test("of one job so much is kept, the oldest goes first; nothing of a job that is over", () => {
  const book = new CheckpointBook();
  const job = {} as never;
  const size = JOB_CHECKPOINTS_BYTES_MAX / 2;
  const records = [0, 1, 2].map(
    (firstIndex) => ({ job, firstIndex, offset: 0, count: 1, checkpointed: undefined }) as never,
  );
  for (const record of records) book.keep(record, 0, { size } as never);
  const sent: Payload = inline([]);
  const outflow = { send: () => ({ header: sent, inlineBytes: 0, start: () => undefined }) };
  const node = { minor: CHECKPOINTS_MINOR, outflow } as never;
  expect(records.map((record) => book.restoring(record, node)?.restored)).toEqual([
    undefined,
    { offset: 0, state: sent },
    { offset: 0, state: sent },
  ]);
  expect(book.bytes).toBe(JOB_CHECKPOINTS_BYTES_MAX);
  book.forget(job);
  expect(book.bytes).toBe(0);
});
