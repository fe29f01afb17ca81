import { unreachable } from "@heddle/kernel";
import { breakHolds, cancelReader } from "./endings.ts";
import { readings, writings } from "./handlers.ts";
import { OBJECT_LIMITS, type ObjectLimits } from "./limits.ts";
import { addReader, tellReaders } from "./readers.ts";
import { overLimit, Refused, refusal, refused } from "./replies.ts";
import { restoreInto } from "./restore.ts";
import { addOwner, endOwner, endSession, isClosed, openSession } from "./sessions.ts";
import { piecesOf, type SnapshotPiece } from "./snapshot.ts";
import type { Lock, Owner, Semaphore, Session, SharedObject, State } from "./state.ts";
import { noPlace, tallyOfAll } from "./tally.ts";
import type { Command, Effect, Operation, Reply, Revision, SessionNumber, ValueCodec } from "./types.ts";
import { validateState } from "./validate.ts";
import {
  type LockView,
  lockView,
  type ObjectsTotals,
  type ObjectView,
  objectView,
  type SessionView,
  sessionView,
  totalsOf,
  type WaitView,
  waitsOf,
} from "./views.ts";
import { lostGuard, replyBytes, settle } from "./waits.ts";

/** What the core is told once. */
export interface ObjectsOptions {
  readonly values: ValueCodec;
  readonly limits?: Partial<ObjectLimits> | undefined;
}

/**
 * Shared objects and locks, as a state machine over a log of commands: the same commands make the same state and the same effects, wherever
 * and whenever. There is no time inside: that a lease ran out, that a wait was cancelled or timed out are commands, and whoever writes the
 * log decides when. STATES.md has the tables.
 */
export class Objects {
  readonly #state: State;

