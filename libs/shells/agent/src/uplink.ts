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
import { REDIAL_BACKOFF } from "./limits.ts";

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
  #failures = 0;
  #closed = false;
  #retry: Disposable | undefined;

  constructor(options: UplinkOptions, host: UplinkHost) {
    this.#options = options;
    this.#host = host;
    this.#dial();
  }

  /** The session that is open now. */
  get session(): Session<AttachRequestEntry> | undefined {
    return this.#session;
  }

  /** Ends it for good. */
  async close(goodbye?: Goodbye): Promise<void> {
    this.#closed = true;
    this.#retry?.[Symbol.dispose]();
    await this.#session?.close(goodbye);
  }

  /** Asked after the host was told: it may have closed this meanwhile. */
  #isClosed(): boolean {
    return this.#closed;
  }

  #dial(): void {
    const { env, client, addresses, version } = this.#options;
    const address = addresses[this.#failures % addresses.length] ?? "";
    this.#session = dialSession<AttachRequestEntry, AttachResponseEntry>({
      env,
      client,
      method: nodesAttach,
      address,
      version,
      onLink: (up) => this.#host.linked(up),
      handler: {
        entries: (entries) => {
          this.#failures = 0;
          this.#host.entries(entries);
        },
        ended: (end) => this.#ended(end),
      },
    });
    this.#host.opened(this.#session);
  }

  #ended(end: SessionEnd): void {
    this.#session = undefined;
    if (this.#closed) return;
    this.#failures++;
    const final = end.reason === "goodbye" && end.goodbye.code === "conflict";
    this.#host.lost(describe(end), final);
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
