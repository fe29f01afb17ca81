import type { JobsAdmin } from "heddle";
import { describe, expect, test } from "vitest";
import { jobRows, whyChunkLines, whyJobLines } from "./job-words.ts";

type Report = Awaited<ReturnType<JobsAdmin["job"]>>;
type Attempt = Report["attempts"][number];
type Chunk = Awaited<ReturnType<JobsAdmin["chunk"]>>["chunk"];

const job: Report["job"] = {
  jobId: "nightly",
  name: "",
  state: "running",
  itemsDone: 3,
  itemsOffered: 10,
  chunksOffered: 4,
  chunksPlaced: 0,
  chunksDone: 1,
  ageMs: 61_000,
  durationMs: 0,
  client: "report.ts@vm pid 1",
  failure: "",
  identity: "this user",
  kept: false,
  detached: false,
  listeners: 0,
};
const idle: Report = { job, waits: [], running: [], runningCount: 0, attempts: [], nodes: [], poolSlotsMax: 0 };
const attempt: Attempt = {
  chunk: 4,
  offset: 0,
  count: 10,
  firstIndex: 40,
  attempt: 2,
  node: "b",
  pid: 0,
  placedMs: 5_000,
  startedMs: 4_000,
  endedMs: 1_000,
  state: "node-lost",
  summary: "",
  exitCode: undefined,
  signal: "",
  rssBytes: 0,
  stderr: [],
};

describe("why a job is where it is", () => {
  test("is said of one whose program has sent no more, of a failed one and a done one", () => {
    expect(whyJobLines(idle)).toEqual([
      "job/nightly is running, opened 61s ago by report.ts@vm pid 1: 3 of 10 items have their result.",
      "Nothing of it waits or runs: its program has not sent more of it yet.",
    ]);
    const failed = { ...job, state: "failed", durationMs: 60_000, failure: "no disk" };
    const failedLine = "job/nightly failed 1s ago, after 60s: no disk. 3 of 10 items have their result.";
    expect(whyJobLines({ ...idle, job: failed })).toEqual([failedLine]);
    const cancelled = { ...failed, state: "cancelled", failure: "" };
    const cancelledLine = "job/nightly was cancelled 1s ago, after 60s: 3 of 10 items have their result.";
    expect(whyJobLines({ ...idle, job: cancelled })).toEqual([cancelledLine]);
    const failure = "job nightly was cancelled by this user: boss said so";
    expect(whyJobLines({ ...idle, job: { ...cancelled, failure } })).toEqual([cancelledLine, `Failure: ${failure}.`]);
  });

  test("names what waits with its time, and counts what is not told one by one", () => {
    const running = { ...attempt, state: "placed", startedMs: 0, endedMs: 0 };
    const waits = [
      { cause: "retry", chunks: 2, detail: "an item of each failed", leftMs: 1_500 },
      { cause: "lacking", chunks: 1, detail: "no node could ever run it", leftMs: 2_000 },
    ];
    expect(whyJobLines({ ...idle, waits, running: [running], runningCount: 3 }).slice(1)).toEqual([
      "2 chunks wait: an item of each failed, the first in 1s.",
      "1 chunk waits: no node could ever run it; it fails in 2s.",
      "3 chunks are on nodes, the oldest first:",
      "  chunk 4 (items 40-49), attempt 2, on node b, placed 5s ago",
      "  and 2 more",
    ]);
  });

  test.each<[Partial<Attempt>, string]>([
    [{}, "1s ago: chunk 4 (items 40-49), attempt 2, on node b: the node was lost after 3s"],
    [{ state: "worker-death", pid: 7, exitCode: 9 }, "on node b, worker pid 7: the worker exited with code 9 after 3s"],
    [
      { state: "worker-death", signal: "SIGKILL", rssBytes: 5 << 20 },
      "killed by SIGKILL after 3s, with 5 MiB of memory",
    ],
    [{ state: "worker-death" }, "the worker died after 3s"],
    [{ state: "item-overdue", summary: "ran for longer" }, "an item ran for too long (ran for longer) after 3s"],
    [{ state: "start-fault", summary: "EAGAIN", startedMs: 0 }, "no worker could start (EAGAIN) after 4s"],
    [{ state: "init-failed", summary: "no database" }, "the pool's initializer failed (no database) after 3s"],
    [{ state: "drained" }, "taken back, as the node is drained or leaves, after 3s"],
    [{ state: "excluded" }, "taken back, as the node is excluded, after 3s"],
    [{ state: "handed-back" }, "handed back unbegun, to go where a slot idles, after 3s"],
    [{ state: "stopped" }, "stopped after 3s"],
    [{ state: "overtaken" }, "another attempt had answered, so it does not count: ended after 3s"],
  ])("tells how an attempt ended: %j", (more, words) => {
    const lines = whyJobLines({ ...idle, attempts: [{ ...attempt, ...more }] });
    expect(lines.at(-1)).toContain(words);
  });
});

