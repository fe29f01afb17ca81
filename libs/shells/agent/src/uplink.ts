import { backoffMs, type Environment, type HeddleError, heddleError, unreachable } from "@heddle/kernel";
import {
  dialSession,
  type Goodbye,
  isRefusal,
  type RpcClient,
  type Session,
  type SessionEnd,
  type Version,
} from "@heddle/port-rpc";
import { type AttachRequestEntry, type AttachResponseEntry, NODE_REGISTERED_MINOR, nodesAttach } from "@heddle/wire";
import { REDIAL_BACKOFF, REFUSED_BACKOFF, UNREACHED_WARN_MS } from "./limits.ts";

/** What the uplink tells the agent. */
export interface UplinkHost {
  /** A new session: register in it. What was said in an earlier one is void. */
  readonly opened: (session: Session<AttachRequestEntry>) => void;
  readonly entries: (entries: readonly AttachResponseEntry[]) => void;
  /** The coordinator knows the node and is in reach (true; first call of a session), or lost its link (false). */
  readonly linked: (up: boolean) => void;
  /** The session is over; another is dialled unless it is `final`: then it is said why. */
  readonly lost: (why: string, final: Final | undefined) => void;
}

/** Why no other session is dialled: a newer agent has the name, or no coordinator lets this agent in, which none ever has. */
export type Final = "replaced" | "denied";

/** What an uplink needs. */
export interface UplinkOptions {
  readonly env: Environment;
  readonly client: RpcClient;
  /** Coordinators, tried in turn. */
  readonly addresses: readonly string[];
  readonly version: Version;
}

/**
 * Keeps a session with the coordinator: dials a new one whenever the last is over, with jitter; for ever, unless a newer agent has the name, or every coordinator refuses one that none
 * has ever known: then something is set up wrong, and waiting mends nothing. What is wrong is logged once, and again when it is something else.
 */
export class Uplink {
  readonly #options: UplinkOptions;
  readonly #host: UplinkHost;
  #session: Session<AttachRequestEntry> | undefined;
  #address = "";
  #minor = 0;
  #failures = 0;
  #closed = false;
  #retry: Disposable | undefined;
  /** Set while the first session waits for its first link. */
  #warning: Disposable | undefined;
  /** The present session has a link. */
  #isLinked = false;
  /** The coordinator has said in the present session that it knows the node. */
  #isRegistered = false;
  /** Some coordinator has known the node. */
  #wasRegistered = false;
  /** Coordinators that have refused the node, while none has known it. */
  readonly #refusing = new Set<string>();
  /** What was logged last of what is wrong; until a coordinator knows the node. */
  #said = "";
  /** Why the last dial failed, until there is a link. */
  #dialFailure: string | undefined;

