import {
  type Environment,
  type ErrorCode,
  InvariantViolation,
  LimitError,
  type Millis,
  PermissionError,
  ProtocolError,
} from "@heddle/kernel";
import type { Frame, Goodbye, SessionControl } from "./frame.ts";
import { Inbox } from "./inbox.ts";
import { CLOSE_TIMEOUT_MS, SESSION_SIZES, type SessionSizes, UNHURRIED_MS } from "./limits.ts";
import type { Link } from "./link.ts";
import { type Lease, Liveness } from "./liveness.ts";
import { Outbox } from "./outbox.ts";
import type { Pace, Session, SessionEnd } from "./session.ts";
import { Waiters } from "./waiters.ts";

/** The side of a session that finds links for the conversation: a dialer or an acceptor. */
export interface ConversationOwner<In> {
  readonly entries: (entries: readonly In[]) => void;
  /** The conversation has a link that can carry entries (true), or lost it (false). */
  readonly linked: (up: boolean) => void;
  /** The peer gives no sign of life: another link is to be found, by whoever can. Called again while it lasts. */
  readonly silent: (why: string) => void;
  /** Set by whoever may have to wait before it takes more: until when. */
  readonly room?: () => Promise<void> | undefined;
  /** The session is about to end because the peer broke the rules, or asked for what it may not: called before `ended`. */
  readonly refused: (why: string) => void;
  readonly ended: (end: SessionEnd) => void;
}

/** What a conversation is made of. */
export interface ConversationOptions<In> {
  readonly env: Environment;
  readonly id: string;
  readonly peer: string;
  readonly lease: Lease;
  readonly sizes: Partial<SessionSizes> | undefined;
  readonly owner: ConversationOwner<In>;
}

/** A frame without entries. */
export function controlFrame<Out>(control: SessionControl["kind"], acknowledged: number): Frame<Out> {
  return { sequence: 0, acknowledged, control: control === undefined ? undefined : { kind: control }, entries: [] };
}

/** What both kinds of sessions share: everything but the finding of links and the handshake. */
export class Conversation<Out, In> implements Session<Out> {
  readonly id: string;
  peer: string;
  readonly #env: Environment;
  readonly #owner: ConversationOwner<In>;
  readonly #sizes: SessionSizes;
  readonly #outbox: Outbox<Out>;
  readonly #inbox: Inbox;
  readonly #drained = new Waiters();
  readonly #emptied = new Waiters();
  /** The link that carries entries now, after its handshake. */
  #link: Link<Frame<Out>, Frame<In>> | undefined;
  /** `#link.receivedBytes` as of the last frame. */
  #linkBytes = 0;
  /** The link said false: nothing is sent until it has drained. */
  #blocked = false;
  #flushing = false;
  #ended = false;
  #closing: Promise<void> | undefined;
  /** Settles when the last link is closed. */
  #unlinked: Promise<void> = Promise.resolve();
  /** Something waits that wants to leave at the next chance; else all that waits is unhurried. */
  #hurried = false;
  /** Set while what is unhurried waits: it leaves when this fires, if nothing took it along before. */
  #unhurried: Disposable | undefined;
  readonly #liveness: Liveness;
  #watch: Disposable | undefined;

  constructor(options: ConversationOptions<In>) {
    this.id = options.id;
    this.peer = options.peer;
    this.#env = options.env;
    this.#owner = options.owner;
    this.#sizes = { ...SESSION_SIZES, ...options.sizes };
    this.#outbox = new Outbox(this.#sizes);
    this.#inbox = new Inbox(this.#sizes);
    this.#liveness = new Liveness(options.lease, this.#env.clock.nowMs());
    this.#watchLater();
  }

  get queuedBytes(): number {
    return this.#outbox.queuedBytes;
  }

  get heardMs(): Millis {
    return this.#liveness.heardAtMs;
  }

