import type { Brand, Millis } from "@heddle/kernel";

/** One worker process of this agent. Minted by the core, never reused. */
export type WorkerKey = Brand<number, "WorkerKey">;
/** The coordinator's number of a pool. */
export type PoolNumber = Brand<number, "PoolNumber">;
/** The coordinator's number of a job. */
export type JobNumber = Brand<number, "JobNumber">;
/** The coordinator's name of a placement of a chunk on this node. */
export type Assignment = Brand<number, "Assignment">;

/** What a job, or its pool, asks of the workers that run it. */
export interface JobTerms {
  /** Its pool's workers run an initializer before their first chunk, and say when they are through. */
  readonly hasInitializer: boolean;
  /** A worker of its pool is replaced after this many chunks; undefined: as the options say. */
  readonly chunksPerWorkerMax: number | undefined;
  /** A worker of its pool whose resident set is larger when a chunk ends is replaced; undefined: however large. */
  readonly rssBytesPerWorkerMax: number | undefined;
  /** Longest run of one item; undefined: however long. Its workers write marks in every chunk. */
  readonly itemTimeoutMs: Millis | undefined;
}

/** "I am about to run this item", as a worker left it behind. */
export interface ItemMark {
  readonly assignment: Assignment;
  /** Offset of the item in its chunk. */
  readonly offset: number;
}

/** Facts. Each is safe at any time: what no longer applies (unknown keys, repetitions) changes nothing. */
export type Input =
  /** First input. Blank workers are started. */
  | { readonly type: "started" }
  /** `depth`: how many tasks it is inside of, 0 for a call from outside. Without `terms` it asks for nothing. */
  | {
      readonly type: "job-described";
      readonly job: JobNumber;
      readonly pool: PoolNumber;
      readonly depth: number;
      readonly terms?: JobTerms;
    }
  /** Its code is on this machine: its chunks may run. */
  | { readonly type: "job-ready"; readonly job: JobNumber }
  /** Its code cannot be had: its chunks finish as not started, with this fault. */
  | { readonly type: "job-broken"; readonly job: JobNumber; readonly fault: string }
  | { readonly type: "job-forgotten"; readonly job: JobNumber }
  /**
   * Run it. `poolSlots`: most chunks of its pool that run here at a time, from now on. `fresh`: in a worker that has run
   * nothing before, with nothing behind it. `grains`: small chunks that travel as this one, 1 when not told.
   */
  | {
      readonly type: "chunk-assigned";
      readonly assignment: Assignment;
      readonly job: JobNumber;
      readonly poolSlots: number;
      readonly fresh: boolean;
      readonly grains?: number;
    }
  /** Take it back: only if not begun, or (`stop`) by killing its worker when it runs. */
  | { readonly type: "revoke-requested"; readonly assignment: Assignment; readonly stop: boolean }
  /** The pool is over: its workers end, its chunks finish as stopped or not started. */
  | { readonly type: "pool-retired"; readonly pool: PoolNumber }
  | { readonly type: "worker-ready"; readonly worker: WorkerKey }
  /** It has run its pool's initializer: what it runs from now on are chunks. */
  | { readonly type: "worker-joined"; readonly worker: WorkerKey }
  /** The initializer failed in the worker, which was to run the chunk and has not begun it. It runs nothing more. */
  | { readonly type: "init-failed"; readonly worker: WorkerKey; readonly assignment: Assignment }
  /**
   * The task that the worker runs waits for the fabric (true): its slot is free for others, until it goes on (false), which it does
   * whether there is a slot or not. The end of its chunk says false by itself.
   */
  | { readonly type: "task-waiting"; readonly worker: WorkerKey; readonly waiting: boolean }
  /**
   * A worker answered a chunk, in the order in which they were sent. `skipped`: it was left out as asked, maybe before its turn. `share`: the part of its items
   * that ran, above 0 to 1, when some were given back. `grains`: how many of its grains ran, all when not told. `rssBytes`: its resident
   * set then, if the job's terms ask for it.
   */
  | {
      readonly type: "chunk-returned";
      readonly worker: WorkerKey;
      readonly assignment: Assignment;
      readonly skipped: boolean;
      readonly runMs: Millis;
      readonly share?: number;
      readonly grains?: number;
      readonly rssBytes?: number;
    }
  /** The answer to `read-mark`: the item that was marked longest ago of those under way, and for how long; null when none is. */
  | {
      readonly type: "mark-seen";
      readonly worker: WorkerKey;
      readonly mark: (ItemMark & { readonly forMs: Millis }) | null;
    }
  /** The process is gone, and could not be started when `fault` is set. `mark`: the last it wrote, null for none. */
  | {
      readonly type: "worker-exited";
      readonly worker: WorkerKey;
      readonly mark: ItemMark | null;
      readonly fault: string | undefined;
    }
  /** The coordinator has given this node up or was replaced: everything is dropped without a report, workers with a chunk are killed. */
  | { readonly type: "coordinator-lost" }
  /** Takes nothing new; unstarted chunks finish as not started, `drained` when the running ones are over and every worker is gone. */
  | { readonly type: "drain-requested" }
  | { readonly type: "timer-fired" };

