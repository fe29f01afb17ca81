import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect, jobsAdmin, nodesAdmin, task } from "heddle";
import { afterEach, expect, test, vi } from "vitest";
import { Gate, passGate } from "../harness/gate.ts";
import { ProcessCluster, type ProcessOptions } from "../harness/process-cluster.ts";
import { eventually } from "../harness/waiting.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 }); // nodes are waited for that live for 12 s

let scope = new AsyncDisposableStack();
afterEach(async () => {
  await scope.disposeAsync();
  scope = new AsyncDisposableStack();
}, 60_000);

async function started(options: ProcessOptions) {
  const cluster = scope.use(await ProcessCluster.start(options));
  const fabric = await connect(cluster.address);
  scope.defer(() => fabric.close());
  return { cluster, fabric };
}

/** The first of two nodes lives for so long. */
const firstLives = (time: string): ProcessOptions => ({
  agentFlags: (index) => (index === 0 ? ["--lifetime", time] : []),
});

/** What one attempt was: from where it went on, how far it came, and what it was told. */
interface Attempt {
  readonly node: string;
  readonly attempt: number;
  readonly from: number;
  readonly to: number;
  readonly reason: string;
}

/** Counts to `count`, a number each 20 ms, from where the attempt before has come to; each attempt writes down how far it came. */
async function countTo({ count, log }: { readonly count: number; readonly log: string }): Promise<number> {
  const { node, attempt, restored, signal, checkpoint } = task();
  const from = typeof restored === "number" ? restored : 0;
  let at = from;
  const ended = (reason: string): void =>
    appendFileSync(log, `${JSON.stringify({ node, attempt, from, to: at, reason })}\n`);
  while (at < count && !signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    checkpoint(++at);
  }
  ended(signal.aborted ? String(signal.reason) : "done");
  signal.throwIfAborted(); // what it throws as it is told to end is not its failure
  return at;
}

function attemptsIn(log: string): Attempt[] {
  return readFileSync(log, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Attempt);
}

test("what runs on a node that comes to its end is told, and goes on elsewhere from where it came to; no retry is spent", async () => {
  const { cluster, fabric } = await started(firstLives("12s"));
  const log = join(cluster.directory, "attempts");
  const admin = nodesAdmin(fabric);
  const { node } = await admin.node("n1");
  expect(node.endsLeftMs).toBeGreaterThan(1);
  expect((await admin.node("n2")).node.endsLeftMs).toBe(0);
  await admin.cordon("n2"); // so that it begins on the node that ends
  await using pool = fabric.pool();
  const counted = pool.applyAsync(countTo, [{ count: 700, log }], { retries: 0 });
  await eventually("it runs", async () => (await admin.node("n1")).node.chunks > 0 || undefined);
  await admin.uncordon("n2");
  expect(await counted.get()).toBe(700);
  const [first, second, ...more] = attemptsIn(log);
  expect(more).toEqual([]);
  expect(first).toMatchObject({
    node: "n1",
    attempt: 1,
    from: 0,
    reason: expect.stringMatching(/^AbortError: node n1 comes to its end: .* stopped in/),
  });
  expect(second).toMatchObject({ node: "n2", attempt: 2, to: 700, reason: "done" });
  expect(first?.to).toBeGreaterThan(50);
  expect(second?.from).toBe(first?.to); // nothing was counted twice
  await eventually("n1 is gone", async () => (await fabric.nodes()).every(({ name }) => name === "n2") || undefined);
  const { attempts } = await jobsAdmin(fabric).job(counted.jobId);
  expect(attempts).toMatchObject([{ node: "n1", state: "lifetime" }]);
});

async function sleepAndTell(ms: number): Promise<string> {
  await new Promise((resolve) => setTimeout(resolve, ms));
  return task().node;
}

test("a node gets no chunk that would not be over before it ends, and what waits says so", async () => {
  const { cluster, fabric } = await started(firstLives("10s")); // it begins nothing that is not over after 7.5 s
  const admin = nodesAdmin(fabric);
  await admin.cordon("n1");
  const goOn = Promise.withResolvers<void>();
  async function* inputs() {
    yield 8_000;
    await goOn.promise;
    yield* [1, 1];
  }
  await using pool = fabric.pool();
  const results = pool.imap(sleepAndTell, inputs(), { chunkSize: 1, name: "long" });
  expect((await results.next()).value).toBe("n2"); // its chunks take 8 s, as far as is known
  await eventually("n1 has ended", async () => (await fabric.nodes()).length === 1 || undefined);
  await admin.cordon("n2");
  await admin.uncordon("n1");
  cluster.startAgent(0);
  await eventually("n1 is back", async () => (await fabric.nodes()).some(({ name }) => name === "n1") || undefined);
  goOn.resolve();
  const jobId = (await fabric.jobs()).find(({ name }) => name === "long")?.jobId ?? "";
  const [wait] = await eventually("it waits", async () => {
    const { waits } = await jobsAdmin(fabric).job(jobId);
    return waits.length > 0 ? waits : undefined;
  });
  expect(wait).toMatchObject({
    cause: "no-lasting-node",
    detail: expect.stringMatching(/takes about \d+(\.\d)? s, .* not over in \d+(\.\d)? s$/),
  });
  expect((await admin.node("n1")).node.chunks).toBe(0);
  await admin.uncordon("n2");
  expect([(await results.next()).value, (await results.next()).value]).toEqual(["n2", "n2"]);
});

/** Leaves a word, and waits at the gate; whoever finds the word is through. */
async function leaveWord(gate: string): Promise<unknown> {
  const { restored, checkpoint, node } = task();
  if (restored !== undefined) return { restored, node };
  checkpoint({ word: "half", from: node });
  writeFileSync(`${gate}-left`, "");
  await passGate(gate);
  return "nobody took it away";
}

test.each(["the worker is killed", "the node is drained", "the agent is stopped"])(
  "what an item came to is there when %s",
  async (what) => {
    const { cluster, fabric } = await started({ agentDrainMs: 1_000 });
    using gate = new Gate();
    const admin = nodesAdmin(fabric);
    await admin.cordon("n2");
    await using pool = fabric.pool();
    const result = pool.apply(leaveWord, [gate.path], { retries: 0 });
    await eventually("it has left its word", () => existsSync(`${gate.path}-left`) || undefined);
    await admin.uncordon("n2");
    if (what === "the worker is killed") for (const { pid } of cluster.workers()) process.kill(pid, "SIGKILL");
    else if (what === "the node is drained") await admin.drain("n1", { deadlineMs: 0 });
    else await cluster.drainAgent(0);
    expect(await result).toMatchObject({ restored: { word: "half", from: "n1" } });
  },
);
