import { type AsyncScope, type Clock, ClosedError, type Environment, type Millis, StateError } from "@heddle/kernel";
import type { LeaseKeeper, RpcClient, Version } from "@heddle/port-rpc";
import { OBJECTS_TTL_MS, SUSPEND_LOOK_MS } from "../limits.ts";
import { allSettled } from "./all-settled.ts";
import type { CallEffects, HeldLock, ObjectsChannel } from "./channel.ts";
import { managerOf } from "./manager-address.ts";
import { ManagerStream } from "./manager-stream.ts";
import { type ManagerSeen, ObjectsSession } from "./session.ts";
import { streamLeases } from "./stream-leases.ts";
import type { ObjectsTransport } from "./transport.ts";

/** What sessions with the manager need beside what a fabric needs anyway. */
export interface ObjectsFacilities {
  /** A place for what follows a call through promises and timers. */
  readonly openScope: <T>() => AsyncScope<T>;
  /** The attempt of the task that runs now, one object for each; undefined outside of tasks, and unless given. */
  readonly attempt?: () => object | undefined;
  /** What takes the place of asking the manager, for the code of a task that runs now whose writes count once; nothing unless given. */
  readonly effects?: (() => CallEffects | undefined) | undefined;
  /** Keeps sessions alive; by beats of this event loop unless given. */
  readonly leases?: LeaseKeeper;
  /** Of tasks: lends the slot until disposed, while something waits for others. Nothing else need be told of what is pending then: the process is kept by its agent. */
  readonly lend?: () => Disposable;
  /** Time that goes on while the machine is suspended. */
  readonly bootClock?: () => Millis;
  /** The way to the manager for one more session; a stream of its own, found through the coordinator, unless given. */
  readonly transport?: (ttlMs: number) => ObjectsTransport;
}

/** What sessions are made of. */
export interface FabricSessionsOptions {
  readonly env: Environment;
  readonly client: RpcClient | undefined;
  /** The coordinator's. */
  readonly address: string;
  readonly version: Version;
  readonly description: string;
  readonly unavailableTimeoutMs: number;
  readonly hold: () => Disposable;
  /** Undefined where there are no shared objects. */
  readonly objects?: ObjectsFacilities | undefined;
}

/** The sessions of a fabric handle with the manager: one for all that want no other, and those that were asked for. */
export class FabricSessions {
  readonly #options: FabricSessionsOptions;
  readonly #open = new Set<ObjectsSession>();
  readonly #seen: ManagerSeen = { hasAnswered: false };
  #default: ObjectsSession | undefined;
  #guards: AsyncScope<readonly HeldLock[]> | undefined;
  readonly #bootClock: (() => Millis) | undefined;
  #isClosed = false;

  constructor(options: FabricSessionsOptions) {
    this.#options = options;
    const bootClock = options.objects?.bootClock;
    this.#bootClock = bootClock === undefined ? undefined : sparing(options.env.clock, bootClock);
  }

  /** The one for all that want no other. Throws ClosedError, and StateError where there is none to be had. */
  get default(): ObjectsChannel {
    this.#default ??= this.#make({});
    return this.#default;
  }

  /** One more, whose lease is `ttlMs` (15 s unless given). Throws as `default`. */
  open(options: { readonly ttlMs?: number | undefined }): ObjectsChannel {
    return this.#make(options);
  }

  /** Each is told to end, and nothing more can be asked. Rejects as they do, once all are over. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await allSettled([...this.#open].map((session) => session.close()));
  }

  /** The process ends: the manager need not wait for leases. */
  async leave(): Promise<void> {
    await Promise.all([...this.#open].map((session) => session.leave()));
  }

  /** There is a session that the manager would wait for. */
  get isOpen(): boolean {
    return [...this.#open].some(({ isOpen }) => isOpen);
  }

  #make({ ttlMs = OBJECTS_TTL_MS }: { readonly ttlMs?: number | undefined }): ObjectsSession {
    const { env, client, objects, unavailableTimeoutMs, hold } = this.#options;
    if (this.#isClosed) throw new ClosedError("the fabric was closed");
    const transport = objects?.transport?.(ttlMs) ?? this.#stream(ttlMs);
    const leases = objects?.leases ?? (client === undefined ? undefined : streamLeases(env, client));
    if (objects === undefined || transport === undefined || leases === undefined)
      throw new StateError("this fabric has no way to a manager: no shared objects, locks and queues");
    const { openScope } = objects;
    const bootClock = this.#bootClock;
    const { lend } = objects;
    this.#guards ??= openScope<readonly HeldLock[]>();
    const session: ObjectsSession = new ObjectsSession({
      ...{ env, transport, leases, openScope, guards: this.#guards, lend, unavailableTimeoutMs, bootClock },
      seen: this.#seen,
      hold: lend === undefined ? hold : notHeld,
      closed: () => void this.#open.delete(session),
    });
    this.#open.add(session);
    return session;
  }

  #stream(ttlMs: number): ObjectsTransport | undefined {
    const { env, client, version, address, description } = this.#options;
    if (client === undefined) return undefined;
    const locate = managerOf(client, address);
    return new ManagerStream({ env, client, version, address, description, locate, ttlMs });
  }
}

/** The boot clock is a file to be read: what one session reads does for the others that look soon after it. */
function sparing(clock: Clock, bootClock: () => Millis): () => Millis {
  let lead = 0;
  let lookMs: Millis = Number.NEGATIVE_INFINITY;
  return () => {
    const nowMs = clock.nowMs();
    if (nowMs >= lookMs + SUSPEND_LOOK_MS / 2) {
      lead = bootClock() - nowMs;
      lookMs = nowMs;
    }
    return nowMs + lead;
  };
}

const notHeld = (): Disposable => ({ [Symbol.dispose]: () => undefined });