  /** Last sequence received, for the handshake. */
  get received(): number {
    return this.#inbox.received;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** What to wait for before the next frame is read. */
  room(): Promise<void> | undefined {
    return this.#owner.room?.();
  }

  send(entry: Out, bulkBytes?: number, pace: Pace = "now"): void {
    if (this.#ended || this.#closing !== undefined) return;
    if (bulkBytes !== undefined) this.#outbox.pushBulk(entry, bulkBytes);
    else if (!this.#outbox.pushControl(entry)) {
      const message = `more than ${this.#sizes.controlEntriesMax} control entries wait for the peer`;
      this.end({ reason: "lost", message }, { code: "limit", message });
      return;
    }
    if (pace === "unhurried") return this.#flushSoon();
    this.#hurried = true;
    this.#flushLater();
  }

  async drained(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    while (!this.#ended && this.#outbox.queuedBytes >= this.#sizes.windowBytes) await this.#drained.wait(signal);
  }

  close(goodbye: Goodbye = { code: "closed", message: "" }): Promise<void> {
    this.#closing ??= this.#close(goodbye);
    return this.#closing;
  }

  /** The peer's terms, from its welcome. */
  adopt(lease: Lease): void {
    this.#liveness.adopt(lease);
    this.#watchLater();
  }

  /** An attempt to connect begins: silence before it does not count against it. */
  attempt(): void {
    this.#liveness.attempted(this.#env.clock.nowMs());
  }

  /** Goes on over `link`, whose handshake is done and told that the peer has `received`. An older link is dropped. */
  attach(link: Link<Frame<Out>, Frame<In>>, received: number): void {
    this.detach();
    this.#liveness.linked(this.#env.clock.nowMs());
    this.peer = link.peer;
    this.#link = link;
    this.#linkBytes = link.receivedBytes ?? 0;
    this.#blocked = false;
    this.#inbox.resume();
    this.#owner.linked(true);
    try {
      this.#outbox.resume(received);
    } catch (error) {
      this.#offended(error);
      return;
    }
    this.#flush();
  }

  /** Forgets the link (only if it is `link`, when given) and closes it. The session goes on. */
  detach(link?: Link<Frame<Out>, Frame<In>>): void {
    const old = this.#link;
    if (old === undefined || (link !== undefined && link !== old)) return;
    this.#link = undefined;
    this.#liveness.unlinked(this.#env.clock.nowMs());
    this.#unlinked = old[Symbol.asyncDispose]();
    this.#owner.linked(false);
  }

  /** A frame came on `link`. Frames of a link that was given up are ignored. */
  receive(link: Link<Frame<Out>, Frame<In>>, frame: Frame<In>): void {
    if (link !== this.#link) return;
    this.#liveness.heard(this.#env.clock.nowMs());
    const bytes = link.receivedBytes;
    const frameBytes = bytes === undefined ? Number.POSITIVE_INFINITY : bytes - this.#linkBytes;
    this.#linkBytes = bytes ?? 0;
    try {
      if (frame.control !== undefined) this.#control(frame.control);
      if (this.#ended) return;
      this.#outbox.acknowledge(frame.acknowledged);
      if (this.#inbox.take(frame, frameBytes)) this.#owner.entries(frame.entries);
    } catch (error) {
      this.#offended(error);
      return;
    }
    if ((this.#hurried && !this.#outbox.empty) || this.#inbox.acknowledgementDue) this.#flushLater();
  }

  /** Ends the session now. `goodbye` is told to the peer if there is a link. Idempotent. */
  end(end: SessionEnd, goodbye?: Goodbye): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#watch?.[Symbol.dispose]();
    this.#unhurried?.[Symbol.dispose]();
    if (goodbye !== undefined)
      this.#link?.send(controlFrame({ $case: "goodbye", value: goodbye }, this.#inbox.received));
    this.detach();
    this.#outbox.clear();
    this.#drained.wake();
    this.#emptied.wake();
    this.#owner.ended(end);
  }

  /** Ends the session because the peer broke the rules: it is told so. */
  refuse(message: string, code: ErrorCode = "protocol"): void {
    this.#owner.refused(message);
    this.end({ reason: "lost", message }, { code, message });
  }

  async #close(goodbye: Goodbye): Promise<void> {
    this.#flush();
    if (!this.#ended && !this.#outbox.empty) {
      const atMs = this.#env.clock.nowMs() + CLOSE_TIMEOUT_MS;
      using _timer = this.#env.clock.setTimer(atMs, () => this.#emptied.wake());
      await this.#emptied.wait();
    }
    this.end({ reason: "closed" }, goodbye);
    await this.#unlinked;
  }

  #offended(error: unknown): void {
    const code = error instanceof LimitError || error instanceof PermissionError ? error.code : "protocol";
    this.refuse(error instanceof Error ? error.message : String(error), code);
    if (error instanceof InvariantViolation) throw error;
  }

  #control({ kind }: SessionControl): void {
    if (kind === undefined) return; // a kind that this build does not know
    if (kind.$case !== "goodbye") throw new ProtocolError(`a second handshake (${kind.$case}) came on one stream`);
    this.end({ reason: "goodbye", goodbye: kind.value });
  }

  #flushLater(): void {
    if (this.#flushing || this.#blocked || this.#link === undefined) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  /** Sees to it that what waits without hurry leaves in time. */
  #flushSoon(): void {
    if (this.#hurried || this.#unhurried !== undefined) return;
    const { clock } = this.#env;
    this.#unhurried = clock.setTimer(clock.nowMs() + UNHURRIED_MS, () => {
      this.#unhurried = undefined;
      this.#hurried = true;
      this.#flush();
    });
  }

  #flush(): void {
    while (this.#link !== undefined && !this.#blocked) {
      const frame = this.#outbox.next();
      if (frame === undefined) break;
      this.#transmit(this.#link, frame);
    }
    if (this.#link !== undefined && !this.#blocked && this.#inbox.acknowledgementDue) this.#heartbeat(this.#link);
    if (this.#outbox.empty) this.#hurried = false;
    if (this.#outbox.queuedBytes < this.#sizes.windowBytes) this.#drained.wake();
    if (this.#outbox.empty) this.#emptied.wake();
  }

  #heartbeat(link: Link<Frame<Out>, Frame<In>>): void {
    this.#transmit(link, controlFrame(undefined, 0));
  }

  #transmit(link: Link<Frame<Out>, Frame<In>>, frame: Frame<Out>): void {
    frame.acknowledged = this.#inbox.acknowledge();
    this.#liveness.sent(this.#env.clock.nowMs());
    if (link.send(frame)) return;
    this.#blocked = true;
    void this.#unblock(link);
  }

  async #unblock(link: Link<Frame<Out>, Frame<In>>): Promise<void> {
    await link.drained();
    if (this.#link !== link) return;
    this.#blocked = false;
    this.#flush();
  }

  #watchLater(): void {
    this.#watch?.[Symbol.dispose]();
    if (this.#ended) return;
    const dueAtMs = this.#env.clock.nowMs() + this.#liveness.periodMs;
    this.#watch = this.#env.clock.setTimer(dueAtMs, () => this.#look(dueAtMs));
  }

  /** The watch timer, due at `dueAtMs`. */
  #look(dueAtMs: Millis): void {
    const nowMs = this.#env.clock.nowMs();
    const isOwed = this.#blocked || this.#outbox.retainedCount > 0;
    const link = this.#link;
    const sight = {
      isLinked: link !== undefined,
      isOwed: link !== undefined && isOwed,
      arrivedBytes: link?.arrivedBytes,
    };
    const verdict = this.#liveness.look(nowMs, dueAtMs, sight);
    if (verdict.type === "hopeless") {
      this.end({ reason: "expired" }, { code: "timeout", message: verdict.why });
      return;
    }
    if (verdict.type === "silent") this.#owner.silent(verdict.why);
    const isBeatDue = this.#inbox.untold || this.#liveness.isBeatDue(nowMs);
    if (this.#link !== undefined && !this.#blocked && isBeatDue) this.#heartbeat(this.#link);
    this.#watchLater();
  }
}
