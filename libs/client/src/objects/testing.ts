// biome-ignore-all lint/style/noRestrictedGlobals: this file stands in for the world, in tests only
import type { AsyncScope, Environment, HeddleError } from "@heddle/kernel";
import { seededRandom, silentLogger } from "@heddle/kernel";
import {
  type Listening,
  MemoryNetwork,
  type Route,
  type RpcClient,
  type Session,
  SessionAcceptor,
  streamRoute,
  unaryRoute,
} from "@heddle/port-rpc";
import { ManualClock } from "@heddle/port-rpc/testing";
import {
  adminGetStatus,
  decodeOperations,
  encodeReplies,
  GetStatusResponse,
  type KeepAliveRequest,
  type OperateRequestEntry,
  type OperateResponseEntry,
  type Operation,
  objectsOperate,
  protocolVersion,
  type Reply,
  sessionsKeepAlive,
} from "@heddle/wire";
import type { OperationRequest } from "./channel.ts";
import { managerOf } from "./manager-address.ts";
import { ManagerStream } from "./manager-stream.ts";
import { ObjectsSession, type ObjectsSessionOptions } from "./session.ts";
import { streamLeases } from "./stream-leases.ts";

export const OBJECT = "0123456789abcdef0123456789abcdef";
export const TTL_MS = 6_000;
export const COORDINATOR = "coordinator";
export const MANAGER = "manager";

/** Scopes that last for the call itself: give real ones where more is asked. */
function callScope<T>(): AsyncScope<T> {
  let current: T | undefined;
  return {
    run: (value, run) => {
      const outer = current;
      current = value;
      try {
        return run();
      } finally {
        current = outer;
      }
    },
    get: () => current,
  };
}

/** Lets everything that is ready run. */
export async function settle(): Promise<void> {
  for (let turns = 0; turns < 8; turns++) await new Promise((resolve) => setImmediate(resolve));
}

/** Operations as they came in one entry. */
export interface Asked {
  readonly acknowledged: readonly number[];
  readonly operations: readonly Operation[];
}

/** A manager whose every word is the test's, a coordinator that knows where it is, and one client's session with it. */
export class ScriptedManager implements AsyncDisposable {
  readonly clock = new ManualClock(settle);
  readonly env: Environment = { clock: this.clock, random: seededRandom(1), log: silentLogger };
  readonly network = new MemoryNetwork(this.env);
  /** Addresses that let the client in no more, and how they say so: its open streams go on. */
  readonly refusals = new Map<string, HeddleError>();
  /** Where the coordinator says that the manager is. */
  address = MANAGER;
  /** Entries with operations, over all streams. */
  readonly asked: Asked[] = [];
  /** How sessions were asked for, over all streams: "open NONCE" and "attach NUMBER", and what ends things. */
  readonly said: string[] = [];
  /** The coordinator serves for the manager. */
  relays = false;
  /** Whether beats are answered, and how. */
  beats: "alive" | "dead" | "silent" = "alive";
  /** What answers to beats take on their way. */
  beatDelayMs = 0;
  /** Answers operations as they come, unless the test does. */
  answer: ((operation: Operation) => Partial<Reply> | undefined) | undefined;
  /** What a request for a session is answered with. */
  admit: () => "open" | "unknown" | "nothing" = () => "open";
  holds = 0;
  lastSession = 100;
  bootLeadMs = 0;
  readonly session: ObjectsSession;
  #stream: Session<OperateResponseEntry> | undefined;
  #acceptor = this.#newAcceptor();
  #listening: Listening[] = [];

  constructor(options: Partial<ObjectsSessionOptions> = {}) {
    const { env } = this;
    const client = this.#guardedClient();
    const version = protocolVersion("test", 24);
    const locate = managerOf(client, COORDINATOR);
    const stream = { env, client, version, address: COORDINATOR, locate, ttlMs: TTL_MS, description: "test" };
    this.session = new ObjectsSession({
      env,
      transport: new ManagerStream(stream),
      leases: streamLeases(env, client),
      openScope: callScope,
      hold: () => {
        this.holds++;
        return { [Symbol.dispose]: () => void this.holds-- };
      },
      unavailableTimeoutMs: 30_000,
      bootClock: () => this.clock.nowMs() + this.bootLeadMs,
      ...options,
    });
  }

