import type { Millis } from "@heddle/kernel";
import { identityText } from "@heddle/port-rpc";
import type { JobStatus } from "@heddle/wire";
import type { KeptJob } from "./kept-job.ts";

/** A kept job as operators see it that does not run: not yet, or not any more. */
export function keptStatus(
  job: KeptJob,
  state: "submitting" | "done" | "failed",
  failure: string,
  nowMs: Millis,
): JobStatus {
  const { opened, description, caller } = job.spec;
  const ageMs = Math.max(0, Math.round(nowMs - job.openedMs));
  return {
    jobId: job.id,
    name: opened.name === "" ? (opened.function?.displayName ?? "") : opened.name,
    state,
    itemsDone: job.answers.reduce((sum, answer) => sum + (answer.failure === undefined ? answer.count : 0), 0),
    itemsOffered: job.items,
    chunksOffered: job.chunkCount,
    chunksPlaced: 0,
    chunksDone: job.chunks.filter(({ itemsSettled, count }) => itemsSettled === count).length,
    ageMs,
    durationMs: state === "submitting" ? 0 : Math.max(1, ageMs),
    client: description,
    failure,
    identity: identityText(caller),
    kept: true,
    detached: job.isDetached,
    listeners: job.listenerCount,
  };
}