  constructor(options: UplinkOptions, host: UplinkHost) {
    this.#options = options;
    this.#host = host;
    this.#dial();
    const { clock } = options.env;
    this.#warning = clock.setTimer(clock.nowMs() + UNREACHED_WARN_MS, () =>
      this.#unreached("coordinator not reached yet", options.addresses[0] ?? ""),
    );
  }

  /** The session that is open now. */
  get session(): Session<AttachRequestEntry> | undefined {
    return this.#session;
  }

  /** The coordinator that was dialled last. */
  get address(): string {
    return this.#address;
  }

  /** Of heddle.v1, what both speak; 0 until the present session has had a link. */
  get minor(): number {
    return this.#minor;
  }

  /** Ends it for good. */
  async close(goodbye?: Goodbye): Promise<void> {
    this.#closed = true;
    this.#retry?.[Symbol.dispose]();
    this.#warning?.[Symbol.dispose]();
    await this.#session?.close(goodbye);
  }

  /** Asked after the host was told: it may have closed this meanwhile. */
  #isClosed(): boolean {
    return this.#closed;
  }

  #dial(): void {
    const { env, addresses, version } = this.#options;
    const address = addresses[this.#failures % addresses.length] ?? "";
    this.#address = address;
    this.#minor = 0;
    this.#isLinked = false;
    this.#isRegistered = false;
    this.#session = dialSession<AttachRequestEntry, AttachResponseEntry>({
      env,
      client: this.#listeningClient(),
      method: nodesAttach,
      address,
      version,
      onLink: (up, minor) => {
        this.#isLinked = up;
        this.#minor = minor;
        if (up) this.#reached();
        if (this.#isRegistered) this.#host.linked(up);
        else if (up && minor < NODE_REGISTERED_MINOR) this.#registered();
      },
      handler: {
        entries: (entries) => {
          this.#failures = 0;
          if (!this.#isRegistered && entries.some(({ kind }) => kind?.$case === "nodeRegistered")) this.#registered();
          this.#host.entries(entries);
        },
        ended: (end) => this.#ended(end, address),
      },
    });
    this.#host.opened(this.#session);
  }

  #reached(): void {
    this.#dialFailure = undefined;
    this.#warning?.[Symbol.dispose]();
  }

  #registered(): void {
    this.#isRegistered = true;
    this.#wasRegistered = true;
    this.#said = "";
    if (this.#isLinked) this.#host.linked(true);
  }

  /** A session does not tell why it cannot reach its peer: so hear it from the dials. */
  #listeningClient(): RpcClient {
    const { client } = this.#options;
    return {
      dial: async (method, address, signal) => {
        try {
          return await client.dial(method, address, signal);
        } catch (error) {
          if (!signal.aborted) this.#dialFailure = error instanceof Error ? error.message : String(error);
          throw error;
        }
      },
      call: (method, address, request, options) => client.call(method, address, request, options),
      [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
    };
  }

  #unreached(message: string, address: string): void {
    this.#complain(message, address, this.#dialFailure ?? "no answer");
  }

  /** Once for all that is wrong in the same way at the same place. */
  #complain(message: string, address: string, why: string): void {
    const said = `${message} ${address} ${why}`;
    if (said === this.#said) return;
    this.#said = said;
    this.#options.env.log.warn(message, { address, why });
  }

  #ended(end: SessionEnd, address: string): void {
    this.#session = undefined;
    if (this.#closed) return;
    this.#failures++;
    const refused = isRefusal(errorOf(end));
    if (refused && !this.#wasRegistered) this.#refusing.add(address);
    const final = this.#final(end);
    const why = describe(end);
    if (refused) this.#complain("the coordinator refuses this node", address, why);
    else if (this.#isRegistered) this.#complain("coordinator lost", address, why);
    else if (end.reason === "expired") this.#unreached("coordinator not reached", address);
    else this.#complain("coordinator gives no session", address, why);
    this.#host.lost(why, final);
    if (final !== undefined || this.#isClosed()) return;
    const { clock, random } = this.#options.env;
    const pauseMs = backoffMs(refused ? REFUSED_BACKOFF : REDIAL_BACKOFF, this.#failures, random);
    this.#retry = clock.setTimer(clock.nowMs() + pauseMs, () => this.#dial());
  }

  #final(end: SessionEnd): Final | undefined {
    if (end.reason === "goodbye" && end.goodbye.code === "conflict") return "replaced";
    const { addresses } = this.#options;
    return addresses.every((address) => this.#refusing.has(address)) ? "denied" : undefined;
  }
}

/** What the coordinator, or the way to it, said. */
function errorOf(end: SessionEnd): HeddleError | undefined {
  if (end.reason === "lost") return end.error;
  return end.reason === "goodbye" ? heddleError(end.goodbye.code, end.goodbye.message) : undefined;
}

function describe(end: SessionEnd): string {
  switch (end.reason) {
    case "goodbye":
      return end.goodbye.message;
    case "lost":
      return end.message;
    case "expired":
      return "nothing was heard from the coordinator for a lease";
    case "closed":
      return "closed";
    default:
      return unreachable(end);
  }
}
