import { NotFoundError, TimeoutError, UnavailableError } from "@heddle/kernel";
import { JobOutcome } from "@heddle/wire";
import { describe, expect, onTestFinished, test } from "vitest";
import { replace } from "./comeback-stage.ts";
import { keptStage, square } from "./kept-stage.ts";
import { settle } from "./testing.ts";

function stage() {
  const opened = keptStage();
  onTestFinished(() => opened.fake[Symbol.asyncDispose]());
  return opened;
}

/** Somebody who waits for a job that another program has submitted. */
async function listening(items: number, shape = "list", digest = "") {
  const opened = stage();
  const result = opened.fake.fabric.attach("nightly");
  const got = result.get();
  got.catch(() => undefined); // the test asks
  await settle();
  opened.attached(items, { job: 1, shape, digest });
  await settle();
  return {
    ...opened,
    ...{ result, got },
    values: (first: number, all: readonly unknown[]) => opened.values(first, all, 1),
    failed: (index: number, error: unknown) => opened.failed(index, error, 1),
  };
}

describe("whoever attaches to a job", () => {
  test("asks the coordinator when he wants its result, and gets what its call gives", async () => {
    const { fake } = stage();
    const idle = fake.fabric.attach<number[]>("nightly");
    await settle();
    expect([fake.sessions, fake.holds]).toEqual([[], 0]);
    expect(idle.jobId).toBe("nightly");
    const { values, got, result, fake: other } = await listening(3);
    expect(result.progress).toMatchObject({ done: 0, failed: 0, total: 3 });
    values(2, [9]);
    values(0, [1, 4]);
    other.end(1);
    expect(await got).toEqual([1, 4, 9]);
    await settle();
    expect(other.holds).toBe(0);
  });

  test("gets one result of an apply, settled results, and typed arrays", async () => {
    const item = await listening(1, "item");
    item.values(0, ["x"]);
    item.fake.end(1);
    expect(await item.got).toBe("x");
    const settled = await listening(2, "settled");
    settled.failed(1, new RangeError("no"));
    settled.values(0, [5]);
    settled.fake.end(1);
    expect(await settled.got).toMatchObject([
      { status: "fulfilled", value: 5 },
      {
        status: "rejected",
        reason: { message: "no", remote: { jobId: "nightly", chunk: 3, index: 1, node: "n1", attempt: 1 } },
      },
    ]);
    const typed = await listening(2, "Float64Array");
    typed.values(0, [1, 2.5]);
    typed.fake.end(1);
    expect(await typed.got).toEqual(Float64Array.of(1, 2.5));
  });

  test("is told that the job's results are of a kind that this build does not know", async () => {
    const { got } = await listening(1, "tensor");
    await expect(got).rejects.toMatchObject({ code: "state" });
  });

  test("gets the error of the lowest index that was seen, when the job has ended", async () => {
    const { fake, failed, got, result } = await listening(4);
    failed(3, new Error("three"));
    failed(1, new RangeError("one"));
    await settle();
    expect([result.ready(), result.progress.failed]).toEqual([false, 2]);
    fake.end(1, JobOutcome.FAILED);
    await expect(got).rejects.toMatchObject({ name: "RangeError", message: "one", remote: { index: 1 } });
  });

  test("has NotFoundError of a job that is not kept", async () => {
    const { fake, refused } = stage();
    const result = fake.fabric.attach("nobody");
    const accepted = expect(result.accepted()).rejects.toThrow(NotFoundError);
    await settle();
    refused("not-found");
    await accepted;
    await expect(result.get()).rejects.toThrow(new NotFoundError("said so"));
  });

  test("has TimeoutError of one whose time was over", async () => {
    const { refused, got } = await listening(2);
    refused("timeout");
    await expect(got).rejects.toThrow(TimeoutError);
  });

  test("knows that it is kept as soon as the coordinator has said so", async () => {
    const { result, fake } = await listening(1);
    await result.accepted();
    expect(fake.said("attachJob")).toHaveLength(1);
  });

  test("cancels it for all", async () => {
    const { result, got, fake } = await listening(1);
    await result.cancel();
    await expect(got).rejects.toMatchObject({ name: "AbortError" });
    expect([fake.cancelled, fake.said("leaveJob")]).toEqual([["nightly"], [{ job: 1 }]]);
  });

  test("must name it by a text that can be an id", () => {
    const { fake } = stage();
    for (const wrong of [undefined, 5, null]) expect(() => fake.fabric.attach(wrong as never)).toThrow(TypeError);
    expect(() => fake.fabric.attach("a b")).toThrow(RangeError);
  });
});

