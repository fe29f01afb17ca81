/** A job, as the coordinator tells of it. */
export interface JobFacts {
  readonly jobId: string;
  readonly state: string;
  readonly client: string;
  /** Items that have their result, of those offered. */
  readonly items: string;
  readonly ageMs: number;
  /** It goes on whatever becomes of its client. */
  readonly detached: boolean;
  /** It is on the coordinator's disk. */
  readonly kept: boolean;
}

/** Whether something is still to come of a job. */
export function isOpen({ state }: { readonly state: string }): boolean {
  return !["done", "failed", "cancelled"].includes(state);
}
