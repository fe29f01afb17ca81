import type { Brand, Millis } from "@heddle/kernel";

/** One session of one node. A node that comes back after its lease, or under a newer agent, has a new key. */
export type NodeKey = Brand<number, "NodeKey">;
/** One session of one client. */
export type ClientKey = Brand<number, "ClientKey">;
/** One pool of one client. */
export type PoolKey = Brand<number, "PoolKey">;
/** One job, live or ended. */
export type JobKey = Brand<number, "JobKey">;
/** One placement of one span on one node. Minted by the core, never reused. */
export type AssignmentId = Brand<number, "AssignmentId">;

/** What a node must have for something to run on it. */
export interface Requirements {
  /** The node carries each of these labels with this value. */
  readonly labels: ReadonlyMap<string, string>;
  /** The node has as much free of each; taken from it for as long as a chunk is placed on it. Amounts that are not above 0 ask for nothing. */
  readonly resources: ReadonlyMap<string, number>;
}

/** What the client of a job has of it from a session before. */
export interface Resumed {
  /** Result bytes that were delivered and not taken. */
  readonly unreadBytes: number;
  /** Of an ordered job: chunks below this number leave a gap before a result that was delivered. */
  readonly gapChunks: number;
}

/** Consecutive items of a chunk. */
export interface ItemSpan {
  readonly offset: number;
  readonly count: number;
}

/**
 * Facts. Each is safe at any time and any number of times: what no longer applies (unknown keys, late results, repetitions) changes nothing.
 * A key that was used before never names something new.
 */
export type Input =
  | { readonly type: "client-joined"; readonly client: ClientKey }
  /** Lease over or goodbye: its jobs are cancelled, its pools closed. */
  | { readonly type: "client-left"; readonly client: ClientKey }
  /** The client reads its results too slowly (true): its jobs get no new chunk until false. */
  | { readonly type: "client-throttled"; readonly client: ClientKey; readonly throttled: boolean }
  /** There is no room for more results of the job (true): none of its chunks starts that was never placed, but for a gap before a result, until false. */
  | { readonly type: "job-throttled"; readonly job: JobKey; readonly throttled: boolean }
  /** `slotsMax`: most chunks of the pool that run at a time over all nodes; undefined for no bound. `requirements`: undefined for none. */
  | {
      readonly type: "pool-opened";
      readonly pool: PoolKey;
      readonly client: ClientKey;
      readonly slotsMax: number | undefined;
      readonly requirements: Requirements | undefined;
    }
  /** Its open jobs are cancelled. */
  | { readonly type: "pool-closed"; readonly pool: PoolKey }
  /**
   * `retries`: how often one item's own error is retried. `depth`: how many tasks it is inside of, 0 for a call from outside.
   * `collect`: an item that fails for good settles alone, the job goes on. `unreadBytesMax`: result bytes that may be delivered and not taken;
   * above, no chunk starts that was never placed; undefined for no bound. `ordered`: the consumer takes results in order: what was given
   * back unbegun and leaves a gap before a result starts whatever is unread. `requirements`: beside those of the pool, over which they win.
   * `speculate`: a span that runs for much longer than others may be backed up by a second assignment on another node; of jobs from outside only.
   */
  | {
      readonly type: "job-opened";
      readonly job: JobKey;
      readonly pool: PoolKey;
      readonly retries: number;
      readonly depth: number;
      readonly collect: boolean;
      readonly unreadBytesMax: number | undefined;
      readonly ordered: boolean;
      readonly requirements: Requirements | undefined;
      readonly speculate?: boolean | undefined;
      /** It was open in a session before; undefined for a new one. */
      readonly resumed?: Resumed | undefined;
    }
  /**
   * `chunk` counts from 0 without gaps; `count` >= 1 items. `grain`: it is several small chunks of so many items each, counted from its first
   * item (the last may have fewer), that travel as one; 0: it is one. `settled`: items that were answered in a session before: they get no span, and no
   * answer; undefined for none.
   */
  | {
      readonly type: "chunk-offered";
      readonly job: JobKey;
      readonly chunk: number;
      readonly count: number;
      readonly grain: number;
      readonly settled?: readonly ItemSpan[] | undefined;
    }
  /** The consumer took results of so many bytes, beside those told before: the one fact that must not be repeated. */
  | { readonly type: "results-taken"; readonly job: JobKey; readonly bytes: number }
  /** No more chunks; `chunks` may be 0. */
  | { readonly type: "job-sealed"; readonly job: JobKey; readonly chunks: number }
  | { readonly type: "job-cancel-requested"; readonly job: JobKey }
  /** `lastsMs`: so long from now what runs there is told to come to an end, and nothing is placed that would not be over by then, as far as is known; undefined when nobody knows of an end. */
  | {
      readonly type: "node-joined";
      readonly node: NodeKey;
      readonly lastsMs?: Millis | undefined;
      readonly slots: number;
      readonly labels: ReadonlyMap<string, string>;
      readonly resources: ReadonlyMap<string, number>;
    }
  /** Chunks the node will hold at a time, running ones included; replaces the last grant. 0 until the first. */
  | { readonly type: "credit-granted"; readonly node: NodeKey; readonly chunks: number }
  /** Its connection broke (true): it keeps what it has and gets nothing new until false or `node-lost`. */
  | { readonly type: "node-silent"; readonly node: NodeKey; readonly silent: boolean }
  /** It gets nothing new (true), and goes on with what it has; false undoes that and a drain. */
  | { readonly type: "node-cordoned"; readonly node: NodeKey; readonly cordoned: boolean }
  /**
   * Cordons it; unstarted chunks are revoked, the others may end for `stopAfterMs` from now and are then revoked with `stop`; `node-drained`
   * when the last one is finished. Another one replaces that time; `node-cordoned` false undoes it.
   */
  | { readonly type: "node-drain-requested"; readonly node: NodeKey; readonly stopAfterMs: Millis }
  /** Its agent ends: it gets nothing new, unstarted chunks are revoked, `node-drained` when the last one is finished. Not undone. */
  | { readonly type: "node-leaving"; readonly node: NodeKey }
  /** Gone for good: lease over, replaced or left. */
  | { readonly type: "node-lost"; readonly node: NodeKey }
  | { readonly type: "chunk-started"; readonly assignment: AssignmentId }
  | {
      readonly type: "chunk-finished";
      readonly assignment: AssignmentId;
      readonly outcome: Outcome;
      readonly runMs: Millis;
    }
  | { readonly type: "timer-fired" };

