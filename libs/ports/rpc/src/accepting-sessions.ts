import {
  type Environment,
  HeddleError,
  InvariantViolation,
  type Millis,
  PermissionError,
  ProtocolError,
} from "@heddle/kernel";
import { Audit } from "./audit.ts";
import { type Caller, callerText, isSameCaller, thisUser } from "./caller.ts";
import { CallerQuota, type QuotaOptions } from "./caller-quota.ts";
import { Conversation, controlFrame } from "./conversation.ts";
import type { Frame, Goodbye, Hello, Version } from "./frame.ts";
import { CALLER_SESSIONS_MAX, HELLO_TIMEOUT_MS, SESSIONS_MAX, type SessionSizes } from "./limits.ts";
import type { Link } from "./link.ts";
import type { Session, SessionHandler } from "./session.ts";
import { commonMinor } from "./version.ts";

/**
 * What the owner of an accepted session wants to hear; `link` says whether the peer can be reached, from the first link on. `room` is asked after
 * each frame: while what it gave is pending nothing more is read from the peer, its acknowledgements included, so it must not wait for the peer.
 */
export type AcceptedHandler<In> = SessionHandler<In> & {
  readonly link?: (up: boolean) => void;
  readonly room?: () => Promise<void> | undefined;
};

/** How an acceptor introduces itself, and who listens. */
export interface AcceptorOptions<Out, In> {
  readonly env: Environment;
  /** This life of the server: new at each start. */
  readonly serverId: string;
  readonly version: Version;
  readonly leaseMs: Millis;
  readonly heartbeatMs: Millis;
  /**
   * A new session begins; all its links are of this caller. It may be sent to at once. A HeddleError thrown here refuses the session with its
   * code and message.
   */
  readonly onSession: (session: Session<Out>, hello: Hello, caller: Caller) => AcceptedHandler<In>;
  readonly sizes?: Partial<SessionSizes>;
  /** The method whose streams these are, for the log. */
  readonly path?: string;
  /** Where it is written which sessions were refused; one of its own unless given. */
  readonly audit?: Audit;
  /** Sessions at a time; more are refused with goodbye "limit". */
  readonly sessionsMax?: number;
  /** Sessions that one identity has at a time; CALLER_SESSIONS_MAX unless given. More are refused with goodbye "limit". */
  readonly quota?: QuotaOptions;
}

/** A session that has not ended, and whose it is. */
interface Owned<Out, In> {
  readonly conversation: Conversation<Out, In>;
  readonly caller: Caller;
}

/** The accepting half of sessions: knows them by id and joins each with the newest link that claims it. */
export class SessionAcceptor<Out, In> {
  readonly #options: AcceptorOptions<Out, In>;
  /** Sessions that have not ended. */
  readonly #sessions = new Map<string, Owned<Out, In>>();
  readonly #quota: CallerQuota;
  readonly #audit: Audit;
  /** Links whose hello has not come. */
  readonly #strangers = new Set<Link<Frame<Out>, Frame<In>>>();
  #closed: Goodbye | undefined;

  constructor(options: AcceptorOptions<Out, In>) {
    this.#options = options;
    this.#audit = options.audit ?? new Audit(options.env);
    const ours = { limitName: "CALLER_SESSIONS_MAX", max: CALLER_SESSIONS_MAX, what: "stream sessions" };
    this.#quota = new CallerQuota(options.quota ?? ours);
  }

  /** Number of live sessions. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Takes a link over: the `accept` of a stream route. */
  readonly accept = (link: Link<Frame<Out>, Frame<In>>): void => {
    void this.#serve(link);
  };

  /** Says goodbye to every session, within bounded time, and refuses new ones from now on. Idempotent. */
  async close(goodbye: Goodbye = { code: "closed", message: "the server is shutting down" }): Promise<void> {
    this.#closed ??= goodbye;
    const strangers = [...this.#strangers];
    await Promise.all([
      ...[...this.#sessions.values()].map(({ conversation }) => conversation.close(goodbye)),
      ...strangers.map((link) => farewell(link, goodbye)),
    ]);
  }

  async #serve(link: Link<Frame<Out>, Frame<In>>): Promise<void> {
    const { clock } = this.#options.env;
    this.#strangers.add(link);
    // without a goodbye, which would end a whole session for a hello that is only late: its dialer tries again
    const timer = clock.setTimer(clock.nowMs() + HELLO_TIMEOUT_MS, () => void link[Symbol.asyncDispose]());
    let session: Conversation<Out, In> | undefined;
    for await (const frame of link.incoming) {
      if (session !== undefined) {
        session.receive(link, frame);
        if (session.ended) break;
        const room = session.room();
        if (room !== undefined) await room;
        continue;
      }
      timer[Symbol.dispose]();
      this.#strangers.delete(link);
      session = this.#greet(link, frame);
      if (session === undefined) break;
    }
    timer[Symbol.dispose]();
    this.#strangers.delete(link);
    session?.detach(link);
    await link[Symbol.asyncDispose]();
  }

  /** Judges the first frame of a link. Undefined: it was refused, and told why. */
  #greet(link: Link<Frame<Out>, Frame<In>>, frame: Frame<In>): Conversation<Out, In> | undefined {
    try {
      const hello = this.#checkHello(frame);
      const known = this.#known(link, hello);
      if (known === undefined && hello.received > 0) return this.#forgotten(link, hello);
      const session = known ?? this.#begin(link, hello);
      if (session.ended) return undefined;
      link.send(this.#welcome(session.received, known !== undefined));
      session.attach(link, hello.received);
      return session;
    } catch (error) {
      if (error instanceof InvariantViolation) throw error;
      link.send(controlFrame({ $case: "goodbye", value: asGoodbye(error) }, 0));
      this.#refused(link.peer, link.caller ?? thisUser, asGoodbye(error).message);
      return undefined;
    }
  }

  #refused(peer: string, caller: Caller, why: string): void {
    this.#audit.refused({ peer, who: callerText(caller), path: this.#options.path, why });
  }

