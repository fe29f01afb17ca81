import { LimitError, PermissionError } from "@heddle/kernel";
import { type Caller, callerText, isSameCaller } from "@heddle/port-rpc";
import type { AdminCancelJobRequest } from "@heddle/wire";
import type { Office } from "./desk.ts";
import { jobNamed } from "./explain.ts";
import { CANCEL_REASON_LENGTH_MAX } from "./limits.ts";
import { plainLine } from "./plain.ts";
import { fabricError } from "./results.ts";

/**
 * Cancels a job that somebody names, who need not be its client; false when it is over already. Throws NotFoundError, LimitError for a reason that is too long,
 * and PermissionError for the job of another identity: whoever runs as the coordinator's user, or administers it, may cancel any.
 */
export function cancelNamed(office: Office, request: AdminCancelJobRequest, caller: Caller): boolean {
  const { jobId, reason } = request;
  if (reason.length > CANCEL_REASON_LENGTH_MAX) {
    const words = `the reason has ${reason.length} characters, ${CANCEL_REASON_LENGTH_MAX} are possible (CANCEL_REASON_LENGTH_MAX)`;
    throw new LimitError("CANCEL_REASON_LENGTH_MAX", CANCEL_REASON_LENGTH_MAX, reason.length, words);
  }
  const job = jobNamed(office.ledger, jobId);
  const owner = job.pool.client.caller;
  if (caller.role !== undefined && caller.role !== "admin" && !isSameCaller(owner, caller))
    throw new PermissionError(`job ${jobId} belongs to ${callerText(owner)}: ${callerText(caller)} may not cancel it`);
  if (!office.ledger.jobs.has(job.key)) return false;
  const why = plainLine(reason, CANCEL_REASON_LENGTH_MAX);
  const words = `job ${jobId} was cancelled by ${callerText(caller)}${why === "" ? "" : `: ${why}`}`;
  office.env.log.info("job cancelled", { job: jobId, reason: why, caller: callerText(caller) });
  job.cancelled ??= fabricError("cancelled", words);
  office.feed({ type: "job-cancel-requested", job: job.key });
  return true;
}