  constructor(options: ObjectsOptions) {
    const limits = { ...OBJECT_LIMITS, ...options.limits };
    this.#state = {
      values: options.values,
      limits,
      revision: 0,
      effects: [],
      sessions: new Map(),
      nonces: new Map(),
      objects: new Map(),
      jobs: new Map(),
      bytes: 0,
      undo: undefined,
      touched: new Set(),
      tally: tallyOfAll(limits),
      watched: new Set(),
      historyBytes: 0,
    };
  }

  /** The state that `snapshot()` of another one gave: the same commands make the same of it. Throws InvariantViolation for what is no snapshot. */
  static restore(pieces: Iterable<SnapshotPiece>, options: ObjectsOptions): Objects {
    const objects = new Objects(options);
    restoreInto(objects.#state, pieces);
    return objects;
  }

  /** Of the last command or operation that was done. */
  get revision(): Revision {
    return this.#state.revision;
  }

  /**
   * Takes the next command of the log and returns what follows from it, to be said in that order once the log is durable up to here. Each
   * operation takes one revision, whatever becomes of it; a command without operations takes one.
   */
  step(command: Command): readonly Effect[] {
    const state = this.#state;
    state.effects = [];
    if (command.type !== "operations-asked" || command.operations.length === 0) state.revision++;
    switch (command.type) {
      case "operations-asked":
        this.#ask(command);
        break;
      case "session-opened":
        openSession(state, command);
        break;
      case "owner-closed":
        endOwner(state, command.session, command.owner);
        break;
      case "session-closed":
        endSession(state, command.session, "closed");
        break;
      case "session-expired":
        endSession(state, command.session, "expired");
        break;
      case "lock-broken":
        breakHolds(state, state.objects.get(command.object), command.reason);
        break;
      default:
        unreachable(command);
    }
    this.#tellReaders();
    return state.effects;
  }

  /**
   * Does an operation that does not write. It sees everything that was stepped, so its reply too is said only when that is durable. A reader
   * that waits is answered by the effects of a later step; it is no part of the state, so its owner asks again after a restart.
   */
  read(session: SessionNumber, owner: number, operation: Operation): readonly Effect[] {
    const state = this.#state;
    state.effects = [];
    const there = state.sessions.get(session);
    if (there === undefined) return state.effects;
    const reply = this.#read(there, owner, operation);
    if (reply !== undefined) state.effects.push({ type: "reply", session, owner, reply });
    return state.effects;
  }

  /**
   * What became of an operation that writes: its reply while that is kept, or that it waits. Undefined: it was never seen, or its reply was
   * acknowledged. For those who cannot write to the log now and are asked again for what they did before.
   */
  recall(session: SessionNumber, owner: number, seq: number): Reply | "waiting" | undefined {
    const there = this.#state.sessions.get(session)?.owners.get(owner);
    return there?.waiting.has(seq) ? "waiting" : there?.replies.get(seq);
  }

  /**
   * The whole state but for readers that wait, in pieces that are always in the same order: equal states have equal pieces. They are made as
   * they are taken: all are to be taken before the next step.
   */
  snapshot(): Iterable<SnapshotPiece> {
    return piecesOf(this.#state);
  }

  /** Checks every invariant of STATES.md; throws InvariantViolation. Costs as much as there is state. */
  validate(): void {
    validateState(this.#state);
  }

  /** Of all objects, in the order in which they were created. */
  objects(): ObjectView[] {
    return Array.from(this.#state.objects.values(), objectView);
  }

  /** Undefined when there is none of that name or id. */
  object(ref: string): ObjectView | undefined {
    const object = this.#state.objects.get(ref);
    return object && objectView(object);
  }

  /** Of all locks and semaphores, in the order in which they were created. */
  locks(): LockView[] {
    return [...this.#state.objects.values()].flatMap((object) => (isLock(object) ? [lockView(object)] : []));
  }

  /** Undefined when there is no lock or semaphore of that name or id. */
  lock(ref: string): LockView | undefined {
    const object = this.#state.objects.get(ref);
    return object !== undefined && isLock(object) ? lockView(object) : undefined;
  }

  /** Of all that live, in the order in which they were opened. */
  sessions(): SessionView[] {
    return Array.from(this.#state.sessions.values(), sessionView);
  }

  /** The session that was opened under the nonce; undefined when it does not live. Whoever knows the nonce is its holder. */
  sessionOf(nonce: string): SessionNumber | undefined {
    return this.#state.nonces.get(nonce)?.number;
  }

  /** Undefined when it does not live. */
  session(session: SessionNumber): SessionView | undefined {
    const there = this.#state.sessions.get(session);
    return there && sessionView(there);
  }

  /** How much there is of everything. Looks at every object once. */
  totals(): ObjectsTotals {
    return totalsOf(this.#state);
  }

  /** Every wait for a lock: who waits, for what, and who holds it. */
  waits(): WaitView[] {
    return waitsOf(this.#state);
  }

  #read(session: Session, owner: number, operation: Operation): Reply | undefined {
    const state = this.#state;
    const object = state.objects.get(operation.object);
    try {
      if (isClosed(session, owner)) throw refused("closed", `owner ${owner} is closed`);
      const run = readings.get(operation.verb);
      if (run === undefined) throw refused("protocol", `${operation.verb} is no operation that reads`);
      const reply = run(state, operation, 0);
      if (reply === undefined && object !== undefined) addReader(state, session, owner, { object, operation });
      return reply;
    } catch (error) {
      if (error instanceof Refused) return refusal(operation, object?.changed ?? 0, error.refusal);
      throw error;
    }
  }

  #ask(command: Extract<Command, { readonly type: "operations-asked" }>): void {
    const state = this.#state;
    const { operations } = command;
    const session = state.sessions.get(command.session);
    const from = state.revision;
    if (session === undefined) state.revision = from + operations.length;
    else if (isClosed(session, command.owner))
      this.#refuseAll(command, refused("closed", `owner ${command.owner} of session ${session.number} is closed`));
    else {
      const owner = session.owners.get(command.owner);
      const full = owner === undefined ? noPlace(session.tally.owners) : undefined;
      if (full !== undefined) this.#refuseAll(command, full);
      else this.#askOwner(owner ?? addOwner(state, session, command.owner), command.acknowledged, operations);
    }
  }

  #askOwner(owner: Owner, acknowledged: readonly number[], operations: readonly Operation[]): void {
    const state = this.#state;
    for (let at = 0; at < acknowledged.length; at += 2)
      acknowledge(state, owner, acknowledged[at] ?? 0, acknowledged[at + 1] ?? 0);
    for (const operation of operations) {
      state.revision++;
      this.#askOne(owner, operation);
    }
  }

  #askOne(owner: Owner, operation: Operation): void {
    const state = this.#state;
    const { seq } = operation;
    if (seq <= owner.lastSeq) {
      if (owner.waiting.has(seq)) return;
      if (operation.verb === "cancel") cancelReader(state, operation, owner);
      this.#tell(owner, owner.replies.get(seq) ?? tooLate(state, operation));
      return;
    }
    const full = noRoomForReply(state, owner);
    if (full !== undefined) {
      this.#tell(owner, refusal(operation, state.revision, full.refusal));
      return;
    }
    owner.lastSeq = seq;
    const reply = perform(state, owner, operation);
    if (reply !== undefined) settle(state, owner, reply);
  }

  #tell({ session, number }: Owner, reply: Reply): void {
    this.#state.effects.push({ type: "reply", session: session.number, owner: number, reply });
  }

  /** Such refusals are not remembered: there is no owner to remember them. */
  #refuseAll(
    { session, owner, operations }: Extract<Command, { readonly type: "operations-asked" }>,
    why: Refused,
  ): void {
    const state = this.#state;
    for (const operation of operations) {
      state.revision++;
      const reply = refusal(operation, state.revision, why.refusal);
      state.effects.push({ type: "reply", session, owner, reply });
    }
  }

  #tellReaders(): void {
    const state = this.#state;
    for (const object of state.touched)
      tellReaders(state, object, (operation, after) => readings.get(operation.verb)?.(state, operation, after));
    state.touched.clear();
  }
}

