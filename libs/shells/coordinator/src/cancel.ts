import { JobId, LimitError, PermissionError } from "@heddle/kernel";
import { type Caller, callerText } from "@heddle/port-rpc";
import type { AdminCancelJobRequest, FabricError } from "@heddle/wire";
import { isEntitled } from "./checks.ts";
import type { Office } from "./desk.ts";
import { unknownJob } from "./explain.ts";
import type { JobHistory } from "./history.ts";
import type { KeptDesk } from "./kept-desk.ts";
import type { JobRecord } from "./ledger.ts";
import { CANCEL_REASON_LENGTH_MAX } from "./limits.ts";
import { plainLine } from "./plain.ts";
import { fabricError } from "./results.ts";

/**
 * Cancels a job that somebody names, who need not be its client; false when it is over already. Throws NotFoundError, LimitError for a reason that is too long,
 * and PermissionError for the job of another identity: whoever runs as the coordinator's user, or administers it, may cancel any.
 */
export function cancelNamed(
  office: Office,
  desk: { readonly kept: KeptDesk; readonly history: JobHistory },
  request: AdminCancelJobRequest,
  caller: Caller,
): boolean {
  const { jobId, reason } = request;
  if (reason.length > CANCEL_REASON_LENGTH_MAX) {
    const words = `the reason has ${reason.length} characters, ${CANCEL_REASON_LENGTH_MAX} are possible (CANCEL_REASON_LENGTH_MAX)`;
    throw new LimitError("CANCEL_REASON_LENGTH_MAX", CANCEL_REASON_LENGTH_MAX, reason.length, words);
  }
  const kept = desk.kept.get(JobId(jobId));
  const known = kept === undefined ? office.ledger.jobIds.get(JobId(jobId)) : undefined;
  const owner = kept?.spec.caller ?? known?.pool.client.caller;
  if (owner === undefined) {
    if (desk.history.find(JobId(jobId)) !== undefined) return false;
    throw unknownJob(jobId);
  }
  if (!isEntitled(owner, caller))
    throw new PermissionError(`job ${jobId} belongs to ${callerText(owner)}: ${callerText(caller)} may not cancel it`);
  const why = plainLine(reason, CANCEL_REASON_LENGTH_MAX);
  const words = `job ${jobId} was cancelled by ${callerText(caller)}${why === "" ? "" : `: ${why}`}`;
  const error = fabricError("cancelled", words);
  const isOpen = kept === undefined ? stop(office, known, error) : desk.kept.stop(kept, error);
  if (isOpen) office.env.log.info("job cancelled", { job: jobId, reason: why, caller: callerText(caller) });
  return isOpen;
}

function stop({ ledger, feed }: Office, job: JobRecord | undefined, error: FabricError): boolean {
  if (job === undefined || !ledger.jobs.has(job.key)) return false;
  job.verdict ??= { outcome: "cancelled", error };
  feed({ type: "job-cancel-requested", job: job.key });
  return true;
}

/** How a job ends, and why, when somebody else than its client has stopped it. One that was done before that was heard of is done, but not where it cannot be kept: then it was its last answer that failed it. */
export function verdictOn({ verdict }: JobRecord, outcome: "done" | "failed" | "cancelled"): JobRecord["verdict"] {
  return outcome === "cancelled" || (outcome === "done" && verdict?.outcome === "failed") ? verdict : undefined;
}
