import {
  backoffMs,
  type Environment,
  type ErrorCode,
  HEARTBEAT_MS,
  HeddleError,
  LEASE_MS,
  mintId,
} from "@heddle/kernel";
import { Conversation, type ConversationOwner, controlFrame } from "./conversation.ts";
import type { Frame, Version, Welcome } from "./frame.ts";
import { REDIAL_BACKOFF, type SessionSizes } from "./limits.ts";
import type { Link } from "./link.ts";
import { isRefusal } from "./refusal.ts";
import type { RpcClient, StreamMethod } from "./rpc.ts";
import type { Session, SessionEnd, SessionHandler } from "./session.ts";
import { commonMinor } from "./version.ts";

/** How to reach the peer, and who listens. */
export interface DialOptions<Out, In> {
  readonly env: Environment;
  readonly client: RpcClient;
  readonly method: StreamMethod<Frame<Out>, Frame<In>>;
  readonly address: string;
  readonly version: Version;
  readonly handler: SessionHandler<In>;
  readonly sizes?: Partial<SessionSizes>;
  /**
   * How long the first connect, and any later one, may take before the session ends as expired, or as lost with the error of a peer that refuses it. A peer that refuses
   * the very first connect ends the session at once. Default: the lease.
   */
  readonly unavailableTimeoutMs?: number;
  /** The session can (true) or cannot (false) reach the peer. First call: true, at the first welcome. `minor`: what both speak. */
  readonly onLink?: (up: boolean, minor: number) => void;
}

/** Opens a session. Returns at once: it connects in the background and queues what is sent until then. */
export function dialSession<Out, In>(options: DialOptions<Out, In>): Session<Out> {
  return new Dialer(options).conversation;
}

/** Errors that dialling again cannot cure. */
const hopeless: ReadonlySet<ErrorCode> = new Set(["protocol", "invalid-argument", "limit"] satisfies ErrorCode[]);

/** Finds links for one conversation until it ends. At most one attempt is alive: `#attempt`, later with `#link`. */
class Dialer<Out, In> implements ConversationOwner<In> {
  readonly conversation: Conversation<Out, In>;
  readonly #options: DialOptions<Out, In>;
  /** Aborted and forgotten when the attempt, or the link that came of it, is given up. */
  #attempt: AbortController | undefined;
  #link: Link<Frame<Out>, Frame<In>> | undefined;
  #redial: Disposable | undefined;
  /** Attempts in a row that were not welcomed. */
  #failures = 0;
  /** The peer knows this session. */
  #welcomed = false;
  /** As of the last welcome. */
  #minor = 0;
  /** The last dial that failed did so by this: what the session ends with when its patience does. */
  #refusal: HeddleError | undefined;

  constructor(options: DialOptions<Out, In>) {
    this.#options = options;
    this.conversation = new Conversation<Out, In>({
      env: options.env,
      id: mintId(options.env.random),
      peer: options.address,
      lease: this.#lease(LEASE_MS, HEARTBEAT_MS),
      sizes: options.sizes,
      owner: this,
    });
    void this.#dial();
  }

  readonly entries = (entries: readonly In[]): void => this.#options.handler.entries(entries);

  readonly linked = (up: boolean): void => this.#options.onLink?.(up, this.#minor);

