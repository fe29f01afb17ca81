import type { Environment } from "@heddle/kernel";
import { allSettled } from "./all-settled.ts";
import type { ObjectsChannel } from "./channel.ts";
import type { ObjectsFacilities } from "./fabric-sessions.ts";
import { type Flow, Flows } from "./flows.ts";
import { ObjectsHome } from "./home.ts";
import { KINDS } from "./kinds.ts";

/** What homes are made of. */
export interface FabricHomesOptions {
  readonly env: Environment;
  readonly hold: () => Disposable;
  /** Undefined where there are no shared objects. */
  readonly objects?: ObjectsFacilities | undefined;
}

/** The homes of a fabric handle, one for each of its sessions with the manager: one that all objects have in common which belong to no Manager, and one for each Manager. */
export class FabricHomes {
  readonly #options: FabricHomesOptions;
  readonly #channel: (options?: { readonly ttlMs?: number | undefined }) => ObjectsChannel;
  readonly #flows: Flows;
  #default: ObjectsHome | undefined;
  /** Those that are not closed. */
  readonly #homes = new Set<ObjectsHome>();

  /** `channel`: the fabric's own session without options, else one more. */
  constructor(
    options: FabricHomesOptions,
    channel: (options?: { readonly ttlMs?: number | undefined }) => ObjectsChannel,
  ) {
    this.#options = options;
    this.#channel = channel;
    const { objects } = options;
    this.#flows = new Flows({
      openScope: () => objects?.openScope<Flow>() ?? noScope,
      attempt: () => objects?.attempt?.(),
    });
  }

  get default(): ObjectsHome {
    this.#default ??= this.#make(() => this.#channel());
    return this.#default;
  }

  open(options: { readonly ttlMs?: number | undefined }): ObjectsHome {
    return this.#make(() => this.#channel(options));
  }

  /**
   * At the end of a chunk: what its attempts have acquired and not released is released. Undefined when nothing was asked that has no answer, and no error waits to be heard. Else as
   * ObjectsHome.flush, of all.
   */
  flush(): Promise<void> | undefined {
    if (this.#flows.endAttempts()) for (const home of this.#homes) home.holdings.leaveEnded();
    const busy: ObjectsHome[] = [];
    for (const home of this.#homes) if (!home.isQuiet) busy.push(home);
    return busy.length === 0 ? undefined : allSettled(busy.map((home) => home.flush()));
  }

  /** All of them end, as ObjectsHome.close. */
  close(): Promise<void> {
    return allSettled([...this.#homes].map((home) => home.close()));
  }

  #make(channel: () => ObjectsChannel): ObjectsHome {
    const { env, hold, objects } = this.#options;
    const home: ObjectsHome = new ObjectsHome({
      ...{ channel, env, kinds: KINDS, keepAlive: hold, flows: this.#flows, effects: objects?.effects },
      closed: () => void this.#homes.delete(home),
    });
    this.#homes.add(home);
    return home;
  }
}

/** Where there are no shared objects nothing is held either. */
const noScope = { run: <R>(_value: unknown, run: () => R): R => run(), get: () => undefined };