function isLock(object: SharedObject): object is Lock | Semaphore {
  return object.type === "lock" || object.type === "semaphore";
}

/** Does an operation that is seen for the first time. Undefined: it waits. */
function perform(state: State, owner: Owner, operation: Operation): Reply | undefined {
  try {
    const run = writings.get(operation.verb);
    if (run === undefined) throw refused("protocol", `${operation.verb} is no operation that writes`);
    needSizes(state, operation);
    if (operation.guards.length > 0) needGuards(state, operation);
    return run(state, operation, owner);
  } catch (error) {
    if (error instanceof Refused) return refusal(operation, state.revision, error.refusal);
    throw error;
  }
}

function needSizes(state: State, operation: Operation): void {
  for (const { length } of operation.values)
    if (length > state.limits.ITEM_BYTES_MAX)
      throw overLimit(state, "ITEM_BYTES_MAX", length, "the value is too large");
  for (const part of operation.operations) needSizes(state, part);
}

function needGuards(state: State, operation: Operation): void {
  const { length } = operation.guards;
  if (length > state.limits.GUARDS_MAX) throw overLimit(state, "GUARDS_MAX", length, "too many locks guard this");
  const lost = lostGuard(state, operation);
  if (lost !== undefined) throw new Refused(lost);
}

function acknowledge(state: State, { replies, session }: Owner, first: number, count: number): void {
  const drop = (seq: number): void => {
    const reply = replies.get(seq);
    if (reply === undefined) return;
    if (reply.values.length > 0) state.bytes -= replyBytes(reply);
    replies.delete(seq);
    session.tally.replies.add(-1);
  };
  if (count <= replies.size) for (let seq = first; seq < first + count; seq++) drop(seq);
  else for (const seq of [...replies.keys()]) if (seq >= first && seq < first + count) drop(seq);
}

function tooLate(state: State, operation: Operation): Reply {
  const message = `operation ${operation.seq} was answered, and its reply already acknowledged`;
  return refusal(operation, state.revision, { code: "state", message });
}

function noRoomForReply(state: State, owner: Owner): Refused | undefined {
  const size = owner.replies.size + 1;
  if (size > state.limits.REPLIES_MAX)
    return overLimit(state, "REPLIES_MAX", size, "too many replies are not acknowledged");
  return noPlace(owner.session.tally.replies);
}