  /** The session that the link goes on with. Its id is known to both ends alone, and is of no use to anybody else who has come by it. */
  #known(link: Link<Frame<Out>, Frame<In>>, { sessionId }: Hello): Conversation<Out, In> | undefined {
    const owned = this.#sessions.get(sessionId);
    if (owned === undefined) return undefined;
    const caller = link.caller ?? thisUser;
    if (!isSameCaller(owned.caller, caller))
      throw new PermissionError(`the session belongs to somebody else than ${callerText(caller)}`);
    return owned.conversation;
  }

  #checkHello(frame: Frame<In>): Hello {
    const control = frame.control?.kind;
    if (this.#closed !== undefined) throw new HeddleError("unavailable", "the server is shutting down");
    if (control?.$case !== "hello") throw new ProtocolError("the first frame of a stream must be a hello");
    if (frame.entries.length > 0) throw new ProtocolError("entries came with the hello");
    const hello = control.value;
    if (!/^[0-9a-f]{32}$/.test(hello.sessionId)) throw new ProtocolError("the session id is not 32 hex digits");
    commonMinor(this.#options.version, hello.version);
    return hello;
  }

  #begin(link: Link<Frame<Out>, Frame<In>>, hello: Hello): Conversation<Out, In> {
    const { env, leaseMs, heartbeatMs, onSession, sizes, sessionsMax = SESSIONS_MAX } = this.#options;
    if (this.#sessions.size >= sessionsMax) throw new HeddleError("limit", `${sessionsMax} sessions are open already`);
    const caller = link.caller ?? thisUser;
    const place = this.#quota.take(caller);
    let handler: AcceptedHandler<In> | undefined;
    const session = new Conversation<Out, In>({
      env,
      id: hello.sessionId,
      peer: link.peer,
      lease: { leaseMs, heartbeatMs, giveUpMs: leaseMs },
      sizes,
      owner: {
        entries: (entries) => handler?.entries(entries),
        linked: (up) => handler?.link?.(up),
        silent: () => undefined,
        room: () => handler?.room?.(),
        refused: (why) => this.#refused(session.peer, caller, why),
        ended: (end) => {
          this.#sessions.delete(hello.sessionId);
          place[Symbol.dispose]();
          handler?.ended(end);
        },
      },
    });
    this.#sessions.set(hello.sessionId, { conversation: session, caller });
    try {
      handler = onSession(session, hello, caller);
    } catch (error) {
      session.end({ reason: "closed" });
      throw error;
    }
    return session;
  }

  /** Whoever has received something has talked to an earlier life of this server, or was given up by this one: it learns so by a welcome that resumes nothing. */
  #forgotten(link: Link<Frame<Out>, Frame<In>>, { sessionId }: Hello): undefined {
    const message = "this server does not know the session: it has begun since, or has given it up";
    this.#options.env.log.info("a session is over that this server does not know: its peer opens another", {
      session: sessionId,
      peer: link.peer,
    });
    link.send(this.#welcome(0, false));
    link.send(controlFrame({ $case: "goodbye", value: { code: "closed", message } }, 0));
  }

  #welcome(received: number, resumed: boolean): Frame<Out> {
    const { version, leaseMs, heartbeatMs, serverId } = this.#options;
    const value = { version, resumed, received, leaseMs, heartbeatMs, serverId };
    return controlFrame({ $case: "welcome", value }, received);
  }
}

async function farewell<Out, In>(link: Link<Frame<Out>, Frame<In>>, goodbye: Goodbye): Promise<void> {
  link.send(controlFrame({ $case: "goodbye", value: goodbye }, 0));
  await link[Symbol.asyncDispose]();
}

function asGoodbye(error: unknown): Goodbye {
  if (error instanceof HeddleError) return { code: error.code, message: error.message };
  return { code: "internal", message: error instanceof Error ? error.message : String(error) };
}
