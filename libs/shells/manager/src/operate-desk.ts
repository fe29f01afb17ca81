import type { Command, Effect, Operation, Reply, Revision, SessionNumber } from "@heddle/core-objects";
import { assert, type Environment, type HeddleError, LimitError, ProtocolError, unreachable } from "@heddle/kernel";
import { type AcceptedHandler, type Audit, type Caller, callerText, type Hello, type Session } from "@heddle/port-rpc";
import {
  type AttachSession,
  BEAT_NONCE_MINOR,
  type OpenSession,
  type OperateRequestEntry,
  type OperateResponseEntry,
  objectsOperate,
} from "@heddle/wire";
import type { BeatVerdict } from "./beats.ts";
import { Deferred } from "./deferred.ts";
import { fullReply, fullText } from "./full.ts";
import type { Batch, Outcome } from "./group-commit.ts";
import { Holders } from "./holders.ts";
import type { Leases } from "./leases.ts";
import { DESCRIPTION_LENGTH_MAX } from "./limits.ts";
import type { Counts } from "./metrics.ts";
import { type OperateHost, OperateStream, type Writes } from "./operate-stream.ts";
import type { Replica } from "./replica.ts";
import { clampedTtlMs, type TtlBounds } from "./ttl.ts";

/** What a desk works with. */
export interface OperateDeskOptions {
  readonly env: Environment;
  /** Where it is written who was turned away. */
  readonly audit: Audit;
  readonly replica: Replica;
  readonly leases: Leases;
  readonly ttl: TtlBounds;
  /** For those who watch over the manager. */
  readonly counts: Counts;
}

/** Where streams are served: each session on the newest one that says it is its. */
export class OperateDesk implements OperateHost {
  readonly #env: Environment;
  readonly #audit: Audit;
  readonly #replica: Replica;
  readonly #leases: Leases;
  readonly #ttl: TtlBounds;
  readonly #counts: Counts;
  readonly #all = new Set<OperateStream>();
  readonly #bySession = new Map<SessionNumber, OperateStream>();
  /** Streams with replies that leave at the end of this turn. */
  readonly #speaking = new Set<OperateStream>();
  readonly #deferred = new Deferred();
  readonly #holders = new Holders();
  #isStopping = false;

  constructor({ env, audit, replica, leases, ttl, counts }: OperateDeskOptions) {
    this.#env = env;
    this.#audit = audit;
    this.#replica = replica;
    this.#leases = leases;
    this.#ttl = ttl;
    this.#counts = counts;
  }

  /** A new stream. */
  readonly onSession = (
    wire: Session<OperateResponseEntry>,
    { version }: Hello,
    caller: Caller,
  ): AcceptedHandler<OperateRequestEntry> => {
    const saysNonce = (version?.minor ?? 0) >= BEAT_NONCE_MINOR;
    const stream = new OperateStream(wire, { caller, saysNonce }, this);
    this.#all.add(stream);
    return {
      entries: (entries) => stream.take(entries),
      room: () => this.#replica.room(),
      ended: () => this.#left(stream),
    };
  };

  /** Whether a stream of the session is open. */
  isConnected(session: SessionNumber): boolean {
    return this.#bySession.has(session);
  }

  /** Whether the caller may speak for the session, if there is one. */
  isFor(session: SessionNumber, caller: Caller): boolean {
    return this.#holders.isFor(session, caller);
  }

  /** Who holds it; undefined while nothing has been heard of it in this life of the manager. */
  holderOf(session: SessionNumber): Caller | undefined {
    return this.#holders.of(session);
  }

