import { type HeddleError, LimitError } from "@heddle/kernel";
import { JobStoreFullError, PIECE_BYTES_MAX } from "@heddle/port-job-store";
import { type Caller, callerText } from "@heddle/port-rpc";
import type { FabricError } from "@heddle/wire";
import { isEntitled } from "./checks.ts";
import type { KeptJob } from "./kept-job.ts";
import type { KeptShare } from "./kept-shares.ts";
import type { KeptSpace } from "./kept-space.ts";
import type { ClientRecord } from "./ledger.ts";
import { CALLER_KEPT_JOBS_MAX, KEPT_JOB_CHUNKS_MAX, KEPT_JOBS_MAX } from "./limits.ts";
import { fabricError } from "./results.ts";

/*
 * Why something cannot be kept, or listened to, in the words that its client hears.
 */

/** Why so many bytes more of a job cannot be kept; undefined when they can: then ended jobs may have gone for them, where its identity's share is full of that identity. */
export function roomRefusal(space: KeptSpace, share: KeptShare, more: number): FabricError | undefined {
  if (!share.hasRoom(more)) return noShare(share, more);
  return space.hasRoom(more) ? undefined : noRoom(space, more);
}

function noShare({ caller, bytes, bytesMax }: KeptShare, more: number): FabricError {
  const message = `${callerText(caller)} keeps ${bytes} bytes of jobs, and ${more} more would be above what one identity may have (CALLER_KEPT_BYTES_MAX), ${bytesMax} here: cancel jobs that are not needed, wait for some, or have the coordinator given more (--kept-bytes)`;
  return overLimit("CALLER_KEPT_BYTES_MAX", bytesMax, bytes + more, message);
}

/** Something does not fit into the space for kept jobs. */
function noRoom({ bytesMax, bytes }: KeptSpace, more: number): FabricError {
  const message = `the coordinator keeps ${bytes} bytes of jobs, and ${more} more would be above KEPT_BYTES_MAX, which is ${bytesMax}: cancel jobs that are not needed, or give it more (--kept-bytes)`;
  return overLimit("KEPT_BYTES_MAX", bytesMax, bytes + more, message);
}

/** The store takes no more, or not this. */
export function refusal(error: HeddleError): FabricError {
  if (error instanceof JobStoreFullError)
    return overLimit("DISK_SPACE", 0, 0, `the coordinator's disk is full, it cannot keep the job: ${error.message}`);
  const message = `the coordinator cannot keep the job: ${error.message}`;
  if (!(error instanceof LimitError)) return fabricError(error.code, message);
  return overLimit(error.limitName, error.limit, error.actual, message);
}

export function tooManyJobs(actual: number): FabricError {
  const message = `${KEPT_JOBS_MAX} kept jobs have not ended (KEPT_JOBS_MAX): wait for some, or cancel them`;
  return overLimit("KEPT_JOBS_MAX", KEPT_JOBS_MAX, actual, message);
}

/** `actual`: with the new one. Undefined: the identity may have so many. */
export function callersJobsRefusal({ caller }: KeptShare, actual: number): FabricError | undefined {
  if (caller.role === undefined || actual <= CALLER_KEPT_JOBS_MAX) return undefined;
  const message = `${callerText(caller)} has ${CALLER_KEPT_JOBS_MAX} kept jobs that have not ended, which is what one identity may have (CALLER_KEPT_JOBS_MAX): wait for some, or cancel them`;
  return overLimit("CALLER_KEPT_JOBS_MAX", CALLER_KEPT_JOBS_MAX, actual, message);
}

export function tooManyChunks(actual: number): FabricError {
  const message = `a kept job has ${KEPT_JOB_CHUNKS_MAX} chunks at most (KEPT_JOB_CHUNKS_MAX): give the call a larger chunkSize`;
  return overLimit("KEPT_JOB_CHUNKS_MAX", KEPT_JOB_CHUNKS_MAX, actual, message);
}

export function tooLargeChunk(chunk: number, actual: number): FabricError {
  const message = `chunk ${chunk} of a kept job has ${actual} bytes, ${PIECE_BYTES_MAX} are possible (PIECE_BYTES_MAX): give the call a smaller chunkSize`;
  return overLimit("PIECE_BYTES_MAX", PIECE_BYTES_MAX, actual, message);
}

/** The job is another identity's. */
export function foreign({ id, spec }: KeptJob, caller: Caller): FabricError {
  return fabricError("permission", `job ${id} belongs to ${callerText(spec.caller)}, not to ${callerText(caller)}`);
}

/** Why the client may not submit what is there; undefined when it may. */
export function openRefusal(job: KeptJob, client: ClientRecord): FabricError | undefined {
  const { submission, spec } = job;
  if (!isEntitled(spec.caller, client.caller)) return foreign(job, client.caller);
  if (submission === undefined) return undefined;
  if (spec.clientId !== client.id)
    return fabricError("conflict", `another client is submitting job ${job.id}: ${spec.description}`);
  if (submission.client === client)
    return fabricError("conflict", `another call of this client is submitting job ${job.id}`);
  return undefined;
}

function overLimit(limitName: string, limit: number, actual: number, message: string): FabricError {
  return { ...fabricError("limit", message), limitName, limit, actual };
}
