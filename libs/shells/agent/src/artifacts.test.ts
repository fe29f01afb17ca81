import { sha256Hex } from "@heddle/port-blobs";
import { expect, onTestFinished, test } from "vitest";
import { Bench, CODE_HASH, type FakeWorker, settle } from "./testing.ts";

const BYTES = new TextEncoder().encode("captured values");
const HASH = sha256Hex(BYTES);

async function open(): Promise<readonly [Bench, FakeWorker]> {
  const bench = await Bench.open(2);
  onTestFinished(() => bench[Symbol.asyncDispose]());
  return [bench, bench.worker(0)];
}

const want = (worker: FakeWorker, hash = HASH): void => worker.say({ $case: "wantArtifact", value: { hash } });

test("what a worker asks for and what is on this machine is answered without the coordinator", async () => {
  const [bench, worker] = await open();
  want(worker, CODE_HASH);
  await settle();
  expect(worker.told("artifactPlace")).toEqual([{ hash: CODE_HASH, location: `memory:${CODE_HASH}`, missing: "" }]);
  expect(bench.said("wantArtifact")).toEqual([]);
});

test("what is not is fetched once, however many workers and jobs wait for it", async () => {
  const [bench, worker] = await open();
  const other = bench.worker(1);
  want(worker);
  want(other);
  bench.describe(1, { capturedArtifact: HASH });
  bench.assign(1, 1);
  await settle();
  expect(bench.said("wantArtifact")).toEqual([{ hash: HASH }]);
  expect(bench.workers.flatMap(({ chunks }) => chunks)).toEqual([]);
  bench.sendCode(BYTES);
  await settle();
  const place = { hash: HASH, location: `memory:${HASH}`, missing: "" };
  expect(worker.told("artifactPlace")).toEqual([place]);
  expect(other.told("artifactPlace")).toEqual([place]);
  const prepared = bench.workers.flatMap((each) => each.told("prepareJob"));
  expect(prepared).toMatchObject([
    { location: `memory:${CODE_HASH}`, closure: true, capturedArtifact: HASH, capturedLocation: `memory:${HASH}` },
  ]);
  expect(bench.workers.flatMap(({ chunks }) => chunks)).toEqual([1]);
});

test("captured values that nobody has end their job's chunks as not started, in the coordinator's words", async () => {
  const [bench] = await open();
  bench.describe(1, { capturedArtifact: HASH });
  bench.assign(1, 1);
  await settle();
  bench.tell({ $case: "artifactContent", value: { hash: HASH, content: undefined, missing: "it is gone" } });
  await settle();
  const outcome = { $case: "notStarted", value: { fault: "it is gone" } };
  expect(bench.said("chunkFinished")).toMatchObject([{ assignment: 1, outcome }]);
});

test("what nobody has is answered in words, and asked for again when a worker asks again", async () => {
  const [bench, worker] = await open();
  want(worker);
  await settle();
  bench.tell({ $case: "artifactContent", value: { hash: HASH, content: undefined, missing: "it is gone" } });
  await settle();
  expect(worker.told("artifactPlace")).toEqual([{ hash: HASH, location: "", missing: "it is gone" }]);
  want(worker);
  await settle();
  expect(bench.said("wantArtifact")).toHaveLength(2);
});

test("a text that names no artifact is answered in words, and never reaches the coordinator", async () => {
  const [bench, worker] = await open();
  want(worker, "../../etc/passwd");
  await settle();
  expect(worker.told("artifactPlace")).toMatchObject([
    { location: "", missing: '"../../etc/passwd" names no artifact' },
  ]);
  expect(bench.said("wantArtifact")).toEqual([]);
});

test("whoever waits when the coordinator is lost is told so, and the next coordinator is asked anew", async () => {
  const [bench, worker] = await open();
  want(worker);
  await settle();
  await bench.loseSession();
  const [place] = worker.told("artifactPlace");
  expect(place).toMatchObject({ location: "", missing: expect.stringContaining("coordinator was lost") });
  want(worker);
  await settle();
  expect(bench.said("wantArtifact")).toEqual([{ hash: HASH }]);
  bench.sendCode(BYTES);
  await settle();
  expect(worker.told("artifactPlace").at(-1)).toMatchObject({ location: `memory:${HASH}` });
});

test("an answer for a worker that is gone harms nobody", async () => {
  const [bench, worker] = await open();
  want(worker);
  await settle();
  worker.exit({ signal: "SIGKILL" });
  bench.sendCode(BYTES);
  await settle();
  want(bench.worker(1));
  await settle();
  expect(bench.worker(1).told("artifactPlace")).toMatchObject([{ location: `memory:${HASH}` }]);
});

test("code that was evicted after it was found is fetched again when its worker does not find it", async () => {
  const [bench] = await open();
  bench.describe(1);
  bench.assign(1, 1);
  await settle();
  const [worker] = bench.workers.filter(({ chunks }) => chunks.length > 0);
  bench.blobs.evictAll();
  if (worker !== undefined) want(worker, CODE_HASH);
  await settle();
  expect(bench.said("wantArtifact")).toEqual([{ hash: CODE_HASH }]);
  bench.sendCode();
  await settle();
  expect(worker?.told("artifactPlace")).toEqual([{ hash: CODE_HASH, location: `memory:${CODE_HASH}`, missing: "" }]);
  worker?.returns(1, [42]);
  await settle();
  expect(bench.said("chunkFinished")).toMatchObject([{ assignment: 1, outcome: { $case: "done" } }]);
});
