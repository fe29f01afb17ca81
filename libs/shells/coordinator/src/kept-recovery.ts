import type { Millis } from "@heddle/kernel";
import type { StoredJob } from "@heddle/port-job-store";
import { KeptJob } from "./kept-job.ts";
import { answerOf, chunkOf, noteOf, specOf } from "./kept-records.ts";
import type { KeptShares } from "./kept-shares.ts";

/** Now, by both clocks. */
export interface Now {
  readonly nowMs: Millis;
  /** The time of day; undefined when nobody knows. */
  readonly dayMs: Millis | undefined;
}

/** A kept job as it was left on disk: `digest` is set when all of it is there, `end` when it has ended. Throws JobStoreDamagedError. */
export function recoveredJob(stored: StoredJob, now: Now, shares: KeptShares): KeptJob {
  const spec = specOf(stored);
  const job = new KeptJob(spec, now.nowMs - ageOf(spec.openedAtMs, now), shares.of(spec.caller));
  job.specBytes = stored.spec.byteLength;
  for (const hash of stored.code) job.code.add(hash);
  for (const piece of stored.chunks) job.addChunk(chunkOf(job.id, piece));
  for (const piece of stored.answers) {
    const answer = answerOf(job.id, piece);
    job.answers.push(answer);
    job.answerBytes += answer.size;
    const chunk = job.chunkOf(answer.firstIndex);
    if (chunk !== undefined) job.settle(chunk, answer.firstIndex - chunk.firstIndex, answer.count);
  }
  job.inputBytes = job.chunks.reduce((sum, { size }) => sum + size, 0);
  const note = noteOf(stored);
  job.digest = note?.digest;
  if (note?.end === undefined) return job;
  const { outcome, error, endedAtMs } = note.end;
  job.end = { outcome, error, endedMs: now.nowMs - ageOf(endedAtMs, now) };
  job.forgetChunks(note.chunks, note.items);
  return job;
}

/** How long ago a time of day was, as far as anybody knows. */
function ageOf(atMs: Millis, { dayMs }: Now): Millis {
  return atMs === 0 || dayMs === undefined ? 0 : Math.max(0, dayMs - atMs);
}
