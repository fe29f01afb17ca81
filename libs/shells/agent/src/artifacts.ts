import type { Clock } from "@heddle/kernel";
import type { Blobs } from "@heddle/port-blobs";
import { type ArtifactContent, type ArtifactPlace, flowBytes, type PayloadInflow } from "@heddle/wire";
import { CodePlaces } from "./code-places.ts";

/** What the agent's artifacts need of the world. */
export interface ArtifactsOptions {
  readonly blobs: Blobs;
  readonly clock: Clock;
  /** The node's name, for words. */
  readonly node: string;
  /** Asks the coordinator for it, which answers by ArtifactContent; false when there is none to ask. */
  readonly want: (hash: string) => boolean;
}

interface Waiter {
  readonly found: (location: string) => void;
  readonly missing: (why: string) => void;
}

/** Code and captured values on this machine: found here, or asked of the coordinator once however many need them. */
export class Artifacts {
  readonly #options: ArtifactsOptions;
  readonly #places: CodePlaces;
  /** Those that wait for the coordinator's answer, by hash. */
  readonly #waiters = new Map<string, Waiter[]>();

  constructor(options: ArtifactsOptions) {
    this.#options = options;
    this.#places = new CodePlaces(options.blobs, options.clock);
  }

  /** Where it lies, if that was found out lately. */
  known(hash: string): string | undefined {
    return this.#places.known(hash);
  }

  /** Where it lies; it is fetched if it is not here. Rejects with an Error that says why it cannot be had. */
  async locate(hash: string): Promise<string> {
    return this.#places.known(hash) ?? (await this.#relocate(hash));
  }

  /** Answers a worker, which may not have found it, or not whole, where it was: the file is read again before it is believed. */
  async place(hash: string): Promise<ArtifactPlace> {
    try {
      await this.#options.blobs.get(hash); // what is torn is forgotten, and fetched again
      return { hash, location: await this.#relocate(hash), missing: "" };
    } catch (error) {
      return { hash, location: "", missing: error instanceof Error ? error.message : String(error) };
    }
  }

  /** The coordinator's answer. */
  arrived({ hash, content, missing }: ArtifactContent, inflow: PayloadInflow): void {
    if (content === undefined) return this.#fail(hash, missing);
    const flow = inflow.open(content, true);
    flow.follow({
      piece: () => undefined,
      end: (aborted) => {
        if (!aborted) void this.#store(hash, flowBytes(flow));
      },
    });
  }

  /** The coordinator is lost: nobody answers any more. */
  lost(): void {
    for (const hash of [...this.#waiters.keys()])
      this.#fail(hash, `the coordinator was lost before artifact ${hash} came`);
  }

  async #relocate(hash: string): Promise<string> {
    if (!/^[0-9a-f]{64}$/.test(hash)) throw new Error(`${JSON.stringify(hash.slice(0, 80))} names no artifact`);
    return (await this.#find(hash)) ?? (await this.#fetch(hash));
  }

  async #find(hash: string): Promise<string | undefined> {
    try {
      return await this.#places.find(hash);
    } catch (cause) {
      throw new Error(`code cannot be read on node ${this.#options.node}: ${String(cause)}`, { cause });
    }
  }

  #fetch(hash: string): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const waiters = this.#waiters.get(hash) ?? [];
    waiters.push({ found: resolve, missing: (why) => reject(new Error(why)) });
    this.#waiters.set(hash, waiters);
    if (waiters.length === 1 && !this.#options.want(hash))
      this.#fail(hash, `artifact ${hash} is not on node ${this.#options.node}, and there is no coordinator to ask`);
    return promise;
  }

  async #store(hash: string, bytes: Uint8Array): Promise<void> {
    try {
      await this.#options.blobs.put(hash, bytes);
      const location = await this.#places.find(hash);
      if (location === undefined) return this.#fail(hash, `artifact ${hash} was evicted at once`);
      for (const waiter of this.#take(hash)) waiter.found(location);
    } catch (cause) {
      this.#fail(hash, `artifact ${hash} cannot be stored: ${String(cause)}`);
    }
  }

  #fail(hash: string, why: string): void {
    for (const waiter of this.#take(hash)) waiter.missing(why);
  }

  #take(hash: string): Waiter[] {
    const waiters = this.#waiters.get(hash) ?? [];
    this.#waiters.delete(hash);
    return waiters;
  }
}
