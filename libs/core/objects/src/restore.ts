import { assert } from "@heddle/kernel";
import { bytesOfCells } from "./cell-store.ts";
import { charge, keep, weight } from "./content.ts";
import { enlist, makeObject } from "./create.ts";
import { link } from "./dict.ts";
import { addRun, chargeJob, enlistJob, type Outcome, runBytes, runsOf } from "./effects-jobs.ts";
import { textOf } from "./keys.ts";
import { ITEM_OVERHEAD_BYTES } from "./limits.ts";
import { holdKey } from "./lock.ts";
import { hold as holdEnd, send } from "./pipe.ts";
import { addOwner, enterSession, makeSession } from "./sessions.ts";
import {
  type OwnerName,
  type SavedContent,
  type SavedEnd,
  type SavedHold,
  type SavedReply,
  type SavedWaiter,
  SNAPSHOT_VERSION,
  type SnapshotPiece,
} from "./snapshot.ts";
import type { Dict, Hold, Lock, Owner, PipeEnd, Semaphore, SharedObject, State, Waiter } from "./state.ts";
import { addHold } from "./tally.ts";
import { linesOf, replyBytes, waitingBytes } from "./waits.ts";

/** Takes one value of those that a piece announced, and the number beside it. */
type Take = (bytes: Uint8Array, number: number) => void;

/** Puts the pieces of a snapshot into a state that is empty. Throws InvariantViolation for pieces that are none, or are not all. */
export function restoreInto(state: State, pieces: Iterable<SnapshotPiece>): void {
  const restorer = new Restorer(state);
  for (const piece of pieces) restorer.take(piece);
  restorer.end();
}

class Restorer {
  readonly #state: State;
  /** Values that are announced and still to come, in order: who takes how many. */
  #expected: { readonly take: Take; left: number }[] = [];
  #parts: Uint8Array[] = [];
  #begun = false;

  constructor(state: State) {
    this.#state = state;
  }

