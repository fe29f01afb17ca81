import { backoffMs, type Environment, unreachable } from "@heddle/kernel";
import {
  dialSession,
  type Goodbye,
  type RpcClient,
  type Session,
  type SessionEnd,
  type Version,
} from "@heddle/port-rpc";
import { type AttachRequestEntry, type AttachResponseEntry, nodesAttach } from "@heddle/wire";
import { REDIAL_BACKOFF, UNREACHED_WARN_MS } from "./limits.ts";

/** What the uplink tells the agent. */
export interface UplinkHost {
  /** A new session: register in it. What was said in an earlier one is void. */
  readonly opened: (session: Session<AttachRequestEntry>) => void;
  readonly entries: (entries: readonly AttachResponseEntry[]) => void;
  /** The session reached the coordinator (true; first call of a session) or lost its link (false). */
  readonly linked: (up: boolean) => void;
  /** The session is over; another is dialled unless `final`. */
  readonly lost: (why: string, final: boolean) => void;
}

/** What an uplink needs. */
export interface UplinkOptions {
  readonly env: Environment;
  readonly client: RpcClient;
  /** Coordinators, tried in turn. */
  readonly addresses: readonly string[];
  readonly version: Version;
}

/** Keeps a session with the coordinator: dials a new one whenever the last is over, for ever, with jitter. */
export class Uplink {
  readonly #options: UplinkOptions;
  readonly #host: UplinkHost;
  #session: Session<AttachRequestEntry> | undefined;
  #address = "";
  #failures = 0;
  #closed = false;
  #retry: Disposable | undefined;
  /** Set while the first session waits for its first link. */
  #warning: Disposable | undefined;
  /** The present session had a link. */
  #wasLinked = false;
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
    this.#wasLinked = false;
    this.#session = dialSession<AttachRequestEntry, AttachResponseEntry>({
      env,
      client: this.#listeningClient(),
      method: nodesAttach,
      address,
      version,
      onLink: (up) => {
        if (up) this.#reached();
        this.#host.linked(up);
      },
      handler: {
        entries: (entries) => {
          this.#failures = 0;
          this.#host.entries(entries);
        },
        ended: (end) => this.#ended(end, address),
      },
    });
    this.#host.opened(this.#session);
  }

  #reached(): void {
    this.#wasLinked = true;
    this.#dialFailure = undefined;
    this.#warning?.[Symbol.dispose]();
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
    this.#options.env.log.warn(message, { address, why: this.#dialFailure ?? "no answer" });
  }

  #ended(end: SessionEnd, address: string): void {
    this.#session = undefined;
    if (this.#closed) return;
    this.#failures++;
    const final = end.reason === "goodbye" && end.goodbye.code === "conflict";
    const why = describe(end);
    if (this.#wasLinked) this.#options.env.log.warn("coordinator lost", { why, final });
    else if (end.reason === "expired") this.#unreached("coordinator not reached", address);
    else this.#options.env.log.warn("coordinator gives no session", { address, why, final });
    this.#host.lost(why, final);
    if (final || this.#isClosed()) return;
    const { clock, random } = this.#options.env;
    this.#retry = clock.setTimer(clock.nowMs() + backoffMs(REDIAL_BACKOFF, this.#failures, random), () => this.#dial());
  }
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