  /** What a beat is worth: it must say the nonce of its session, and come from somebody who may speak for that. */
  judgeBeat(session: SessionNumber, nonce: string, caller: Caller): BeatVerdict {
    const { core } = this.#replica;
    if (core.session(session) === undefined) return { type: "unknown" };
    // of a holder of an older build, which must say first, on its stream, that it is one
    const isOlder = nonce === "" && this.#holders.saysNonce(session) !== true;
    if (isOlder && this.#holders.saysNonce(session) === undefined) return { type: "unheard" };
    if (!isOlder && core.sessionOf(nonce) !== session) return { type: "refused", why: wrongNonce(session) };
    if (!this.isFor(session, caller)) return { type: "refused", why: strangerText(session, caller) };
    return { type: "theirs" };
  }

  /** Who an owner of it is, for people, as its stream says; empty when that says nothing, or there is none. */
  ownerDescription(session: SessionNumber, owner: number): string {
    return this.#bySession.get(session)?.owners.get(owner) ?? "";
  }

  /** No new sessions from now on. */
  stop(): void {
    this.#isStopping = true;
  }

  /** Says what may be said now, in order. Replies of one turn leave together. */
  say(outcomes: readonly Outcome[]): void {
    for (const outcome of outcomes)
      switch (outcome.type) {
        case "reply":
          this.#counts.answered(outcome.reply.refusal?.code);
          this.#reply(outcome.session, outcome.owner, outcome.reply);
          break;
        case "open-session":
          this.#opened(outcome.session, outcome.ttlMs);
          break;
        case "revoke":
          this.#revoked(outcome);
          break;
        case "end-session":
          this.#ended(outcome.session, outcome.code, outcome.message);
          break;
        case "refuse-session": // its stream was told at once
          break;
        case "tell":
          outcome.tell();
          break;
        default:
          unreachable(outcome);
      }
  }

  isServing(): boolean {
    return this.#replica.isServing;
  }

  open(stream: OperateStream, opening: OpenSession): void {
    const { nonce } = opening;
    if (!/^[0-9a-f]{32}$/.test(nonce)) throw new ProtocolError("a session's nonce is 32 hex digits");
    if (this.#isStopping)
      return this.#refuseStream(stream, "unavailable", "the manager is stopping and opens no new sessions");
    if (this.#replica.isFull) return this.#refuseStream(stream, "limit", fullText("sessions cannot be opened"));
    this.#unbind(stream);
    const known = this.#replica.core.sessionOf(nonce);
    if (known !== undefined && !this.isFor(known, stream.caller)) return this.#refuseStranger(stream, known);
    const place = known === undefined ? this.#reserve(stream) : "known";
    if (place === undefined) return;
    const session = this.#open(stream, opening);
    if (place === "known") {
      if (session !== undefined) this.#holders.attached(session, stream);
    } else if (session === undefined) place[Symbol.dispose]();
    else this.#holders.opened(session, { caller: stream.caller, saysNonce: stream.saysNonce, place });
  }

  /** Undefined: the caller has as many sessions as it may, and was told so. */
  #reserve(stream: OperateStream): Disposable | undefined {
    try {
      return this.#holders.reserve(stream.caller);
    } catch (error) {
      if (!(error instanceof LimitError)) throw error;
      this.#refuseStream(stream, "limit", error.message);
      return undefined;
    }
  }

  #refuseStranger(stream: OperateStream, session: SessionNumber): void {
    const why = strangerText(session, stream.caller);
    this.#noteRefusal(stream, why);
    this.#refuseStream(stream, "permission", why);
  }

  #noteRefusal({ caller, wire }: OperateStream, why: string): void {
    this.#audit.refused({ peer: wire.peer, who: callerText(caller), path: objectsOperate.path, why });
  }

