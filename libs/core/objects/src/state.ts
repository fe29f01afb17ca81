import type { Fifo } from "@heddle/kernel";
import type { CellStore } from "./cell-store.ts";
import type { KeyText } from "./keys.ts";
import type { ObjectLimits } from "./limits.ts";
import type { Line, Standing } from "./line.ts";
import type { Sequence } from "./sequence.ts";
import type { Spec } from "./spec.ts";
import type { Tally } from "./tally.ts";
import type { Effect, Operation, Reply, Revision, SessionNumber, ValueCodec } from "./types.ts";

/** Everything the core knows. What is called volatile is no part of what a log or a snapshot makes. */
export interface State {
  readonly values: ValueCodec;
  readonly limits: ObjectLimits;
  /** Of the command or operation that is being done. */
  revision: Revision;
  /** What the step that is being made wishes. */
  effects: Effect[];
  readonly sessions: Map<SessionNumber, Session>;
  readonly nonces: Map<string, Session>;
  /** In the order in which they were created. */
  readonly objects: Map<string, SharedObject>;
  /** Jobs whose items' writes count once, in the order in which they were opened. */
  readonly jobs: Map<string, EffectsJob>;
  /** What counts against DATA_BYTES_MAX: of all objects, all replies that are kept, and all jobs. */
  bytes: number;
  /** Of what is being done all or nothing: what takes back what it did so far, the last first. */
  undo: (() => void)[] | undefined;
  /** Volatile. Objects that changed in this step and have readers waiting. */
  readonly touched: Set<SharedObject>;
  /** Of all sessions, and of objects whose maker is gone. */
  readonly tally: Tally;
  /** Volatile. Objects whose changes are remembered; the one watched least recently first. */
  readonly watched: Set<SharedObject>;
  /** Volatile. Bytes of all changes remembered. */
  historyBytes: number;
}

/** A session that lives: it is in the tables and nothing else refers to it once it is dead. */
export interface Session {
  readonly number: SessionNumber;
  readonly nonce: string;
  readonly ttlMs: number;
  readonly description: string;
  readonly owners: Map<number, Owner>;
  /** Owners that are closed, above `closedUpTo`; the order does not count. */
  readonly closed: Set<number>;
  /** Owners up to it that do not live are closed; -1 at first. */
  closedUpTo: number;
  /** Ends of pipes that were sent and have not been received. */
  readonly sending: Set<PipeEnd>;
  /** Objects with a name that it made and that are there. */
  readonly named: Set<SharedObject>;
  /** Jobs that it opened and that outlive it. */
  readonly outliving: Set<EffectsJob>;
  /** Of all its owners. */
  readonly tally: Tally;
  /** Volatile. Readers that wait, by owner and number. */
  readonly readers: Map<number, Map<number, Reader>>;
}

/** An owner that lives and has written. */
export interface Owner {
  readonly session: Session;
  readonly number: number;
  /** Highest number of its operations seen: what is not above was answered and acknowledged, unless it is in one of the two maps. */
  lastSeq: number;
  /** Answered and not acknowledged. */
  readonly replies: Map<number, Reply>;
  /** Not answered. Each also stands in a line of an object. */
  readonly waiting: Map<number, Waiter>;
  readonly holds: Set<Hold>;
  readonly ends: Set<PipeEnd>;
  /** Its anonymous objects, in the order in which they were created. */
  readonly objects: Set<SharedObject>;
  /** Jobs that are forgotten with it, in the order in which they were opened. */
  readonly jobs: Set<EffectsJob>;
  /** Barriers whose action it runs. */
  readonly actions: Set<Barrier>;
}

/** A writing operation that waits. */
export interface Waiter extends Standing<Waiter> {
  readonly owner: Owner;
  readonly operation: Operation;
  /** The object asked; a condition's waiter may stand in the line of its lock. */
  readonly object: SharedObject;
  /** Revision at which it began to wait. */
  readonly since: Revision;
  /** Of an rlock, or a condition on one: who asks within the owner. */
  readonly flow: number;
  /** Of a condition: it was notified. */
  notified: boolean;
}

/** A reading operation that waits. Volatile. */
export interface Reader extends Standing<Reader> {
  readonly session: Session;
  readonly owner: number;
  readonly operation: Operation;
  readonly object: SharedObject;
  /** Of a watch: changes up to it were looked at. */
  after: Revision;
}

/** A lock or permits that somebody has. */
export interface Hold {
  readonly owner: Owner;
  readonly object: Lock | Semaphore;
  /** Revision of the operation or command by which it was granted. */
  readonly token: Revision;
  /** Of an rlock. */
  readonly flow: number;
  /** Permits; 1 of a lock. */
  count: number;
}

interface Base {
  readonly ref: string;
  readonly spec: Spec;
  /** Unique: one operation creates one object. */
  readonly created: Revision;
  /** Of the last change of what it holds. */
  changed: Revision;
  /** Of an anonymous object: it ends with this owner. */
  readonly creator: Owner | undefined;
  /** The session that made it, while that lives. */
  maker: Session | undefined;
  /** What counts against DATA_BYTES_MAX. */
  bytes: number;
  /** Volatile. */
  readonly readers: Line<Reader>;
  /** Volatile. */
  history: History | undefined;
}

