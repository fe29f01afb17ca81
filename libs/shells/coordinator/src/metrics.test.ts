import { told, watchedContract } from "@heddle/port-metrics/contract";
import { expect, onTestFinished, test } from "vitest";
import { type Bench, finish, inline, offer, openBench, openJob, settle, small } from "./testing.ts";

watchedContract("a coordinator", async () => {
  const closing: (() => Promise<void>)[] = [];
  const bench = await openBench((close) => closing.push(close));
  return {
    watched: bench.shell,
    live: async () => {
      const [client, node] = [await bench.client(), await bench.node("n1", 4)];
      small(client, 1);
      small(client, 2);
      await settle();
      finish(node, node.said("assignChunk")[0]?.assignment, { $case: "done", value: inline([7]) });
      finish(node, node.said("assignChunk")[1]?.assignment, {
        $case: "workerDeath",
        value: { markedOffset: undefined, loss: undefined },
      });
      await settle();
    },
    [Symbol.asyncDispose]: async () => void (await Promise.all(closing.map((close) => close()))),
  };
});

const metric = (bench: Bench, name: string) => told(bench.shell, `heddle_coordinator_${name}`);

test("a job is counted as it is opened, placed, done and over", async () => {
  const bench = await openBench(onTestFinished);
  expect([metric(bench, "jobs"), metric(bench, "clients"), metric(bench, "slots_wanted")]).toEqual([0, 0, 0]);
  const client = await bench.client();
  small(client, 1);
  await settle();
  expect([metric(bench, "jobs"), metric(bench, "clients"), metric(bench, "slots_wanted")]).toEqual([1, 1, 1]);
  expect(metric(bench, "chunks")).toEqual({ placed: 0, waiting: 1 });
  expect(metric(bench, "held_bytes")).toEqual({ inputs: inline([0]).size, results: 0 });
  const node = await bench.node("n1", 4, { slots: 3 });
  expect(metric(bench, "chunks")).toEqual({ placed: 1, waiting: 0 });
  expect(metric(bench, "nodes")).toMatchObject({ ready: 1, silent: 0 });
  expect(metric(bench, "slots")).toMatchObject({ ready: 3, silent: 0 });
  expect(metric(bench, "sessions")).toEqual({ client: 1, agent: 1 });
  finish(node, node.said("assignChunk")[0]?.assignment, { $case: "done", value: inline([7]) });
  await settle();
  expect([metric(bench, "jobs"), metric(bench, "items_done_total"), metric(bench, "slots_wanted")]).toEqual([0, 1, 0]);
  expect(metric(bench, "jobs_ended_total")).toEqual({ done: 1, failed: 0, cancelled: 0 });
  expect(metric(bench, "chunks_finished_total")).toMatchObject({ done: 1, "worker-death": 0 });
  expect(metric(bench, "held_bytes")).toEqual({ inputs: 0, results: 0 });
});

test("a pool wants no more slots than it may use, however many chunks its jobs have", async () => {
  const bench = await openBench(onTestFinished);
  const client = await bench.client({ processes: 2 });
  for (const job of [1, 2]) {
    openJob(client, job);
    for (let chunk = 0; chunk < 3; chunk++) offer(client, job, chunk);
  }
  await settle();
  expect(metric(bench, "chunks")).toEqual({ placed: 0, waiting: 6 });
  expect(metric(bench, "slots_wanted")).toBe(2);
});

test("attempts that are lost with their node or their worker are counted by which", async () => {
  const bench = await openBench(onTestFinished);
  const client = await bench.client();
  for (let job = 1; job <= 3; job++) small(client, job);
  const node = await bench.node("n1", 4);
  finish(node, node.said("assignChunk")[0]?.assignment, {
    $case: "workerDeath",
    value: { markedOffset: 0, loss: undefined },
  });
  await settle();
  const placed = metric(bench, "chunks");
  await node.session?.close();
  await settle();
  expect(placed).toMatchObject({ placed: 3 });
  expect(metric(bench, "attempts_lost_total")).toEqual({ "node-loss": 3, "worker-death": 1 });
  expect(metric(bench, "sessions")).toEqual({ client: 1, agent: 0 });
});

test("a coordinator that stops is not ready", async () => {
  const bench = await openBench(onTestFinished);
  expect(bench.shell.readiness()).toEqual({ isReady: true, words: "ok" });
  small(await bench.client(), 1);
  await settle();
  const stopped = bench.shell.stop(1_000);
  expect(bench.shell.readiness()).toEqual({ isReady: false, words: "the coordinator is stopping" });
  await bench.clock.advance(5_000);
  await stopped;
});