test("why a chunk is where it is, is said of each of its parts", () => {
  const span = {
    offset: 0,
    count: 5,
    attempt: 1,
    state: "placed",
    retryMs: 0,
    failures: 0,
    deaths: 1,
    losses: 2,
    node: "b",
  };
  const waiting = { ...span, offset: 6, count: 4, state: "waiting", deaths: 0, losses: 0, node: "" };
  const retry = { ...waiting, offset: 5, count: 1, state: "retry", retryMs: 900, attempt: 3, failures: 3 };
  const chunk: Chunk = { chunk: 4, state: "open", firstIndex: 40, count: 10, spans: [span, retry, waiting] };
  expect(whyChunkLines({ ...idle, chunk })).toEqual([
    "chunk 4 of job/nightly has items 40-49. Not settled, in 3 parts:",
    "  items 40-44 on node b, attempt 1 (a worker died under it once, its node was lost 2 times)",
    "  item 45 tried 3 times, again in 900ms (failed by its own error 3 times)",
    "  items 46-49 waiting, tried once",
  ]);
  const backup = { ...span, offset: 0, count: 10, attempt: 2, node: "a", deaths: 0, losses: 0 };
  const twice: Chunk = { ...chunk, spans: [{ ...backup, attempt: 1, node: "b" }, backup] };
  expect(whyChunkLines({ ...idle, chunk: twice })).toEqual([
    "chunk 4 of job/nightly has items 40-49. Not settled:",
    "  items 40-49 on node b, attempt 1",
    "  items 40-49 on node a, attempt 2",
  ]);
  const done: Chunk = { ...chunk, state: "settled", spans: [] };
  const doneLine = "chunk 4 of job/nightly (items 40-49) is done: all items have their result.";
  expect(whyChunkLines({ ...idle, chunk: done })).toEqual([doneLine]);
  const unknown: Chunk = { chunk: undefined, state: "not-offered", firstIndex: 0, count: 0, spans: [] };
  const line = "the chunk of that item of job/nightly is not there yet: its program has not sent it.";
  expect(whyChunkLines({ ...idle, chunk: unknown })).toEqual([line]);
});

test("a description of a job has a row for all that is known, and none that is empty", () => {
  const rows = jobRows({ ...idle, attempts: [{ ...attempt, stderr: ["oops"] }] });
  expect(rows.map(([label]) => label)).toEqual(
    [
      "Id",
      "Name",
      "State",
      "Client",
      "Kept",
      "Opened",
      "Duration",
      "Items",
      "Chunks",
      "Pool",
      "Waiting",
      "On nodes",
      "Nodes",
    ].concat(["Attempts", ""]),
  );
  expect(rows.at(-1)).toEqual(["", "  its stderr: oops"]);
});

test("a description of a job says what becomes of it without its client", () => {
  const row = (more: Partial<Report["job"]>) =>
    jobRows({ ...idle, job: { ...job, ...more } }).find(([label]) => label === "Kept")?.[1];
  expect(row({})).toBe("no: it ends with its client");
  expect(row({ kept: true, listeners: 1 })).toBe("yes, while somebody listens; 1 client listens");
  expect(row({ kept: true, detached: true })).toBe("yes, detached: it goes on whoever listens; 0 clients listen");
});