  static async start(options?: Partial<ObjectsSessionOptions>): Promise<ScriptedManager> {
    const manager = new ScriptedManager(options);
    await manager.serve(MANAGER);
    const status = unaryRoute(adminGetStatus, async () => GetStatusResponse.fromPartial({ manager: manager.address }));
    await manager.network.listen(COORDINATOR, [status, ...manager.#routes(() => manager.relays)]);
    return manager;
  }

  /** The manager is at an address. */
  async serve(address: string): Promise<void> {
    this.#listening.push(
      await this.network.listen(
        address,
        this.#routes(() => true),
      ),
    );
  }

  /** The manager is gone, and its streams with it. */
  async kill(): Promise<void> {
    this.network.cut(MANAGER);
    await Promise.all(this.#listening.map((each) => each[Symbol.asyncDispose]()));
    this.#listening = [];
    this.#stream = undefined;
    this.#acceptor = this.#newAcceptor();
    await settle();
  }

  /** It is back, and knows no stream of before. */
  async restart(): Promise<void> {
    await this.serve(MANAGER);
    await this.clock.advance(3_000);
  }

  /** Every operation so far, in the order in which it came. */
  get operations(): Operation[] {
    return this.asked.flatMap(({ operations }) => operations);
  }

  reply(...replies: Partial<Reply>[]): void {
    const whole = replies.map((reply) => ({
      seq: 0,
      values: [],
      numbers: [],
      revision: 0,
      error: undefined,
      ...reply,
    }));
    const data = encodeReplies(whole);
    const batch = { encoding: 0 as const, count: replies.length, size: data.length, data, partStream: 0 };
    this.#stream?.send({ kind: { $case: "replies", value: { owner: 0, batch } } }, data.length);
  }

  endSession(code: string): void {
    this.#stream?.send({ kind: { $case: "sessionEnded", value: { code, message: "by the test" } } }, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closing = this.session.close().catch(() => undefined); // of writes that a test left without an answer
    await this.clock.advance(10_000);
    await closing;
    await this.network[Symbol.asyncDispose]();
  }

  #guardedClient(): RpcClient {
    const { network, refusals } = this;
    const admit = (address: string): void => {
      const refusal = refusals.get(address);
      if (refusal !== undefined) throw refusal;
    };
    return {
      dial: async (method, address, signal) => {
        admit(address);
        return await network.dial(method, address, signal);
      },
      call: async (method, address, request, options) => {
        admit(address);
        return await network.call(method, address, request, options);
      },
      [Symbol.asyncDispose]: () => network[Symbol.asyncDispose](),
    };
  }

  #routes(isServing: () => boolean): Route[] {
    return [
      streamRoute(objectsOperate, (link) =>
        isServing() ? this.#acceptor.accept(link) : void link[Symbol.asyncDispose](),
      ),
      streamRoute(sessionsKeepAlive, async (link) => {
        if (!isServing()) return link[Symbol.asyncDispose]();
        for await (const beat of link.incoming) this.#beat(beat, (answer) => void link.send(answer));
      }),
    ];
  }

  #newAcceptor(): SessionAcceptor<OperateResponseEntry, OperateRequestEntry> {
    return new SessionAcceptor<OperateResponseEntry, OperateRequestEntry>({
      env: this.env,
      serverId: "0".repeat(32),
      version: protocolVersion("test", 24),
      leaseMs: 15_000,
      heartbeatMs: 2_000,
      onSession: (stream) => {
        this.#stream = stream;
        return { entries: (entries) => this.#take(stream, entries), ended: () => undefined };
      },
    });
  }

  #beat(
    { session, beat }: KeepAliveRequest,
    answer: (response: { session: number; beat: number; alive: boolean; ttlMs: number }) => void,
  ): void {
    if (this.beats === "silent") return;
    const alive = this.beats === "alive";
    const atMs = this.clock.nowMs() + this.beatDelayMs;
    this.clock.setTimer(atMs, () => answer({ session, beat, alive, ttlMs: TTL_MS }));
  }

  #take(stream: Session<OperateResponseEntry>, entries: readonly OperateRequestEntry[]): void {
    for (const { kind } of entries)
      switch (kind?.$case) {
        case "openSession":
          this.said.push(`open ${kind.value.nonce}`);
          this.#admit(stream, ++this.lastSession);
          break;
        case "attachSession":
          this.said.push(`attach ${kind.value.session}`);
          this.#admit(stream, kind.value.session);
          break;
        case "operations":
          this.#operations(kind.value.acknowledged, decodeOperations(kind.value.batch?.data ?? new Uint8Array(0)));
          break;
        default:
          this.said.push(kind?.$case ?? "nothing");
      }
  }

  #admit(stream: Session<OperateResponseEntry>, session: number): void {
    const verdict = this.admit();
    if (verdict === "open") stream.send({ kind: { $case: "sessionOpened", value: { session, ttlMs: TTL_MS } } }, 0);
    else if (verdict === "unknown")
      stream.send({ kind: { $case: "sessionEnded", value: { code: "unknown", message: "never heard of it" } } }, 0);
  }

  #operations(acknowledged: readonly number[], operations: readonly Operation[]): void {
    this.asked.push({ acknowledged, operations });
    for (const operation of operations) {
      const reply = this.answer?.(operation);
      if (reply !== undefined) this.reply({ seq: operation.seq, ...reply });
    }
  }
}

/** A refusal as the wire has it. */
export function refused(code: string, message: string = code): Partial<Reply> {
  return {
    error: { code, message, path: "", side: "", limitName: "", limit: 0, actual: 0, cause: new Uint8Array(0) },
  };
}

/** What came of a promise: neither while it is pending. */
export function outcome(promise: Promise<unknown>): { error?: unknown; value?: unknown } {
  const seen: { error?: unknown; value?: unknown } = {};
  promise.then(
    (value) => {
      seen.value = value;
    },
    (error: unknown) => {
      seen.error = error;
    },
  );
  return seen;
}

/** A write, a read, and what waits. */
export const append: OperationRequest = { verb: "list-append", object: OBJECT, values: [new Uint8Array([1])] };
export const length: OperationRequest = { verb: "list-length", object: OBJECT };
export const acquire: OperationRequest = { verb: "lock-acquire", object: OBJECT, numbers: [1, 0] };
