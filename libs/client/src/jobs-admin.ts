import { InvalidArgumentError, ProtocolError } from "@heddle/kernel";
import {
  adminCancelJob,
  adminDescribeJob,
  type ChunkStatus,
  type JobAttempt,
  type JobStatus,
  type JobWait,
  type NodeStatus,
} from "@heddle/wire";
import type { Fabric } from "./fabric.ts";

/** Why a job is where it is. Ages are in milliseconds; texts of users' and nodes' are cut and have no control characters. */
interface JobReport {
  readonly job: JobStatus;
  /** Why what waits of it waits. */
  readonly waits: readonly JobWait[];
  /** What runs, or is on its way to a worker, longest first; at most 100 of the `runningCount` that there are. */
  readonly running: readonly JobAttempt[];
  readonly runningCount: number;
  /** What was tried and did not simply succeed, newest first: at most 100 of one job are remembered, and of an ended one as long as that is. */
  readonly attempts: readonly JobAttempt[];
  /** Nodes that it runs on. */
  readonly nodes: readonly NodeStatus[];
  /** Slots that its pool may use at a time; 0 for all. */
  readonly poolSlotsMax: number;
}

/** The same of one chunk: `running` and `attempts` are those that had to do with it. */
interface ChunkReport extends JobReport {
  readonly chunk: ChunkStatus;
}

/**
 * What an operator asks of a fabric's jobs, by their ids. Everything rejects with UnavailableError or TimeoutError when nobody answers, with AuthenticationError or
 * PermissionError when this side is not let in or may not ask this, and with NotFoundError for a job that is not open nor remembered.
 */
export interface JobsAdmin {
  readonly job: (jobId: string) => Promise<JobReport>;
  /** Of the chunk of that number, or the one with the item of that index. InvalidArgumentError unless it is one of the two, and a whole number. */
  readonly chunk: (
    jobId: string,
    which: { readonly chunk: number } | { readonly item: number },
  ) => Promise<ChunkReport>;
  /** Stops a job, kept or not, for all who wait for it. Resolves to whether it was not over. `reason`: for people, at most 200 characters. */
  readonly cancel: (jobId: string, options?: { readonly reason?: string | undefined }) => Promise<boolean>;
}

/** The questions of operators about the jobs of this fabric. */
export function jobsAdmin(fabric: Pick<Fabric, "ask">): JobsAdmin {
  const ask = async (jobId: string, which: { chunk?: number; item?: number }) => {
    const { job, chunk, ...rest } = await fabric.ask(adminDescribeJob, { jobId, ...both, ...which });
    if (job === undefined) throw new ProtocolError("the coordinator's answer does not say which job it is about");
    return { job, chunk, ...rest };
  };
  return {
    job: async (jobId) => {
      const { chunk: _none, ...report } = await ask(jobId, {});
      return report;
    },
    chunk: async (jobId, which) => {
      const [[name, index] = ["", Number.NaN]] = Object.entries(which);
      if (!Number.isSafeInteger(index) || index < 0 || (name === "chunk" && index > 0xffff_ffff))
        throw new InvalidArgumentError(`${name} ${index} is no index: a whole number from 0`);
      const { chunk, ...report } = await ask(jobId, which);
      if (chunk === undefined) throw new ProtocolError("the coordinator's answer does not tell of the chunk");
      return { ...report, chunk };
    },
    cancel: async (jobId, { reason = "" } = {}) => (await fabric.ask(adminCancelJob, { jobId, reason })).changed,
  };
}

const both = { chunk: undefined, item: undefined };