/** How an assignment ended. Offsets count from the chunk's first item. `bytes`: size of the payload of the values that came with it. */
export type Outcome =
  | { readonly type: "done"; readonly bytes: number }
  /** Its first `completed` items are done, the next one failed by its own error, the rest was not tried. */
  | { readonly type: "item-error"; readonly completed: number; readonly bytes: number }
  /** Its first `completed` items are done, fewer than all; the rest was not begun. */
  | { readonly type: "part-done"; readonly completed: number; readonly bytes: number }
  /** The item at `offset` ran for longer than its job allows: its worker was stopped, nothing is known of the other items. */
  | { readonly type: "item-overdue"; readonly offset: number }
  /** `markedOffset`: the item that the worker had marked last (an offset in the chunk), undefined when there was no mark. */
  | { readonly type: "worker-death"; readonly markedOffset: number | undefined }
  /** Never begun. `fault`: the node cannot start workers, and why; undefined when it was revoked or the node leaves. */
  | { readonly type: "not-started"; readonly fault: string | undefined }
  /** Never begun: the pool's initializer failed in the worker that was to run it, and how. */
  | { readonly type: "init-failed"; readonly fault: string }
  /** Stopped because it was revoked with `stop`. */
  | { readonly type: "stopped" };

/** Wishes, to be performed in the order returned. */
export type Effect =
  /**
   * Run items [offset, offset + count) of the chunk. `attempt`: nth placement of these items, from 1; the one before may still run elsewhere when
   * the job speculates: the first answer counts. `marks`: mark each item. `poolSlots`:
   * share of the pool's bound on this node. `fresh`: in a worker that has run nothing before; true only for a suspect: an item alone that was
   * blamed for a death. `grain`: the chunk's, when the span is longer; else 0.
   */
  | {
      readonly type: "assign-chunk";
      readonly node: NodeKey;
      readonly assignment: AssignmentId;
      readonly job: JobKey;
      readonly chunk: number;
      readonly offset: number;
      readonly count: number;
      readonly attempt: number;
      readonly marks: boolean;
      readonly poolSlots: number;
      readonly fresh: boolean;
      readonly grain: number;
    }
  /** `stop` false: only if it was not started. A `chunk-finished` is expected in either case, unless the node is lost. */
  | { readonly type: "revoke-chunk"; readonly node: NodeKey; readonly assignment: AssignmentId; readonly stop: boolean }
  /** The values that came with this finished assignment are the result of these items: the one DONE they ever get. */
  | {
      readonly type: "deliver-span";
      readonly job: JobKey;
      readonly chunk: number;
      readonly offset: number;
      readonly count: number;
      readonly assignment: AssignmentId;
    }
  /** This item failed for good; unless its job collects, the job is failing. `assignment`: the one whose outcome tells why; for "node-loss" the last one lost. */
  | {
      readonly type: "fail-item";
      readonly job: JobKey;
      readonly chunk: number;
      readonly offset: number;
      readonly assignment: AssignmentId;
      readonly cause: "item-error" | "item-overdue" | "worker-death" | "node-loss";
      readonly attempt: number;
    }
  /** Exactly one per opened job, last of it. `fault`: why the fabric gave up, when no item failed. */
  | {
      readonly type: "end-job";
      readonly job: JobKey;
      readonly outcome: "done" | "failed" | "cancelled";
      readonly fault: Fault | undefined;
    }
  /** Every item of the chunk is settled or dropped: its input is not needed again. */
  | { readonly type: "release-chunk"; readonly job: JobKey; readonly chunk: number }
  /** The node was given chunks of this job and will get no more. */
  | { readonly type: "forget-job"; readonly node: NodeKey; readonly job: JobKey }
  /** The node was given chunks of this pool and will get no more. */
  | { readonly type: "retire-pool"; readonly node: NodeKey; readonly pool: PoolKey }
  /** Nothing of a node is left that drains or leaves. */
  | { readonly type: "node-drained"; readonly node: NodeKey }
  /**
   * It fails too much of what it is given: it gets nothing until then, what has not begun is asked back, what runs goes on. It comes back
   * before that when too few nodes were left, and when it is uncordoned.
   */
  | { readonly type: "exclude-node"; readonly node: NodeKey; readonly untilMs: Millis; readonly reason: string }
  /** It takes work again. */
  | { readonly type: "readmit-node"; readonly node: NodeKey }
  /** Nodes that take work and their slots, whenever that changes. */
  | { readonly type: "announce-capacity"; readonly slots: number; readonly nodes: number }
  /** Feed `timer-fired` at `atMs`. Replaces the last one. */
  | { readonly type: "set-timer"; readonly atMs: Millis };

/** Why the fabric gave a job up. */
export interface Fault {
  /** pool-init: its pool's workers cannot be started or initialised, or what its client says does not fit. unschedulable: no node could ever run it. */
  readonly code: "pool-init" | "unschedulable";
  readonly message: string;
}

/** Numbers for operators; a snapshot. */
export interface JobView {
  readonly job: JobKey;
  readonly state: "running" | "failing" | "cancelling";
  readonly itemsOffered: number;
  readonly itemsDone: number;
  readonly chunksOffered: number;
  readonly chunksDone: number;
  /** Backups are counted, too, and those that were overtaken until they have ended. */
  readonly chunksPlaced: number;
  readonly chunksWaiting: number;
}

/** Numbers for operators; a snapshot. */
export interface NodeView {
  readonly node: NodeKey;
  readonly state: "ready" | "silent" | "cordoned" | "draining" | "drained" | "excluded";
  readonly slots: number;
  readonly credit: number;
  readonly chunks: number;
  /** Why it is excluded, and until when, whatever its state; undefined when it is not. */
  readonly exclusion: { readonly reason: string; readonly untilMs: Millis } | undefined;
}