  readonly silent = (why: string): void => {
    if (this.#attempt === undefined) return;
    this.#link?.abandon?.();
    this.#giveUp(why);
  };

  readonly refused = (why: string): void =>
    this.#options.env.log.warn("session refused", { peer: this.#options.address, why });

  readonly ended = (end: SessionEnd): void => {
    this.#forgetAttempt();
    this.#redial?.[Symbol.dispose]();
    const refusal = end.reason === "expired" ? this.#refusal : undefined;
    this.#options.handler.ended(refusal === undefined ? end : lostBy(refusal));
  };

  async #dial(): Promise<void> {
    const attempt = new AbortController();
    this.#attempt = attempt;
    this.conversation.attempt();
    let link: Link<Frame<Out>, Frame<In>>;
    try {
      link = await this.#options.client.dial(this.#options.method, this.#options.address, attempt.signal);
    } catch (error) {
      if (this.#attempt === attempt) this.#failed(error);
      return;
    }
    if (this.#attempt !== attempt) return link[Symbol.asyncDispose]();
    this.#link = link;
    link.send(this.#hello());
    await this.#read(attempt, link);
  }

  #hello(): Frame<Out> {
    const { id: sessionId, received } = this.conversation;
    return controlFrame({ $case: "hello", value: { version: this.#options.version, sessionId, received } }, received);
  }

  async #read(attempt: AbortController, link: Link<Frame<Out>, Frame<In>>): Promise<void> {
    let isFirst = true;
    for await (const frame of link.incoming) {
      if (this.#attempt !== attempt) return;
      if (isFirst) this.#greeted(link, frame);
      else this.conversation.receive(link, frame);
      isFirst = false;
    }
    const end = await link.closed;
    if (this.#attempt === attempt) this.#failed(end.cause ?? end.reason);
  }

  /** The first frame of a link: a welcome, or else the end of the session. */
  #greeted(link: Link<Frame<Out>, Frame<In>>, frame: Frame<In>): void {
    const control = frame.control?.kind;
    if (control?.$case === "goodbye") {
      this.conversation.end({ reason: "goodbye", goodbye: control.value });
    } else if (control?.$case !== "welcome") {
      this.#refuse(link, "the peer's first frame is not a welcome");
    } else if (frame.entries.length > 0) {
      this.#refuse(link, "entries came with the welcome");
    } else {
      this.#welcome(link, control.value);
    }
  }

  #welcome(link: Link<Frame<Out>, Frame<In>>, welcome: Welcome): void {
    try {
      this.#minor = commonMinor(this.#options.version, welcome.version);
    } catch (error) {
      this.#refuse(link, (error as Error).message);
      return;
    }
    if (this.#welcomed && !welcome.resumed) {
      const message = `${link.peer} does not know this session any more (server ${welcome.serverId})`;
      link.send(controlFrame({ $case: "goodbye", value: { code: "closed", message: "it began anew by mistake" } }, 0));
      this.conversation.end({ reason: "lost", message, isForgotten: true });
      return;
    }
    if (!isTime(welcome.leaseMs) || !isTime(welcome.heartbeatMs)) {
      this.#refuse(link, `lease of ${welcome.leaseMs} ms with heartbeats of ${welcome.heartbeatMs} ms`);
      return;
    }
    this.#welcomed = true;
    this.#refusal = undefined;
    this.#failures = 0;
    this.conversation.adopt(this.#lease(welcome.leaseMs, welcome.heartbeatMs));
    this.conversation.attach(link, welcome.received);
  }

  #refuse(link: Link<Frame<Out>, Frame<In>>, message: string): void {
    link.send(controlFrame({ $case: "goodbye", value: { code: "protocol", message } }, 0));
    this.conversation.refuse(message);
  }

  #lease(leaseMs: number, heartbeatMs: number) {
    return { leaseMs, heartbeatMs, giveUpMs: this.#options.unavailableTimeoutMs ?? leaseMs };
  }

  /**
   * A peer that refuses a session that was never welcomed ends it: something is set up wrong, and nobody should wait to hear so. One that was welcomed dials on
   * with its usual patience: certificates are renewed on one side before the other, and a server that restarts may know another token for a moment.
   */
  #failed(error: unknown): void {
    const isFinal = error instanceof HeddleError && (hopeless.has(error.code) || (isRefusal(error) && !this.#welcomed));
    if (isFinal) return this.conversation.end(lostBy(error));
    this.#refusal = isRefusal(error) ? error : undefined;
    this.#giveUp(error instanceof Error ? error.message : String(error));
  }

  /** Drops the present attempt or link and dials again after a pause. */
  #giveUp(why: string): void {
    const { address, env } = this.#options;
    this.#failures++;
    env.log.debug("session dials again", { session: this.conversation.id, address, why, failures: this.#failures });
    this.#forgetAttempt();
    if (this.conversation.ended) return;
    const pauseMs = backoffMs(REDIAL_BACKOFF, this.#failures, env.random);
    this.#redial = env.clock.setTimer(env.clock.nowMs() + pauseMs, () => void this.#dial());
  }

  #forgetAttempt(): void {
    const link = this.#link;
    this.#attempt?.abort();
    this.#attempt = undefined;
    this.#link = undefined;
    this.conversation.detach();
    if (link !== undefined) void link[Symbol.asyncDispose]();
  }
}

function lostBy(error: HeddleError): SessionEnd {
  return { reason: "lost", message: error.message, error };
}

function isTime(ms: number): boolean {
  return Number.isSafeInteger(ms) && ms > 0;
}
