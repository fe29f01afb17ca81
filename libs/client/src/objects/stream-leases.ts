import { type BackoffPolicy, backoffMs, type Environment, type Millis } from "@heddle/kernel";
import {
  type KeptLease,
  type LeaseKeeper,
  type LeaseTerms,
  type Link,
  leaseUntilMs,
  type RpcClient,
} from "@heddle/port-rpc";
import { type KeepAliveRequest, type KeepAliveResponse, sessionsKeepAlive } from "@heddle/wire";

/** Of a lease: beats are sent this many times in it. */
const BEATS_PER_LEASE = 3;
const REDIAL: BackoffPolicy = { firstMs: 50, maxMs: 1_000 };

/** Keeps sessions alive by beats on a stream of their own, sent by this event loop: for processes whose loop no user code blocks. */
export function streamLeases(env: Environment, client: RpcClient): LeaseKeeper {
  return { keep: (terms) => new BeatenLease(env, client, terms) };
}

/**
 * A beat every third of the lease. When one is not answered by the time of the next, the stream is given up for one to the next address. A manager that refuses it is asked again all the same:
 * whether the session ends is for its own stream to say, and until then the lease may yet be saved.
 */
class BeatenLease implements KeptLease {
  isOver = false;
  trouble: string | undefined;
  readonly #env: Environment;
  readonly #client: RpcClient;
  readonly #terms: LeaseTerms;
  readonly #listeners = new Set<() => void>();
  #validUntilMs: Millis;
  #attempt: AbortController | undefined;
  #link: Link<KeepAliveRequest, KeepAliveResponse> | undefined;
  #timer: Disposable | undefined;
  /** Which of the addresses is used. */
  #at = 0;
  #failures = 0;
  #beat = 0;
  /** When the beats were sent that have no answer, by number. Those of a stream that was given up are forgotten. */
  readonly #sent = new Map<number, Millis>();

  constructor(env: Environment, client: RpcClient, terms: LeaseTerms) {
    this.#env = env;
    this.#client = client;
    this.#terms = terms;
    this.#validUntilMs = leaseUntilMs(terms.sinceMs, terms.ttlMs);
    void this.#dial();
  }

  validUntilMs(): Millis {
    return this.#validUntilMs;
  }

  onChange(listen: () => void): Disposable {
    const own = (): void => listen();
    this.#listeners.add(own);
    return { [Symbol.dispose]: () => void this.#listeners.delete(own) };
  }

  [Symbol.dispose](): void {
    this.isOver = true;
    this.#forget();
    this.#listeners.clear();
  }

  async #dial(): Promise<void> {
    const attempt = new AbortController();
    this.#attempt = attempt;
    this.#later(this.#periodMs, () => this.#giveUp(attempt, "no answer"));
    const { addresses } = this.#terms;
    try {
      const address = addresses[this.#at % addresses.length] ?? "";
      const link = await this.#client.dial(sessionsKeepAlive, address, attempt.signal);
      if (this.#attempt !== attempt) return link[Symbol.asyncDispose]();
      this.#link = link;
      this.#send(attempt, link);
      for await (const answer of link.incoming) {
        if (this.#attempt !== attempt) return;
        this.#answered(answer);
      }
      const end = await link.closed;
      this.#giveUp(attempt, wordsOf(end.cause ?? "the stream of beats was ended"));
    } catch (error) {
      this.#giveUp(attempt, wordsOf(error));
    }
  }

  get #periodMs(): Millis {
    return this.#terms.ttlMs / BEATS_PER_LEASE;
  }

  #send(attempt: AbortController, link: Link<KeepAliveRequest, KeepAliveResponse>): void {
    this.#sent.set(++this.#beat, this.#env.clock.nowMs());
    const { session, nonce } = this.#terms;
    link.send({ session, beat: this.#beat, nonce });
    this.#later(this.#periodMs, () => {
      if (this.#sent.size > 0) this.#giveUp(attempt, "a beat was not answered");
      else this.#send(attempt, link);
    });
  }

  #answered({ session, beat, alive, ttlMs }: KeepAliveResponse): void {
    const sentMs = this.#sent.get(beat);
    if (session !== this.#terms.session || sentMs === undefined) return;
    this.#sent.delete(beat);
    this.#failures = 0;
    this.trouble = undefined;
    if (!alive) {
      this.isOver = true;
      this.#forget();
      return this.#tell();
    }
    this.#validUntilMs = Math.max(this.#validUntilMs, leaseUntilMs(sentMs, ttlMs));
    this.#tell();
  }

  #tell(): void {
    for (const listen of [...this.#listeners]) listen();
  }

  #giveUp(attempt: AbortController, why: string): void {
    if (this.#attempt !== attempt) return;
    const { session } = this.#terms;
    this.#env.log.debug("a stream of beats is given up", { session, why });
    this.#forget();
    this.#at++;
    this.#failures++;
    const pauseMs = Math.min(backoffMs(REDIAL, this.#failures, this.#env.random), this.#periodMs / 2);
    this.#later(pauseMs, () => void this.#dial());
    if (this.trouble === why) return;
    this.trouble = why;
    this.#tell();
  }

  #forget(): void {
    this.#timer?.[Symbol.dispose]();
    this.#attempt?.abort();
    this.#attempt = undefined;
    const link = this.#link;
    this.#link = undefined;
    this.#sent.clear();
    if (link !== undefined) void link[Symbol.asyncDispose]();
  }

  #later(ms: Millis, run: () => void): void {
    const { clock } = this.#env;
    this.#timer?.[Symbol.dispose]();
    this.#timer = clock.setTimer(clock.nowMs() + ms, run);
  }
}

function wordsOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
