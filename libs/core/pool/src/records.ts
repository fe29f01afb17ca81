import type { Millis } from "@heddle/kernel";
import { ChunkList } from "./chunk.ts";
import { RunTime } from "./run-time.ts";
import type { ItemMark, JobNumber, JobTerms, PoolNumber, WorkerKey } from "./types.ts";

/** Whether a job's code is on this machine. */
export type Code =
  | { readonly type: "awaited" }
  | { readonly type: "ready" }
  | { readonly type: "broken"; readonly fault: string };

/** A described job. Kept while it is not forgotten or has unfinished chunks. */
export class Job {
  readonly number: JobNumber;
  readonly pool: PoolRecord;
  /** Longest run of one of its items; undefined: however long. */
  readonly itemTimeoutMs: Millis | undefined;
  code: Code = { type: "awaited" };
  /** Its chunks while its code is awaited; empty otherwise. */
  readonly waiting = new ChunkList();
  /** Unfinished chunks of it, wherever they are. */
  unfinished = 0;
  forgotten = false;

  constructor(number: JobNumber, pool: PoolRecord, itemTimeoutMs: Millis | undefined) {
    this.number = number;
    this.pool = pool;
    this.itemTimeoutMs = itemTimeoutMs;
  }
}

/** What this node knows of one pool. Outlives its retirement while a worker bound to it lives. */
export class PoolRecord {
  readonly number: PoolNumber;
  readonly runTime = new RunTime();
  /** Chunks that may run in any worker of the pool and have none yet, by rising `order`. */
  readonly queue = new ChunkList();
  /** Those that need a fresh worker, likewise: they never stand in the way of the others. */
  readonly suspects = new ChunkList();
  /** Its workers with a chunk that were not told to end. */
  readonly busy: Worker[] = [];
  /** Its workers without a chunk that were not told to end; the longest idle first. */
  readonly idle: Worker[] = [];
  /** Its workers run an initializer before their first chunk. */
  hasInitializer = false;
  /** Chunks after which a worker of it is replaced; Infinity for never. */
  chunksPerWorkerMax: number;
  /** Resident set above which a worker of it is replaced, in bytes; Infinity for never. */
  rssBytesPerWorkerMax = Number.POSITIVE_INFINITY;
  /** How many tasks its jobs are inside of. */
  depth = 0;
  /** Most chunks of it that run here at a time: the latest value told. */
  slotsMax = 1;
  /** Its workers that run something, or wait in the middle of it: the busy ones and those that were told to end and still run something. */
  running = 0;
  /** Chunks sent to its busy workers. */
  held = 0;
  /** Turn of its last head start: of pools that run equally much the one served longest ago is next. */
  servedTurn = 0;
  /** Its decaying part of the node's recent run time. Written by Credit. */
  useMs = 0;
  /** Its highest level in this window of work. Written by Credit. */
  levelPeak = 0;
  /** Index in the dispatcher's backlog; -1 while its queues are empty. */
  backlogAt = -1;
  /** Where the search for a worker to deepen goes on. */
  cursor = 0;
  retired = false;

  constructor(number: PoolNumber, chunksPerWorkerMax: number) {
    this.number = number;
    this.chunksPerWorkerMax = chunksPerWorkerMax;
  }

  /** What a job of it was described with; the latest counts. */
  agree({ hasInitializer, chunksPerWorkerMax, rssBytesPerWorkerMax }: JobTerms): void {
    this.hasInitializer ||= hasInitializer;
    if (chunksPerWorkerMax !== undefined) this.chunksPerWorkerMax = Math.max(1, chunksPerWorkerMax);
    this.rssBytesPerWorkerMax = rssBytesPerWorkerMax ?? Number.POSITIVE_INFINITY;
  }
}

/** Life of a worker process; gone is to be in no map. STATES.md has the table. */
export type WorkerState = "spawning" | "blank" | "idle" | "busy" | "stopping";
/** Why a worker was told to end; "late": it was not ready in time. */
export type Ending = "asked" | "recycled" | "late";

/** A worker process from the wish to spawn it to its exit. */
export class Worker {
  readonly key: WorkerKey;
  /** The spawn gate's wave when it was started. */
  readonly wave: number;
  state: WorkerState = "spawning";
  /** The only pool it ever serves; undefined until its first chunk. */
  pool: PoolRecord | undefined = undefined;
  /** Chunks sent and not answered; the first one is its head, believed to run. Emptied when they are dropped. */
  readonly held = new ChunkList();
  /** It counts as running: it has a head, or had one that was dropped and has not exited. */
  occupiesSlot = false;
  /** The task that it runs waits for the fabric, and its slot is lent: it counts for its pool, but not for the node. Only while "busy". */
  waiting = false;
  /** Its task is inside of no other. Means nothing while it does not wait. */
  waitsOutside = false;
  /** When its head became its head. Means nothing without one. */
  headSinceMs: Millis = 0;
  /** Its head was seen to run for LONG_HEAD_MS. */
  longHead = false;
  /** Chunks it was given and did not leave out or give back; one of several grains counts as so many. */
  chunksTaken = 0;
  /** False from its first chunk until it has run its pool's initializer: what it holds is not begun, and nothing is sent behind it. */
  joined = true;
  /** Its resident set was too large when a chunk ended: it gets no more, and ends when it has none. */
  worn = false;
  /** When its marks are to be read: the item that runs could be overdue then. Infinity: nobody has to look. */
  watchAtMs: Millis = Number.POSITIVE_INFINITY;
  /** For how long this machine seemed to stand still before they were read last, and the item with it. */
  stillMs: Millis = 0;
  /** `read-mark` was emitted and its answer not heard. */
  markAsked = false;
  /** The item for which it was told to end; its chunk is finished by that, whatever the worker still says of it. */
  overdue: ItemMark | undefined = undefined;
  /** Set while "stopping". */
  ending: Ending = "asked";
  /** While spawning: when it must be ready. While stopping: when it gets SIGKILL, Infinity once it got it. */
  deadlineMs: Millis = Number.POSITIVE_INFINITY;
  /** Index in its pool's `busy`. Means nothing in other states. */
  busyAt = 0;
  /** Turn in which it became idle, and when. Mean nothing in other states. */
  idleTurn = 0;
  idleSinceMs: Millis = 0;
  /** When it was to be started. */
  spawnedMs: Millis = 0;
  /** While it is in use it is not evicted before. 0 until it is bound to a pool. */
  tenureUntilMs: Millis = 0;

  constructor(key: WorkerKey, wave: number) {
    this.key = key;
    this.wave = wave;
  }
}
