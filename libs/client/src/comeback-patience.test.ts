import { UnavailableError } from "@heddle/kernel";
import { JobOutcome, SETTLED_SPANS_MINOR } from "@heddle/wire";
import { describe, expect, onTestFinished, test } from "vitest";
import { stage as openStage, replace, square } from "./comeback-stage.ts";
import { range } from "./range.ts";
import { settle } from "./testing.ts";

const _older = SETTLED_SPANS_MINOR - 1;

function stage(slots?: number) {
  const opened = openStage(slots);
  onTestFinished(() => opened.fake[Symbol.asyncDispose]());
  return opened;
}

test("a session that an older one of this client has taken the place of, because its hello came later, is followed by another", async () => {
  const { fake, pool, offered } = stage();
  const map = pool.map(square, [3]);
  await settle();
  await fake.stop({ code: "conflict", message: "the client has opened another session" });
  await fake.kill();
  await fake.begin();
  await fake.env.clock.advance(3_000);
  await fake.dialled();
  expect(offered()).toEqual([{ chunk: 0, firstIndex: 0, settled: [] }]);
  fake.answer(1, 0, [9]);
  fake.end(1);
  expect(await map).toEqual([9]);
});

describe("a coordinator that stops politely", () => {
  test("is followed by the next one, however often it says goodbye before it is gone", async () => {
    const { fake, pool, offered } = stage();
    const map = pool.map(square, [3]);
    await settle();
    await fake.stop();
    await fake.env.clock.advance(3_000);
    await fake.kill();
    await fake.begin();
    await fake.dialled();
    expect(offered()).toEqual([{ chunk: 0, firstIndex: 0, settled: [] }]);
    fake.answer(1, 0, [9]);
    fake.end(1);
    expect(await map).toEqual([9]);
  });

  test("leaves the jobs that it refuses to the next one", async () => {
    const { fake, pool } = stage();
    const map = pool.map(square, [3]);
    await settle();
    const refusal = { code: "unavailable", message: "the coordinator is stopping", path: "", side: "", limitName: "" };
    const error = { ...refusal, limit: 0, actual: 0, cause: new Uint8Array(0) };
    fake.tell({ $case: "jobEnded", value: { job: 1, outcome: JobOutcome.FAILED, error } });
    const late = pool.map(square, [4]);
    await settle();
    fake.tell({ $case: "jobEnded", value: { job: 2, outcome: JobOutcome.FAILED, error } });
    await settle();
    void fake.stop();
    await fake.env.clock.advance(10);
    await fake.kill();
    await fake.begin();
    fake.serve((item) => (item as number) ** 2);
    await fake.dialled();
    expect([await map, await late]).toEqual([[9], [16]]);
  });

  test("and refuses jobs for longer than the patience fails them with its words", async () => {
    const { fake, pool } = stage();
    const map = pool.map(square, [3]);
    await settle();
    const refusal = { code: "unavailable", message: "the coordinator is stopping", path: "", side: "", limitName: "" };
    const error = { ...refusal, limit: 0, actual: 0, cause: new Uint8Array(0) };
    fake.tell({ $case: "jobEnded", value: { job: 1, outcome: JobOutcome.FAILED, error } });
    const told = map.catch((reason: unknown) => reason);
    await settle();
    for (let second = 0; second < 59; second++) await fake.env.clock.advance(1_000);
    expect(fake.holds).toBe(1);
    await fake.env.clock.advance(1_100);
    expect(await told).toEqual(new UnavailableError("the coordinator is stopping"));
  });
});

describe("patience", () => {
  test("ends so long after the loss, for everything that waits", async () => {
    const { fake, pool } = stage();
    const map = pool.mapAsync(square, [1]);
    await settle();
    await fake.kill();
    for (let second = 0; second < 58; second++) await fake.env.clock.advance(1_000);
    const later = pool.mapAsync(square, [2]);
    await fake.env.clock.advance(1_500);
    expect(map.ready()).toBe(false);
    for (let second = 0; second < 16; second++) await fake.env.clock.advance(1_000);
    const gone = new UnavailableError("the coordinator at coordinator cannot be reached");
    await expect(map.get()).rejects.toEqual(gone);
    await expect(later.get()).rejects.toEqual(gone);
  });

  test("is not begun again by another session in which nothing is done", async () => {
    const { fake, pool } = stage();
    const map = pool.mapAsync(square, [1]);
    let lives = 0;
    for (; lives < 500 && !map.ready(); lives++) {
      await settle();
      await fake.kill();
      await fake.begin();
      for (let step = 0; step < 30 && fake.said("openJob").length === 0 && !map.ready(); step++)
        await fake.env.clock.advance(100);
    }
    await expect(map.get()).rejects.toBeInstanceOf(UnavailableError);
    expect(lives).toBeGreaterThan(20);
    expect(lives).toBeLessThan(500);
  });

  test("is begun again by an answer, and by a session that lasts", async () => {
    const { fake, pool, span } = stage();
    const map = pool.map(square, range(20), { chunkSize: 20 });
    for (let life = 0; life < 16; life++) {
      await replace(fake);
      if (life < 5) span(0, life, [life]);
      await settle();
      if (life >= 5) await fake.env.clock.advance(11_000);
      else await fake.env.clock.advance(8_000);
    }
    span(0, 5, new Array(15).fill(7));
    fake.end(1);
    expect((await map).slice(3, 7)).toEqual([3, 4, 7, 7]);
  });

  test("is as long for a call that comes after a loss that nobody was hit by", async () => {
    const { fake, pool } = stage();
    const warm = pool.map(square, [1]);
    await settle();
    fake.answer(1, 0, [1]);
    fake.end(1);
    await warm;
    await fake.kill();
    await fake.begin();
    expect(await fake.dialled()).toBe(false);
    await fake.stop();
    const map = pool.map(square, [2]);
    for (let second = 0; second < 20; second++) await fake.env.clock.advance(1_000);
    await fake.kill();
    await fake.begin();
    fake.serve((item) => (item as number) ** 2);
    await fake.dialled();
    expect(await map).toEqual([4]);
  });

  test("of a session that was closed because it was silent is that of its client", async () => {
    const { fake, pool } = stage();
    const map = pool.map(square, [3]);
    await settle();
    await fake.sessions[0]?.close({ code: "timeout", message: "nothing was heard for 15000 ms" });
    await settle();
    expect(fake.sessions).toHaveLength(2);
    fake.answer(1, 0, [9]);
    fake.end(1);
    expect(await map).toEqual([9]);
  });

  test("is none with words that time does not cure", async () => {
    const { fake, pool } = stage();
    const map = pool.map(square, [3]);
    await settle();
    await fake.sessions[0]?.close({ code: "protocol", message: "impossible" });
    await expect(map).rejects.toMatchObject({ code: "protocol" });
    expect(fake.sessions).toHaveLength(1);
  });

  test("is none of a closed fabric, nor of one that has left", async () => {
    for (const end of ["close", "leave"] as const) {
      const { fake, pool } = stage();
      const map = pool.mapAsync(square, [3]);
      map.get().catch(() => undefined);
      await settle();
      await fake.stop();
      await settle();
      await fake.fabric[end]();
      await fake.kill();
      await fake.begin();
      expect(await fake.dialled()).toBe(false);
      expect(map.ready()).toBe(end === "close");
    }
  });
});
