import { JobStoreDamagedError, MemoryJobs } from "@heddle/port-job-store";
import { expect, onTestFinished, test } from "vitest";
import { attach, keeper, Lives, submit, told, work } from "./kept-testing.ts";
import { settle } from "./testing.ts";

type Piece = Parameters<MemoryJobs["find"]>[0];

/** A disk of which one piece is not what was stored. */
class DamagedJobs extends MemoryJobs {
  isDamaged: (piece: Piece) => boolean = () => false;

  override find(piece: Piece): Uint8Array | undefined {
    if (this.isDamaged(piece)) throw new JobStoreDamagedError(`${piece.type} of job ${piece.job} is damaged`);
    return super.find(piece);
  }
}

async function openStage() {
  const disk = new DamagedJobs();
  const bench = await new Lives(onTestFinished, disk).next();
  return { disk, bench, client: await keeper(bench) };
}

test("damage to a chunk of a kept job fails that job in words, and no other", async () => {
  const { disk, bench, client } = await openStage();
  disk.isDamaged = (piece) => piece.type === "input" && piece.chunk === 1 && piece.job === "job-1";
  await submit(client, 1, [1, 1]);
  await submit(client, 2, [1, 1]);
  await work(await bench.node("n1", 8, { slots: 8 }));
  const listener = await bench.client();
  attach(listener, 1, "job-1");
  attach(listener, 2, "job-2");
  await settle();
  expect(told(listener).findLast((line) => line.startsWith("1 "))).toBe("1 ended 2 internal");
  expect(listener.said("jobEnded").find(({ job }) => job === 1)?.error?.message).toBe(
    "chunk 1 of job job-1 cannot be read from the coordinator's store",
  );
  expect(told(listener).filter((line) => line.startsWith("2 "))).toEqual([
    ...["2 attached to 2", "2 0+1: 0", "2 1+1: 10", "2 ended 1"],
  ]);
});

test("damage to an answer is told to whoever comes to it, in words; the job and what others have heard of it stay", async () => {
  const { disk, bench, client } = await openStage();
  const early = await bench.client();
  await submit(client, 1, [1, 1]);
  attach(early, 1);
  await work(await bench.node("n1", 8, { slots: 8 }));
  disk.isDamaged = (piece) => piece.type === "answer" && piece.answer === 1;
  const late = await bench.client();
  attach(late, 1);
  await settle();
  expect(told(early)).toEqual(["1 attached to 2", "1 0+1: 0", "1 1+1: 10", "1 ended 1"]);
  expect(told(late)).toEqual(["1 attached to 2", "1 0+1: 0", "1 ended 2 internal"]);
  expect(late.said("jobEnded")[0]?.error?.message).toBe(
    "answer 1 of job job-1 cannot be read from the coordinator's store",
  );
  expect((await bench.jobs())[0]).toMatchObject({ jobId: "job-1", state: "done" });
});
