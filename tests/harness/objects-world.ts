import { openScope } from "@heddle/adapter-processes";
import {
  type Flow,
  Flows,
  type HeldLock,
  KINDS,
  ManagerStream,
  type ObjectsFabric,
  ObjectsHome,
  ObjectsSession,
  streamLeases,
} from "@heddle/client";
import { type AsyncScope, type Environment, seededRandom, silentLogger } from "@heddle/kernel";
import { MemoryJournalStore, memoryJournal } from "@heddle/port-journal";
import { type Listening, MemoryNetwork } from "@heddle/port-rpc";
import { ManualClock } from "@heddle/port-rpc/testing";
import { ManagerShell } from "@heddle/shell-manager";
import { decodeValue, encodeValue, protocolVersion, type Shared, SharedReference, shared } from "@heddle/wire";

const _ADDRESS = "manager";
/** Turns of the event loop in which everything that is ready has run, journal and network included. */
const TURNS = 12;

/** A client process, as far as shared objects see it: give its `fabric` to their constructors. */
export interface ObjectsClient {
  readonly fabric: ObjectsFabric;
  readonly session: ObjectsSession;
  /** A handle of another client's, as this one receives it. */
  receive<T extends Shared>(handle: T): Promise<T>;
  /** Nothing goes to the manager or comes from it, as when the network is gone or the process stopped. */
  cutOff(): void;
  /** The end of that. */
  reconnect(): void;
}

/**
 * The real manager, and clients with sessions of their own, over a network in memory; time passes when the test says
 * so.
 */
export class ObjectsWorld implements AsyncDisposable {
  readonly clock = new ManualClock(() => this.settle());
  readonly env: Environment = { clock: this.clock, random: seededRandom(7), log: silentLogger };
  readonly #store = new MemoryJournalStore();
  readonly #network = new MemoryNetwork(this.env);
  /** Each client reaches the manager by an address of its own. */
  readonly #addresses: string[] = [];
  #listening: Listening[] = [];
  #shell: ManagerShell | undefined;

  static async open(): Promise<ObjectsWorld> {
    const world = new ObjectsWorld();
    await world.start();
    return world;
  }

  /** Lets everything that is ready run. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < TURNS; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Starts a manager on what the journal keeps. */
  async start(): Promise<void> {
    const { env } = this;
    this.#shell = new ManagerShell({ env, journal: memoryJournal(this.#store), build: "test", nodeMajor: 24, pid: 1 });
    await this.#shell.start();
    for (const address of this.#addresses) await this.#listen(address);
    await this.settle();
  }

  /** Ends it as kill -9 does. */
  async kill(): Promise<void> {
    this.#store.kill();
    for (const address of this.#addresses) this.#network.cut(address);
    await Promise.all(this.#listening.map((each) => each[Symbol.asyncDispose]()));
    this.#listening = [];
    await this.settle();
  }

  async client(description: string, ttlMs = 15_000): Promise<ObjectsClient> {
    const address = `manager for ${description}`;
    this.#addresses.push(address);
    await this.#listen(address);
    return new WorldClient({ env: this.env, network: this.#network, address, description, ttlMs });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#shell?.stop(0);
    await this.#network[Symbol.asyncDispose]();
  }

  async #listen(address: string): Promise<void> {
    this.#listening.push(await this.#network.listen(address, this.#shell?.routes ?? []));
  }
}

/** A handle as another session receives it. */
export async function received<T extends Shared>(home: ObjectsHome, handle: T): Promise<T> {
  const description = handle[shared]();
  await handle.pending;
  return decodeValue(encodeValue(new SharedReference(description), "argument"), "argument", {
    reviveFunction: () => undefined,
    reviveShared: (described) => home.revive(described),
  }) as T;
}

interface WorldClientOptions {
  readonly env: Environment;
  readonly network: MemoryNetwork;
  readonly address: string;
  readonly description: string;
  readonly ttlMs: number;
}

class WorldClient implements ObjectsClient {
  readonly session: ObjectsSession;
  readonly fabric: ObjectsFabric;
  readonly #network: MemoryNetwork;
  readonly #address: string;

  constructor(options: WorldClientOptions) {
    const { env, network, address, ttlMs } = options;
    this.#network = network;
    this.#address = address;
    const guards = openScope<readonly HeldLock[]>();
    const open = (ttl: number): ObjectsSession => openSession(options, guards, ttl);
    const flows = new Flows({ openScope: () => openScope<Flow>(), attempt: () => undefined });
    const home = (channel: () => ObjectsSession): ObjectsHome =>
      new ObjectsHome({ channel, env, kinds: KINDS, keepAlive: keepNothing, flows });
    this.session = open(ttlMs);
    this.fabric = {
      home: home(() => this.session),
      openObjects: ({ ttlMs: ttl = ttlMs }) => home(() => open(ttl)),
    };
  }

  receive<T extends Shared>(handle: T): Promise<T> {
    return received(this.fabric.home, handle);
  }

  cutOff(): void {
    this.#network.blackhole(this.#address, true);
  }

  reconnect(): void {
    this.#network.blackhole(this.#address, false);
  }
}

function openSession(
  { env, network, address, description }: WorldClientOptions,
  guards: AsyncScope<readonly HeldLock[]>,
  ttlMs: number,
): ObjectsSession {
  const version = protocolVersion("test", 24);
  const locate = async (): Promise<readonly string[]> => [address];
  return new ObjectsSession({
    env,
    transport: new ManagerStream({ env, client: network, version, address, description, locate, ttlMs }),
    leases: streamLeases(env, network),
    openScope,
    guards,
    hold: keepNothing,
    unavailableTimeoutMs: 60_000,
  });
}

const keepNothing = (): Disposable => ({ [Symbol.dispose]: () => undefined });