  take(piece: SnapshotPiece): void {
    if (piece.type === "items" || piece.type === "part") {
      this.#takeValues(piece);
      return;
    }
    this.#needAll();
    assert(this.#begun === (piece.type !== "state"), "a snapshot begins with its state, once");
    this.#takeHead(piece);
  }

  end(): void {
    this.#needAll();
    assert(this.#begun, "a snapshot has a state");
  }

  #needAll(): void {
    assert(this.#expected.length === 0, "a snapshot has all the values that it announces");
  }

  #takeHead(piece: Exclude<SnapshotPiece, { readonly type: "items" | "part" }>): void {
    const state = this.#state;
    switch (piece.type) {
      case "state":
        assert(
          piece.version >= 1 && piece.version <= SNAPSHOT_VERSION,
          `snapshot version ${piece.version} is not known here`,
        );
        state.revision = piece.revision;
        this.#begun = true;
        return;
      case "session": {
        const session = makeSession(state, { ...piece, number: piece.session });
        for (const owner of piece.closed) session.closed.add(owner);
        session.closedUpTo = piece.closedUpTo;
        enterSession(state, session);
        return;
      }
      case "owner":
        this.#takeOwner(piece);
        return;
      case "object":
        this.#takeObject(piece);
        return;
      case "job": {
        const { id, changed } = piece;
        const creator = piece.creator === null ? undefined : this.#owner(piece.creator);
        const maker = creator?.session ?? state.sessions.get(piece.maker ?? 0);
        enlistJob(state, { id, creator, maker, changed, bytes: 0, runs: [] });
        return;
      }
      case "settled":
        this.#takeSettled(piece);
        return;
      case "waiting":
        for (const saved of piece.waiters) this.#takeWaiter(piece, saved);
        return;
    }
  }

  #takeOwner({ session, owner: number, lastSeq, replies }: SnapshotPiece & { readonly type: "owner" }): void {
    const there = this.#state.sessions.get(session);
    assert(there !== undefined, `session ${session} of an owner is in the snapshot`);
    const owner = addOwner(this.#state, there, number);
    owner.lastSeq = lastSeq;
    for (const saved of replies) this.#takeReply(owner, saved);
  }

  #takeReply(owner: Owner, { seq, numbers, revision, refusal, values: count }: SavedReply): void {
    const state = this.#state;
    const values: Uint8Array[] = [];
    const reply = { seq, values, numbers, revision, refusal: refusal ?? undefined };
    owner.replies.set(seq, reply);
    owner.session.tally.replies.add(1);
    this.#expect(count, (bytes) => {
      values.push(keep(bytes));
      if (values.length === count) state.bytes += replyBytes(reply);
    });
  }

  #takeObject({ content, creator, ...piece }: SnapshotPiece & { readonly type: "object" }): void {
    const state = this.#state;
    const { ref, spec, created, changed } = piece;
    const owner = creator === null ? undefined : this.#owner(creator);
    const bound = spec.kind === "condition" && content.type === "condition" && content.bound;
    const lock = bound ? state.objects.get(spec.lock) : undefined;
    const maker = owner?.session ?? state.sessions.get(piece.maker ?? 0);
    const object = makeObject({ ref, spec, created, creator: owner, maker }, lock?.type === "lock" ? lock : undefined);
    object.changed = changed;
    enlist(state, object);
    charge(state, object, ITEM_OVERHEAD_BYTES);
    this.#fill(object, content);
  }

  #fill(object: SharedObject, content: SavedContent): void {
    const state = this.#state;
    if (object.type === "dict" && content.type === "dict") this.#expect(content.items, takeEntries(state, object));
    else if (object.type === "list" && content.type === "list")
      this.#expect(content.items, (bytes) => {
        charge(state, object, weight(bytes));
        object.items.push(keep(bytes));
      });
    else if (object.type === "cells" && content.type === "cells")
      this.#expect(content.items, (bytes) => {
        charge(state, object, bytes.length);
        bytesOfCells(object.store).set(bytes);
      });
    else if (object.type === "queue" && content.type === "queue") {
      object.unfinished = content.unfinished;
      this.#expect(content.items, (bytes) => {
        charge(state, object, weight(bytes));
        object.items.push(keep(bytes));
      });
    } else if (object.type === "pipe" && content.type === "pipe")
      for (const end of object.ends) this.#fillEnd(end, content.ends[end.index]);
    else this.#fillWaited(object, content);
  }

  /** Locks and their like, which hold no values. */
  #fillWaited(object: SharedObject, content: SavedContent): void {
    if (object.type === "lock" && content.type === "lock") {
      object.broken = content.broken ?? undefined;
      object.hold = content.hold === null ? undefined : this.#hold(object, content.hold);
    } else if (object.type === "semaphore" && content.type === "semaphore") {
      object.free = content.free;
      for (const saved of content.holds) {
        const hold = this.#hold(object, saved);
        object.holds.set(holdKey(hold.owner, hold.token), hold);
      }
    } else if (object.type === "event" && content.type === "event") object.set = content.set;
    else if (object.type === "barrier" && content.type === "barrier") {
      object.generation = content.generation;
      object.broken = content.broken;
      object.action = content.action === null ? undefined : this.#owner(content.action);
      object.action?.actions.add(object);
    } else assert(object.type === content.type, `${object.type} is no ${content.type}`);
  }

  #fillEnd(end: PipeEnd, { closed, holders, sending, messages }: SavedEnd): void {
    const state = this.#state;
    end.closed = closed;
    for (const holder of holders) holdEnd(state, end, this.#owner(holder));
    for (let at = 0; at < sending.length; at += 2) {
      const session = state.sessions.get(sending[at] ?? 0);
      assert(session !== undefined, "who sent an end of a pipe is in the snapshot");
      send(state, end, session, sending[at + 1] ?? 0);
    }
    this.#expect(messages, (bytes, number) => {
      charge(state, end.pipe, weight(bytes));
      end.inbox.push({ value: keep(bytes), plain: number === 1 });
    });
  }

  #takeSettled({ id, runs }: SnapshotPiece & { readonly type: "settled" }): void {
    const state = this.#state;
    const job = state.jobs.get(id);
    assert(job !== undefined, `job ${id} is in the snapshot`);
    for (let at = 0; at < runs.length; at += 2) {
      const [first = 0, count = 0] = runs.slice(at, at + 2);
      const outcomes: Outcome[] = [];
      this.#expect(count, (outcome) => {
        outcomes.push({ index: first + outcomes.length, outcome });
        if (outcomes.length < count) return;
        for (const run of runsOf(outcomes)) {
          chargeJob(state, job, runBytes(run));
          addRun(job, run);
        }
      });
    }
  }

  #takeWaiter({ ref, line: at }: SnapshotPiece & { readonly type: "waiting" }, saved: SavedWaiter): void {
    const state = this.#state;
    const owner = this.#owner(saved);
    const [at_, object] = [state.objects.get(ref), state.objects.get(saved.object)];
    const line = at_ === undefined ? undefined : linesOf(at_)[at];
    assert(line !== undefined && object !== undefined, `a line of ${ref} is in the snapshot`);
    const { seq, verb, numbers, guards, since, flow, notified } = saved;
    const values: Uint8Array[] = [];
    const operation = { seq, verb, object: saved.object, values, numbers, guards, operations: [], expectations: [] };
    const links = { line: undefined, previous: undefined, next: undefined };
    const waiter: Waiter = { owner, operation, object, since, flow, notified, ...links };
    owner.waiting.set(seq, waiter);
    owner.session.tally.waits.add(1);
    line.push(waiter);
    this.#expect(saved.values, (bytes) => {
      values.push(keep(bytes));
      if (values.length === saved.values) charge(state, object, waitingBytes(waiter));
    });
  }

  #hold(object: Lock | Semaphore, { token, flow, count, ...name }: SavedHold): Hold {
    const owner = this.#owner(name);
    const hold: Hold = { owner, object, token, flow, count };
    addHold(hold);
    return hold;
  }

  #owner({ session, owner }: OwnerName): Owner {
    const there = this.#state.sessions.get(session)?.owners.get(owner);
    assert(there !== undefined, `owner ${owner} of session ${session} is in the snapshot`);
    return there;
  }

  #expect(count: number, take: Take): void {
    if (count > 0) this.#expected.push({ take, left: count });
  }

  #takeValues(piece: SnapshotPiece & { readonly type: "items" | "part" }): void {
    if (piece.type === "items") {
      for (const [at, bytes] of piece.items.entries()) this.#takeValue(bytes, piece.numbers[at] ?? 0);
      return;
    }
    this.#parts.push(piece.bytes);
    if (!piece.last) return;
    this.#takeValue(joined(this.#parts), piece.number);
    this.#parts = [];
  }

  #takeValue(bytes: Uint8Array, number: number): void {
    const [next] = this.#expected;
    assert(next !== undefined, "a snapshot has no values but those that it announces");
    next.take(bytes, number);
    if (--next.left === 0) this.#expected.shift();
  }
}

/** Key and value in turn. */
function takeEntries(state: State, dict: Dict): Take {
  let key: Uint8Array | undefined;
  return (bytes, revision) => {
    if (key === undefined) {
      key = keep(bytes);
      return;
    }
    charge(state, dict, key.length + weight(bytes));
    link(dict, { text: textOf(key), key, value: keep(bytes), revision, previous: undefined, next: undefined });
    key = undefined;
  };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
