import { environmentVariable } from "./host.ts";

/** A run of a job of a batch system. */
export interface BatchRun {
  /** The same in all runs of the job. */
  readonly job: string;
  /** How often it was run before. */
  readonly run: number;
}

/** The run of a Slurm job that this process belongs to; undefined outside. */
export function batchRun(): BatchRun | undefined {
  const job = environmentVariable("SLURM_JOB_ID");
  if (job === undefined) return undefined;
  const cluster = environmentVariable("SLURM_CLUSTER_NAME") ?? "slurm";
  const run = Number(environmentVariable("SLURM_RESTART_COUNT") ?? "0");
  return { job: `${cluster}/${job}`, run: Number.isSafeInteger(run) ? run : 0 };
}
