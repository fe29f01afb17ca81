/** What tests of kept jobs have in common. */
import { JobOutcome, type OfferChunk } from "@heddle/wire";
import { FakeCoordinator, inline, settle, userFailure } from "./testing.ts";

/** What the jobs of these tests run. */
export const square = (n: number): number => n * n;

/** A client whose coordinator keeps jobs as the test says, with a pool. The caller disposes `fake`. */
export function keptStage(slots?: number) {
  const fake = new FakeCoordinator(slots);
  const pool = fake.fabric.pool();
  /** So many chunks are on disk; with a digest all of the job. */
  const keep = (chunks: number, digest = "", job = 1): void =>
    fake.tell({ $case: "jobKept", value: { job, chunks, digest } });
  /** Takes all that was and will be offered, of a job that fits the bounds. */
  const keepAll = async (job = 1): Promise<string> => {
    await settle();
    const sealing = () => fake.said("sealKeptJob").findLast((one) => one.job === job);
    do {
      keep(fake.said("offerChunk").filter((one) => one.job === job).length, "", job);
      await settle();
    } while (sealing() === undefined);
    const sealed = sealing();
    keep(sealed?.chunkCount ?? 0, sealed?.digest ?? "", job);
    await settle();
    return sealed?.digest ?? "";
  };
  const attached = (items: number, { job = 2, shape = "list", name = "", digest = "" } = {}): void =>
    fake.tell({
      $case: "jobAttached",
      value: { job, keep: { detached: true, shape, timeoutMs: 0, effectsOnce: false }, items, name, ageMs: 0, digest },
    });
  const values = (firstIndex: number, all: readonly unknown[], job = 2): void =>
    fake.tell({
      $case: "keptSpanDone",
      value: { job, span: { firstIndex, count: all.length }, values: inline(all) },
    });
  const failed = (index: number, error: unknown, job = 2): void =>
    fake.tell({ $case: "keptItemFailed", value: { job, index, failure: userFailure(0, error), chunk: 3 } });
  const refused = (code: string, job = 1, outcome = JobOutcome.FAILED): void => {
    const nothing = { path: "", side: "", limitName: "", limit: 0, actual: 0, cause: new Uint8Array() };
    fake.tell({ $case: "jobEnded", value: { job, outcome, error: { code, message: "said so", ...nothing } } });
  };
  const offered = (): [number, number][] => fake.said("offerChunk").map(placeOf);
  return { fake, pool, keep, keepAll, attached, values, failed, refused, offered };
}

function placeOf({ chunk, firstIndex }: OfferChunk): [number, number] {
  return [chunk, firstIndex];
}
