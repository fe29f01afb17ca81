import { ITEM_BYTES_MAX } from "@heddle/kernel";

/**
 * Bounds of the shared objects. What would go above one is refused with code "limit" and that name; nothing is done then.
 * They are part of what a log means: a build with other bounds must start from a snapshot, not from a log of an older build.
 */
export interface ObjectLimits {
  /** Sessions that live. Above: the opening is refused. */
  readonly SESSIONS_MAX: number;
  /** Owners of one session that live. Above: the operations of a new one are refused. */
  readonly OWNERS_MAX: number;
  /** Owners of all sessions that live. Above: as with OWNERS_MAX. */
  readonly ALL_OWNERS_MAX: number;
  /** Numbers of closed owners remembered by each session, the highest; what is not above the lowest of them counts as closed, unless it lives. */
  readonly CLOSED_OWNERS_MAX: number;
  /**
   * Replies of one owner that it did not acknowledge: as many as a client has under way, and all its waits besides, which may be granted at once. Above: its operations are
   * refused, and such a refusal is not remembered.
   */
  readonly REPLIES_MAX: number;
  /** Replies of all owners of one session that they did not acknowledge: half of ALL_REPLIES_MAX. Above: as with REPLIES_MAX. */
  readonly SESSION_REPLIES_MAX: number;
  /** Replies of all sessions that were not acknowledged. Above: as with REPLIES_MAX. */
  readonly ALL_REPLIES_MAX: number;
  /** Operations that wait at one object: those that write, and for one that reads, readers included. Whoever may use an object may fill its lines. */
  readonly WAITERS_MAX: number;
  /** Operations of one session that wait, counted as for WAITERS_MAX: half of WAITS_MAX. */
  readonly SESSION_WAITS_MAX: number;
  /** Operations that wait, of all sessions, counted as for WAITERS_MAX. */
  readonly WAITS_MAX: number;
  /** Locks, holds of permits and ends of pipes that one session has or has sent: half of HOLDS_MAX. A wait that is granted always is. */
  readonly SESSION_HOLDS_MAX: number;
  /** The same of all sessions. */
  readonly HOLDS_MAX: number;
  /** Readers of one session that wait for changes: half of WATCHERS_MAX. */
  readonly SESSION_WATCHERS_MAX: number;
  /** Readers that wait for changes, of all objects. */
  readonly WATCHERS_MAX: number;
  /** Objects that one session has made, half of OBJECTS_MAX. Those with a name that it leaves behind count in all alone. */
  readonly SESSION_OBJECTS_MAX: number;
  /** Objects of all sessions. */
  readonly OBJECTS_MAX: number;
  /** Entries of a dict, items of a list or queue, messages to one end of a pipe. What takes away is always done. */
  readonly OBJECT_ITEMS_MAX: number;
  /** The name of an object, as UTF-16 units. */
  readonly NAME_BYTES_MAX: number;
  /** A key of a dict, encoded. */
  readonly KEY_BYTES_MAX: number;
  /** Arrays inside each other in a key. */
  readonly KEY_DEPTH_MAX: number;
  /** One value, encoded; all cells of a value or array. */
  readonly ITEM_BYTES_MAX: number;
  /** Everything that is kept: keys, values, items, replies that are not acknowledged, outcomes of items, and ITEM_OVERHEAD_BYTES for each. What takes away is always done. */
  readonly DATA_BYTES_MAX: number;
  /** Operations, and expectations, of one transaction. */
  readonly TRANSACTION_OPERATIONS_MAX: number;
  /** Jobs whose items' writes count once that one session has opened: half of EFFECTS_JOBS_MAX. Those that outlive it count in all alone once it is gone. */
  readonly SESSION_EFFECTS_JOBS_MAX: number;
  /** The same of all sessions. */
  readonly EFFECTS_JOBS_MAX: number;
  /** Items of one commit, or of one question what is settled. */
  readonly EFFECTS_ITEMS_MAX: number;
  /** Operations, and expectations, of one commit of such items. */
  readonly EFFECTS_OPERATIONS_MAX: number;
  /** Values of one such commit, outcomes and what is written, encoded: a batch of operations, and a record of the journal, hold so much and what names it. */
  readonly EFFECTS_COMMIT_BYTES_MAX: number;
  /** The outcome of one item. */
  readonly EFFECTS_OUTCOME_BYTES_MAX: number;
  /** Outcomes of one job, with what they count besides. They are kept until the job is closed. */
  readonly EFFECTS_JOB_BYTES_MAX: number;
  /** Operations of one that is tried. */
  readonly EFFECTS_TRY_OPERATIONS_MAX: number;
  /** Locks that guard one operation. */
  readonly GUARDS_MAX: number;
  /** Changes of one object that are remembered for those who watch it. The oldest are forgotten: who needs them is told so. */
  readonly HISTORY_CHANGES_MAX: number;
  /** Bytes of all changes remembered. The histories of the objects that were watched least recently are forgotten. */
  readonly HISTORY_BYTES_MAX: number;
}

/** What the manager runs with. */
export const OBJECT_LIMITS: ObjectLimits = {
  SESSIONS_MAX: 10_000,
  OWNERS_MAX: 10_000,
  ALL_OWNERS_MAX: 100_000,
  CLOSED_OWNERS_MAX: 4_096,
  REPLIES_MAX: 128 * 1_024,
  SESSION_REPLIES_MAX: 1_024 * 1_024,
  ALL_REPLIES_MAX: 2 * 1_024 * 1_024,
  WAITERS_MAX: 10_000,
  SESSION_WAITS_MAX: 128 * 1_024,
  WAITS_MAX: 256 * 1_024,
  SESSION_HOLDS_MAX: 128 * 1_024,
  HOLDS_MAX: 256 * 1_024,
  SESSION_WATCHERS_MAX: 5_000,
  WATCHERS_MAX: 10_000,
  SESSION_OBJECTS_MAX: 50_000,
  OBJECTS_MAX: 100_000,
  OBJECT_ITEMS_MAX: 1_000_000,
  NAME_BYTES_MAX: 1_024,
  KEY_BYTES_MAX: 1_024,
  KEY_DEPTH_MAX: 4,
  ITEM_BYTES_MAX,
  DATA_BYTES_MAX: 2 * 1024 * 1024 * 1024,
  TRANSACTION_OPERATIONS_MAX: 128,
  SESSION_EFFECTS_JOBS_MAX: 500,
  EFFECTS_JOBS_MAX: 1_000,
  EFFECTS_ITEMS_MAX: 1_000_000,
  EFFECTS_OPERATIONS_MAX: 10_000,
  EFFECTS_COMMIT_BYTES_MAX: ITEM_BYTES_MAX,
  EFFECTS_OUTCOME_BYTES_MAX: 1024 * 1024,
  EFFECTS_JOB_BYTES_MAX: 256 * 1024 * 1024,
  EFFECTS_TRY_OPERATIONS_MAX: 10_000,
  GUARDS_MAX: 16,
  HISTORY_CHANGES_MAX: 1_024,
  HISTORY_BYTES_MAX: 64 * 1024 * 1024,
};

/** What each object and each kept value counts beside its bytes: about what V8 takes for a small typed array of its own. */
export const ITEM_OVERHEAD_BYTES = 256;

/** Values of one piece of a snapshot, at most. */
export const SNAPSHOT_PIECE_ITEMS = 1_024;
/** Bytes of values at which a piece of a snapshot is full; a larger value is in parts of this size. */
export const SNAPSHOT_PIECE_BYTES = 1024 * 1024;