/** Wishes, to be performed in the order returned. Exactly one `finish-...` per assigned chunk, unless the coordinator is lost. */
export type Effect =
  | { readonly type: "spawn-worker"; readonly worker: WorkerKey }
  /** Send the chunk to the worker; it runs after those sent before. */
  | { readonly type: "run-chunk"; readonly worker: WorkerKey; readonly assignment: Assignment }
  /** Ask the worker to leave the chunk out; it answers by `chunk-returned` with or without `skipped`. */
  | { readonly type: "skip-chunk"; readonly worker: WorkerKey; readonly assignment: Assignment }
  | { readonly type: "kill-worker"; readonly worker: WorkerKey; readonly signal: "SIGTERM" | "SIGKILL" }
  /** Look at the worker's marks now, and feed `mark-seen`. */
  | { readonly type: "read-mark"; readonly worker: WorkerKey }
  /** Report what the worker returned: all of it, some first items, or an error. */
  | { readonly type: "finish-returned"; readonly assignment: Assignment; readonly worker: WorkerKey }
  /** Report the worker's death with this chunk. */
  | {
      readonly type: "finish-death";
      readonly assignment: Assignment;
      readonly worker: WorkerKey;
      readonly markedOffset: number | undefined;
    }
  /** Report that this item ran for too long: its worker was stopped. */
  | {
      readonly type: "finish-overdue";
      readonly assignment: Assignment;
      readonly worker: WorkerKey;
      readonly offset: number;
    }
  /** Report that the pool's initializer failed in the worker: it said so, or is gone. */
  | { readonly type: "finish-init-failure"; readonly assignment: Assignment; readonly worker: WorkerKey }
  | { readonly type: "finish-not-started"; readonly assignment: Assignment; readonly fault: string | undefined }
  | { readonly type: "finish-stopped"; readonly assignment: Assignment; readonly worker: WorkerKey }
  /** It has begun, or is believed to have, and is expected to take long enough to tell. */
  | { readonly type: "report-started"; readonly assignment: Assignment }
  /** Chunks this node will hold at a time, when that changes. */
  | { readonly type: "grant-credit"; readonly chunks: number }
  | { readonly type: "drained" }
  /** Feed `timer-fired` at `atMs`. Replaces the last one. */
  | { readonly type: "set-timer"; readonly atMs: Millis };

/** What the core is told once. */
export interface PoolOptions {
  /** Chunks that run at a time. */
  readonly slots: number;
  /** A worker is recycled after this many chunks, where its pool says nothing else; undefined for never. */
  readonly chunksPerWorkerMax?: number | undefined;
}