/** A dict or a namespace. Its entries are a list of neighbours, in the order in which their keys were set first. */
export interface Dict extends Base {
  readonly type: "dict";
  readonly entries: Map<KeyText, Entry>;
  first: Entry | undefined;
  last: Entry | undefined;
}

export interface Entry {
  readonly text: KeyText;
  readonly key: Uint8Array;
  value: Uint8Array;
  revision: Revision;
  previous: Entry | undefined;
  next: Entry | undefined;
}

export interface List extends Base {
  readonly type: "list";
  items: Sequence<Uint8Array>;
}

/** A value or an array. */
export interface Cells extends Base {
  readonly type: "cells";
  readonly spec: Spec & { readonly kind: "value" | "array" };
  readonly store: CellStore;
}

export interface Queue extends Base {
  readonly type: "queue";
  readonly spec: Spec & { readonly kind: "queue" };
  readonly items: Fifo<Uint8Array>;
  /** Items put and not told done, of a joinable one. */
  unfinished: number;
  /** Nobody waits here while there is an item. */
  readonly getters: Line<Waiter>;
  /** Nobody waits here while there is room. */
  readonly putters: Line<Waiter>;
}

export interface Pipe extends Base {
  readonly type: "pipe";
  readonly spec: Spec & { readonly kind: "pipe" };
  readonly ends: readonly [PipeEnd, PipeEnd];
}

export interface PipeEnd {
  readonly pipe: Pipe;
  readonly index: 0 | 1;
  /** What the other end sent. */
  readonly inbox: Fifo<Message>;
  readonly receivers: Line<Waiter>;
  readonly holders: Set<Owner>;
  /** By session: how often it was sent and has not been received. */
  readonly sending: Map<Session, number>;
  /** Nobody holds it any more, nor is it being sent: for good. */
  closed: boolean;
}

interface Message {
  readonly value: Uint8Array;
  /** Plain bytes, not a value. */
  readonly plain: boolean;
}

export interface Lock extends Base {
  readonly type: "lock";
  hold: Hold | undefined;
  /** Who waits for it, those included that were notified by one of its conditions. Empty while it is free. */
  readonly line: Line<Waiter>;
  /** In the order in which they were created. */
  readonly conditions: Set<Condition>;
  /** The last time an administrator took it from its holder. */
  broken: { readonly token: Revision; readonly reason: string } | undefined;
}

export interface Semaphore extends Base {
  readonly type: "semaphore";
  readonly spec: Spec & { readonly kind: "semaphore" };
  free: number;
  /** By session, owner and token. */
  readonly holds: Map<string, Hold>;
  /** Empty while a permit is free. */
  readonly line: Line<Waiter>;
}

export interface Condition extends Base {
  readonly type: "condition";
  /** Undefined: it was destroyed. */
  lock: Lock | undefined;
  /** Who waits to be notified. */
  readonly line: Line<Waiter>;
}

/** An event. */
export interface Flag extends Base {
  readonly type: "event";
  set: boolean;
}

export interface Barrier extends Base {
  readonly type: "barrier";
  readonly spec: Spec & { readonly kind: "barrier" };
  /** In order of arrival; fewer than the parties unless an action runs: those behind belong to the next round. */
  readonly line: Line<Waiter>;
  /** Rounds that were passed. */
  generation: number;
  broken: boolean;
  /** Whose action everybody waits for: the last party to come. */
  action: Owner | undefined;
}

export type SharedObject = Dict | List | Cells | Queue | Pipe | Lock | Semaphore | Condition | Flag | Barrier;

/** A job whose items' writes count once: which of its items are settled, and what came of them. */
export interface EffectsJob {
  readonly id: string;
  /** It is forgotten with this owner; undefined: it outlives whoever opened it. */
  readonly creator: Owner | undefined;
  /** The session that opened it, while that lives. */
  maker: Session | undefined;
  /** Of its opening, or its last commit that settled something. */
  changed: Revision;
  /** What counts against DATA_BYTES_MAX. */
  bytes: number;
  /** In the order of their items; no item is in two. */
  readonly runs: SettledRun[];
}

/** Items behind each other that one commit settled. */
export interface SettledRun {
  /** Index of the first one. */
  readonly first: number;
  /** Of each item: where its outcome ends in `bytes`. Never empty. */
  readonly ends: Uint32Array;
  /** All outcomes. */
  readonly bytes: Uint8Array;
}

/** Changes of one object. Volatile. */
interface History {
  /** Changes after it are remembered. */
  floor: Revision;
  readonly changes: Fifo<Change>;
  bytes: number;
}

/** What changed. */
export interface Change {
  readonly revision: Revision;
  readonly type: "set" | "delete" | "insert" | "clear" | "sort" | "reverse";
  /** Of a dict: of what key, as text and bytes. */
  readonly text: KeyText | undefined;
  readonly key: Uint8Array | undefined;
  readonly value: Uint8Array | undefined;
  readonly index: number | undefined;
}