describe("after its session is lost a listener", () => {
  test("says what it has, and takes nothing twice", async () => {
    const { fake, values, failed, got, attached } = await listening(6, "settled");
    values(1, [1, 4]);
    failed(4, new Error("four"));
    await replace(fake);
    expect(fake.said("attachJob")).toEqual([
      {
        ...{ job: 1, jobId: "nightly" },
        settled: [
          { firstIndex: 1, count: 2 },
          { firstIndex: 4, count: 1 },
        ],
      },
    ]);
    attached(6, { job: 1, shape: "settled" });
    values(0, [0, "again", "again", 9]);
    failed(4, new Error("again"));
    values(5, [25]);
    fake.end(1);
    const results = await got;
    expect(results).toMatchObject([
      ...[0, 1, 4, 9].map((value) => ({ value })),
      { reason: { message: "four" } },
      { value: 25 },
    ]);
  });

  test("takes nothing of another job that has its id by now", async () => {
    const { fake, values, got, attached } = await listening(2, "list", "d1");
    values(0, [0]);
    await replace(fake);
    const refused = expect(got).rejects.toThrow(/nightly was cancelled, and the id has another job now/);
    attached(2, { job: 1, digest: "d2" });
    values(1, [100]);
    await refused;
  });

  test("goes on with a coordinator that does not say which job it is", async () => {
    const { fake, values, got, attached } = await listening(1, "list", "d1");
    await replace(fake);
    attached(1, { job: 1 });
    values(0, [7]);
    fake.end(1);
    expect(await got).toEqual([7]);
  });

  test("of a job that it has submitted takes nothing of another, the first time too", async () => {
    const { fake, pool, keepAll, attached } = stage();
    const result = pool.applyAsync(square, [1], { detach: true });
    await keepAll();
    const got = expect(result.get()).rejects.toThrow(/has another job now/);
    await settle();
    const { job } = fake.said("attachJob")[0] ?? { job: 0 };
    attached(1, { job, shape: "item", digest: "e".repeat(64) });
    await got;
  });

  test("waits for the one that follows a coordinator which stops", async () => {
    const { fake, refused, values, attached, got } = await listening(1);
    refused("unavailable");
    await settle();
    await replace(fake);
    attached(1, { job: 1 });
    values(0, [7]);
    fake.end(1);
    expect(await got).toEqual([7]);
    expect(fake.env.clock.timerCount).toBeLessThan(10);
  });

  test("fails when a coordinator that has kept the job does not know it any more", async () => {
    const { fake, pool, keepAll, refused } = stage();
    const result = pool.applyAsync(square, [1], { detach: true });
    await keepAll();
    await replace(fake).catch(() => undefined); // nobody waits for anything: the client comes when it wants something
    const got = expect(result.get()).rejects.toThrow(UnavailableError);
    await fake.dialled();
    refused("not-found");
    await got;
  });

  test("rejects with UnavailableError when no coordinator comes back", async () => {
    const { fake, got } = await listening(1);
    const late = expect(got).rejects.toThrow(UnavailableError);
    await fake.kill();
    await fake.env.clock.advance(70_000);
    await late;
    await settle();
    expect(fake.holds).toBe(0);
  });
});

test("a coordinator that answers what is not of the job is at fault, and the session ends", async () => {
  for (const wrong of [
    (stage: Awaited<ReturnType<typeof listening>>) => stage.values(1, [1, 2]),
    (stage: Awaited<ReturnType<typeof listening>>) => stage.failed(2, new Error("x")),
  ]) {
    const opened = await listening(2);
    const sessions = opened.fake.sessions.length;
    wrong(opened);
    await settle();
    await expect(opened.got).rejects.toThrow(/nightly: an answer came for items/);
    expect(opened.fake.sessions).toHaveLength(sessions);
  }
});

test("what a job's tasks print is shown under its name", async () => {
  const { fake } = await listening(1);
  fake.tell({
    $case: "jobAttached",
    value: { job: 1, keep: undefined, items: 1, name: "night", ageMs: 0, digest: "" },
  });
  const place = { node: "n1", pid: 7, attempt: 1 };
  const output = { job: 1, place, stderr: false, text: "hello", dropped: 0, processName: "", process: 0 };
  fake.tell({ $case: "output", value: output as never });
  await settle();
  expect(fake.printed).toEqual(["out [n1/7 night] hello"]);
});

test("a call that is not kept is accepted once it is open at the coordinator, or over", async () => {
  const { fake, pool } = stage();
  const result = pool.mapAsync(square, [1]);
  let isAccepted = false;
  void result.accepted().then(() => {
    isAccepted = true;
  });
  expect(isAccepted).toBe(false);
  await settle();
  expect([isAccepted, fake.said("openJob").length]).toEqual([true, 1]);
  await pool.mapAsync(square, []).accepted();
  await pool.terminate();
  await expect(pool.mapAsync(square, [1]).accepted()).rejects.toMatchObject({ name: "PoolTerminatedError" });
});
