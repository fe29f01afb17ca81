import { told, watchedContract } from "@heddle/port-metrics/contract";
import { expect, onTestFinished, test } from "vitest";
import { Bench, settle } from "./testing.ts";

watchedContract("an agent", async () => {
  const bench = await Bench.open(2);
  return {
    watched: bench.agent,
    live: async () => {
      bench.describe(1);
      bench.assign(1, 1);
      bench.assign(2, 1);
      await settle();
      bench.worker(0).returns(1, [42]);
      bench.worker(1).exit({ signal: "SIGKILL" });
      await settle();
    },
    [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose](),
  };
});

const metric = (bench: Bench, name: string) => told(bench.agent, `heddle_agent_${name}`);

async function open(slots: number): Promise<Bench> {
  const bench = await Bench.open(slots);
  onTestFinished(() => bench[Symbol.asyncDispose]());
  return bench;
}

test("workers, slots and chunks are counted as they are used", async () => {
  const bench = await open(2);
  expect(metric(bench, "workers")).toMatchObject({ blank: 2, busy: 0 });
  expect([metric(bench, "slots"), metric(bench, "slots_busy"), metric(bench, "workers_started_total")]).toEqual([
    2, 0, 2,
  ]);
  bench.describe(1);
  bench.assign(1, 1);
  await settle();
  bench.worker(0).rssBytes = 50_000_000;
  bench.worker(1).rssBytes = 7_000_000;
  expect(metric(bench, "workers")).toMatchObject({ busy: 1 });
  expect([metric(bench, "slots_busy"), metric(bench, "workers_resident_bytes")]).toEqual([1, 57_000_000]);
  bench.worker(0).returns(1, [42]);
  await settle();
  expect([metric(bench, "slots_busy"), metric(bench, "chunks_finished_total")]).toMatchObject([
    0,
    { done: 1, "worker-death": 0 },
  ]);
});

test("values that went on as they arrived count as one chunk that is done", async () => {
  const bench = await open(1);
  bench.describe(1);
  bench.assign(1, 1);
  await settle();
  bench.worker(0).announce(1, 10);
  bench.worker(0).part(10, true);
  await settle();
  expect(metric(bench, "chunks_finished_total")).toMatchObject({ done: 1, "worker-death": 0 });
});

test("workers that end unasked are counted by how", async () => {
  const bench = await open(4);
  bench.worker(0).exit({ exitCode: 3, signal: null });
  bench.worker(1).exit({ signal: "SIGKILL" });
  bench.worker(2).exit({ signal: "SIGSEGV" });
  const stray = { partStream: 9, data: new Uint8Array(1), last: true, aborted: false };
  bench.worker(3).say({ $case: "part", value: stray });
  bench.worker(3).exit({ signal: "SIGKILL" });
  await settle();
  await bench.clock.advance(10_000);
  bench.worker(4).exit({ exitCode: 1, signal: null });
  await settle();
  expect(metric(bench, "worker_deaths_total")).toEqual({
    exited: 1,
    sigkill: 1,
    signal: 1,
    "not-started": 1,
    protocol: 1,
  });
});

test("a worker that is told to end is no death", async () => {
  const bench = await open(2);
  const before = metric(bench, "worker_deaths_total");
  const drained = bench.agent.drain(0);
  await settle();
  const told = bench.workers.filter(({ signals }) => signals.length > 0);
  for (const worker of told) worker.exit();
  await bench.clock.advance(3_000);
  await drained;
  expect(told).toHaveLength(2);
  expect(metric(bench, "worker_deaths_total")).toEqual(before);
});

test("an agent is ready while its coordinator is in reach and it does not drain", async () => {
  const bench = await open(1);
  expect([bench.agent.readiness(), metric(bench, "linked")]).toEqual([{ isReady: true, words: "ok" }, 1]);
  await bench.sessions.at(-1)?.close({ code: "unavailable", message: "the coordinator was stopped" });
  await settle();
  expect([bench.agent.readiness().words, metric(bench, "linked")]).toEqual(["no coordinator is in reach", 0]);
  await bench.clock.advance(200);
  await settle();
  expect([bench.agent.readiness().words, metric(bench, "links_total")]).toEqual(["ok", 2]);
  void bench.agent.drain(1_000);
  expect(bench.agent.readiness()).toEqual({ isReady: false, words: "the agent drains: it takes no new work" });
});
