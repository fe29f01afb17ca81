import type { Assignment, JobNumber, PoolNumber, WorkerKey } from "@heddle/core-pool";
import type { WorkerExit, WorkerProcess } from "@heddle/port-processes";
import type {
  AssignChunk,
  ChunkReturned,
  DescribeJob,
  HeldOutgoing,
  PayloadFlow,
  PayloadInflow,
  PayloadOutflow,
  WorkerRequestEntry,
} from "@heddle/wire";

/** A job of which chunks came here. */
export interface JobRecord {
  readonly number: JobNumber;
  readonly pool: PoolNumber;
  readonly description: DescribeJob;
  /** Where its artifacts lie on this machine, by hash, once all are here. */
  places: ReadonlyMap<string, string> | undefined;
  /** Chunks here that are not finished. */
  chunks: number;
  /** The coordinator sends no more of it: dropped with its last chunk. */
  forgotten: boolean;
}

/** A chunk that is here, from its assignment to its finish. */
export interface ChunkRecord {
  readonly assignment: Assignment;
  readonly job: JobRecord;
  readonly assign: AssignChunk;
  /** Kept until the finish: it may have to be sent to a second worker. */
  readonly input: PayloadFlow;
  /** What an attempt before has left of one of its items, kept like the input. */
  readonly restored: PayloadFlow | undefined;
  /** The worker that it was sent to last: only that one's answer counts. */
  worker: WorkerRecord | undefined;
  /** What a worker returned, while the core decides. */
  returned: Returned | undefined;
  /** It was to be stopped, even if it ran. */
  isStopped: boolean;
  /** What one of its items has come to, while the coordinator does not keep up. */
  unsaid: Checkpoint | undefined;
}

/** What an item has come to, as its task has said. */
export interface Checkpoint {
  /** Of the item in its chunk. */
  readonly offset: number;
  /** Complete, and kept. */
  readonly state: PayloadFlow;
}

/** What a worker returned of a chunk. */
export interface Returned {
  readonly message: ChunkReturned;
  readonly values: PayloadFlow | undefined;
  readonly userError: PayloadFlow | undefined;
  /** Set when the values are on their way to the coordinator already. */
  readonly relay: HeldOutgoing | undefined;
}

/** Whose a worker is that runs one process of a user and no chunks: the pool's core does not know it. */
export interface WorkerLead {
  /** The coordinator's number of the process. */
  readonly number: number;
  readonly isProcess: true;
  /** How many tasks and processes it is inside of. */
  readonly depth: number;
  /** It said that it can run something. */
  readonly ready: () => void;
  /** The worker is gone. */
  readonly exited: (exit: WorkerExit) => void;
}

/** A worker process, from its start to its exit. */
export interface WorkerRecord {
  readonly key: WorkerKey;
  /** Set for one that is no pool's. */
  readonly lead: WorkerLead | undefined;
  process: WorkerProcess<WorkerRequestEntry>;
  readonly inflow: PayloadInflow;
  readonly outflow: PayloadOutflow;
  /** Jobs it is prepared for, the one used least recently first. Size <= WORKER_JOBS_MAX, as the worker's own. */
  readonly prepared: Set<JobNumber>;
  /** The job whose chunk it got last: what it prints is that job's. */
  lastJob: JobRecord | undefined;
  /** Chunk it got last, for the place of its output. */
  lastAttempt: number;
  /** Artifacts that it asked for and was not told of. Size <= WORKER_WANTS_MAX. */
  wants: number;
  /** It said that it can run chunks. */
  ready: boolean;
  /** It said that it has run its pool's initializer. */
  joined: boolean;
  /** What it did against the protocol, before it was killed for it. */
  offence: string | undefined;
  /** It was told to end. */
  isTold: boolean;
  exit: WorkerExit | undefined;
}