  /** Undefined: it was refused, and its stream told so. */
  #open(stream: OperateStream, { nonce, ttlMs, description }: OpenSession): SessionNumber | undefined {
    const effects = this.#replica.apply({
      type: "session-opened",
      nonce,
      ttlMs: clampedTtlMs(ttlMs, this.#ttl),
      description: description.slice(0, DESCRIPTION_LENGTH_MAX),
    });
    const opened = effects.find((effect) => effect.type === "open-session");
    if (opened === undefined) {
      const refused = effects.find((effect) => effect.type === "refuse-session");
      assert(refused !== undefined, "a session is opened or refused");
      this.#refuseStream(stream, refused.refusal.code, refused.refusal.message);
      return undefined;
    }
    this.#leases.open(opened.session, opened.ttlMs);
    this.#bind(stream, opened.session);
    return opened.session;
  }

  /** Who does not know the nonce learns no more than that there is no such session. */
  attach(stream: OperateStream, { session, nonce }: AttachSession): void {
    this.#unbind(stream);
    const { core } = this.#replica;
    const isHolder = core.sessionOf(nonce) === session;
    if (!isHolder && core.session(session) !== undefined) this.#noteRefusal(stream, wrongNonce(session));
    if (isHolder && !this.isFor(session, stream.caller)) return this.#refuseStranger(stream, session);
    const ttlMs = isHolder ? this.#leases.extend(session) : undefined;
    if (ttlMs === undefined) {
      const message = `session ${session} is not known any more: it was closed, or its lease ran out`;
      const value = { code: "unknown", message };
      const tell = (): void => stream.wire.send({ kind: { $case: "sessionEnded", value } });
      // the end of the session may be undone with what found no room: then it lives on, and who asks again hears so
      const lost = (): void => this.#refuseStream(stream, "unavailable", fullText("the session may go on"));
      return this.#replica.say([{ type: "tell", tell, lost }]);
    }
    this.#holders.attached(session, stream);
    this.#bind(stream, session);
    this.#replica.say([{ type: "open-session", session, nonce: "", ttlMs }]);
  }

  write(stream: OperateStream, owner: number, writes: Writes, batch: Uint8Array | undefined): void {
    const { session } = stream;
    if (session === undefined) return;
    this.#leases.extend(session);
    const command = { type: "operations-asked", session, owner, ...writes } as const;
    if (this.#replica.isFull) return this.#refuseWrites(command);
    const { revision } = this.#replica.core;
    const effects = this.#replica.apply(command, batch);
    if (command.operations.some(({ verb }) => verb === "effects-commit"))
      this.#countCommits(command, effects, revision);
  }

  /** Once they are on disk. What was done before `revision`, and is answered again, was counted then. */
  #countCommits({ operations }: Writes, effects: readonly Effect[], revision: Revision): void {
    const commits = new Set(operations.flatMap(({ verb, seq }) => (verb === "effects-commit" ? [seq] : [])));
    for (const effect of effects)
      if (effect.type === "reply" && commits.has(effect.reply.seq) && effect.reply.revision > revision) {
        const tell = (): void => this.#counts.committed(effect.reply);
        this.#replica.say([{ type: "tell", tell, lost: () => undefined }]);
      }
  }

  read(stream: OperateStream, owner: number, operation: Operation): void {
    const { session } = stream;
    if (session === undefined) return;
    this.#leases.extend(session);
    const reads = stream.reads.get(owner);
    if (reads === undefined) stream.reads.set(owner, new Map([[operation.seq, operation]]));
    else reads.set(operation.seq, operation);
    this.#replica.read(session, owner, operation);
  }

  refuse({ session }: OperateStream, owner: number, reply: Reply): void {
    if (session === undefined) return;
    const tell = (): void => this.say([{ type: "reply", session, owner, reply }]);
    this.#replica.say([{ type: "tell", tell, lost: tell }]); // it has nothing to do with the state
  }

  closeOwner(stream: OperateStream, owner: number): void {
    stream.reads.delete(owner);
    if (stream.session !== undefined) this.#do({ type: "owner-closed", session: stream.session, owner });
  }

  closeSession(stream: OperateStream): void {
    const { session } = stream;
    if (session === undefined) return;
    stream.session = undefined;
    this.#leases.close(session);
    this.#do({ type: "session-closed", session });
  }

  /** Its lease has run out. */
  expire(session: SessionNumber): void {
    const stream = this.#bySession.get(session);
    if (stream !== undefined) stream.session = undefined;
    this.#counts.sessionsExpired++;
    this.#env.log.info("a session's lease ran out", { session, stream: stream?.wire.peer });
    this.#replica.apply({ type: "session-expired", session });
  }

  /** The disk has room again. */
  resume(): void {
    for (const command of this.#deferred.take()) this.#replica.apply(command);
    this.unpark();
  }

  /** Operations are taken again. */
  unpark(): void {
    for (const stream of this.#all) stream.unpark();
  }

  /** The disk was full: what these batches did is gone. Whoever wrote is told so, whoever read reads again. */
  undone(batches: readonly Batch[], error: HeddleError): void {
    for (const { commands, outcomes } of batches) {
      for (const command of commands) this.#undo(command);
      for (const outcome of outcomes)
        if (outcome.type === "tell") outcome.lost(error);
        else if (outcome.type === "open-session") this.#attachedAgain(outcome);
    }
    for (const stream of this.#all)
      for (const [owner, reads] of stream.reads)
        for (const operation of [...reads.values()])
          if (stream.session !== undefined) this.#replica.read(stream.session, owner, operation);
    this.unpark();
  }

  /** Whoever attached to a session that is there heard nothing of it yet: what was to be on disk first is gone. New ones are gone, too. */
  #attachedAgain(opened: Extract<Outcome, { type: "open-session" }>): void {
    if (this.#replica.core.session(opened.session) !== undefined) this.#replica.say([opened]);
  }

  #undo(command: Command): void {
    switch (command.type) {
      case "operations-asked":
        return this.#refuseWrites(command);
      case "session-opened":
        return this.#closeUnopened();
      case "session-expired": {
        // it lives on; its stream, which was told nothing yet, attaches anew
        const { session } = command;
        const ttlMs = this.#replica.core.session(session)?.ttlMs;
        if (ttlMs !== undefined) this.#leases.open(session, ttlMs);
        const stream = this.#bySession.get(session);
        if (stream !== undefined) this.#refuseStream(stream, "unavailable", fullText("the session goes on"));
        return;
      }
      case "owner-closed":
      case "session-closed":
        return this.#deferred.end(command);
      case "lock-broken": // who asked for it is told
        return;
      default:
        return unreachable(command);
    }
  }

  /** Sessions that are not: their openers were not told yet, and are told why. */
  #closeUnopened(): void {
    for (const session of this.#holders.sessions())
      if (this.#replica.core.session(session) === undefined) this.#holders.ended(session);
    for (const [session, stream] of [...this.#bySession]) {
      if (this.#replica.core.session(session) !== undefined) continue;
      this.#leases.close(session);
      this.#refuseStream(stream, "limit", fullText("sessions cannot be opened"));
    }
  }

  #do(command: Extract<Command, { type: "owner-closed" | "session-closed" }>): void {
    if (this.#replica.isFull) this.#deferred.end(command);
    else this.#replica.apply(command);
  }

  /** What was done before, and is only asked for again, is answered as it was. */
  #refuseWrites(command: Extract<Command, { type: "operations-asked" }>): void {
    const { session, owner, acknowledged, operations } = command;
    this.#deferred.acknowledge(session, owner, acknowledged);
    for (const { seq } of operations) {
      const known = this.#replica.core.recall(session, owner, seq);
      if (known === "waiting") continue;
      const reply = known ?? fullReply(seq, this.#replica.core.revision);
      this.#replica.say([{ type: "reply", session, owner, reply }]);
    }
  }

  #bind(stream: OperateStream, session: SessionNumber): void {
    const older = this.#bySession.get(session);
    stream.bind(session);
    this.#bySession.set(session, stream);
    if (older === undefined || older === stream) return;
    older.session = undefined;
    this.#refuseStream(older, "conflict", `session ${session} goes on on a newer stream`);
  }

  #unbind(stream: OperateStream): void {
    const { speaksFor } = stream;
    if (speaksFor !== undefined && this.#bySession.get(speaksFor) === stream) this.#bySession.delete(speaksFor);
    stream.speaksFor = undefined;
    stream.session = undefined;
  }

  #left(stream: OperateStream): void {
    stream.end();
    this.#all.delete(stream);
    const { session } = stream;
    if (session !== undefined) this.#leases.leave(session);
    this.#unbind(stream);
  }

  #refuseStream(stream: OperateStream, code: string, message: string): void {
    this.#unbind(stream);
    void stream.wire.close({ code, message });
  }

  #reply(session: SessionNumber, owner: number, reply: Reply): void {
    const stream = this.#bySession.get(session);
    if (stream === undefined) return; // it is asked for again, on another one
    if (stream.reads.size > 0) stream.answered(owner, reply.seq);
    stream.replies.add(owner, reply);
    if (this.#speaking.size === 0) queueMicrotask(() => this.#flush());
    this.#speaking.add(stream);
  }

  #flush(): void {
    for (const stream of this.#speaking) stream.replies.flush();
    this.#speaking.clear();
  }

  #opened(session: SessionNumber, ttlMs: number): void {
    const stream = this.#bySession.get(session);
    if (stream?.isOpening !== true) return;
    stream.isOpening = false;
    stream.replies.flush();
    stream.wire.send({ kind: { $case: "sessionOpened", value: { session, ttlMs } } });
  }

  /** Behind the reply that granted it. Who has no stream now is told as it asks. */
  #revoked({ session, owner, object, token, reason }: Extract<Outcome, { type: "revoke" }>): void {
    const stream = this.#bySession.get(session);
    if (stream === undefined || stream.isOpening) return;
    stream.replies.flush();
    stream.wire.send({ kind: { $case: "revoked", value: { owner, object, token, reason } } }, 0);
  }

  #ended(session: SessionNumber, code: string, message: string): void {
    this.#holders.ended(session);
    const stream = this.#bySession.get(session);
    if (stream === undefined) return;
    stream.replies.flush();
    stream.wire.send({ kind: { $case: "sessionEnded", value: { code, message } } }, 0);
    this.#bySession.delete(session);
    if (stream.session === session) stream.session = undefined;
  }
}

function wrongNonce(session: SessionNumber): string {
  return `what was said is not the nonce of session ${session}`;
}

function strangerText(session: SessionNumber, caller: Caller): string {
  return `session ${session} belongs to somebody else than ${callerText(caller)}`;
}
