import type { ObjectsTransport, OutgoingOperations, TransportListener } from "@heddle/client";
import type { WorkerKey } from "@heddle/core-pool";
import { ProtocolError, UnavailableError } from "@heddle/kernel";
import { endlessLeases, type LeaseKeeper } from "@heddle/port-rpc";
import { type ManualClock, manualEnvironment } from "@heddle/port-rpc/testing";
import {
  Encoding,
  type Operations,
  PayloadAssembler,
  PayloadInflow,
  PayloadOutflow,
  splitPayload,
  type WorkerRequestEntry,
} from "@heddle/wire";
import { expect, test } from "vitest";
import { WORKER_OWNERS_MAX } from "./limits.ts";
import { ObjectRelay, type OwningWorker } from "./object-relay.ts";

/** A way to the manager whose other end is the test. */
class Way implements ObjectsTransport {
  readonly address = "there";
  listener: TransportListener | undefined;
  opens = 0;
  readonly sent: OutgoingOperations[] = [];
  readonly closed: number[] = [];
  readonly described: [owner: number, description: string][] = [];
  isClosed = false;

  open(listener: TransportListener): void {
    this.opens++;
    this.listener = listener;
  }

  send(operations: OutgoingOperations): void {
    this.sent.push(operations);
  }

  describeOwner(owner: number, description: string): void {
    this.described.push([owner, description]);
  }

  closeOwner(owner: number): void {
    this.closed.push(owner);
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }

  opened(session = 7): void {
    this.listener?.opened({ session, nonce: "", ttlMs: 15_000, sinceMs: 0, addresses: ["there"] });
  }
}

/** A worker that remembers what it was told. */
class Worker implements OwningWorker {
  readonly key: WorkerKey;
  readonly pid: number;
  readonly inflow = new PayloadInflow();
  readonly outflow = new PayloadOutflow((part) => this.send({ kind: { $case: "part", value: part } }));
  readonly told: WorkerRequestEntry[] = [];
  readonly replies: [owner: number, size: number][] = [];
  readonly #parts = new PayloadAssembler<number>();

  constructor(key: number) {
    this.key = key as WorkerKey;
    this.pid = 1_000 + key;
  }

  readonly send = (entry: WorkerRequestEntry): void => {
    this.told.push(entry);
    const { kind } = entry;
    if (kind?.$case === "objectReplies" && kind.value.batch !== undefined) {
      const { owner, batch } = kind.value;
      const whole = this.#parts.open(batch, owner);
      if (whole !== undefined) this.replies.push([owner, whole.bytes.length]);
    } else if (kind?.$case === "part") {
      const done = this.#parts.add(kind.value);
      if (done?.payload !== undefined) this.replies.push([done.tag, done.payload.bytes.length]);
    }
  };

  /** States of the session that it was told, in order. */
  get states(): number[] {
    return this.told.flatMap(({ kind }) => (kind?.$case === "objectsState" ? [kind.value.state] : []));
  }
}

const [OPEN, LOST, ENDED] = [1, 2, 3];
const NOTHING = operations(0, 0);

function operations(size: number, count = 1, owner = 0): Operations {
  const { header } = splitPayload({ encoding: Encoding.UNSPECIFIED, count, bytes: new Uint8Array(size) }, () => 5);
  return { owner, batch: header, acknowledged: [] };
}

function relayOf(leases: LeaseKeeper = endlessLeases): { relay: ObjectRelay; way: Way; clock: ManualClock } {
  const way = new Way();
  const env = manualEnvironment();
  return { relay: new ObjectRelay({ env, transport: way, leases }), way, clock: env.clock };
}

test("the first worker that asks opens the session, and all in it are told when it is open, and open again", () => {
  const { relay, way } = relayOf();
  const [one, two] = [new Worker(1), new Worker(2)];
  relay.operate(one, NOTHING);
  way.opened();
  relay.operate(two, NOTHING);
  expect([way.opens, one.states, two.states]).toEqual([1, [OPEN], [OPEN]]);
  expect(way.described).toEqual([
    [1, "worker pid 1001"],
    [2, "worker pid 1002"],
  ]);
  way.listener?.interrupted("the manager was killed");
  way.opened();
  expect([one.states, two.states]).toEqual([
    [OPEN, OPEN],
    [OPEN, OPEN],
  ]);
});

test("each worker, and each session that its code opens, is an owner of its own; replies come back to it", () => {
  const { relay, way } = relayOf();
  const [one, two] = [new Worker(1), new Worker(2)];
  for (const [worker, own] of [
    [one, 1],
    [one, 2],
    [two, 1],
  ] as const)
    relay.operate(worker, operations(0, 0, own));
  way.opened();
  relay.operate(one, operations(3, 1, 2));
  relay.operate(two, operations(4, 1, 1));
  expect(way.sent.map(({ owner, batch }) => [owner, batch.length])).toEqual([
    [2, 3],
    [3, 4],
  ]);
  way.listener?.replies(2, new Uint8Array(10));
  way.listener?.replies(3, new Uint8Array(200_000));
  way.listener?.replies(99, new Uint8Array(1));
  expect([one.replies, two.replies]).toEqual([[[2, 10]], [[1, 200_000]]]);
});

test("what an owner holds and is taken away is told to its worker", () => {
  const { relay, way } = relayOf();
  const [one, two] = [new Worker(1), new Worker(2)];
  for (const [worker, own] of [
    [one, 1],
    [two, 4],
  ] as const)
    relay.operate(worker, operations(0, 0, own));
  way.opened();
  const revoked = { object: "@a", token: 5, reason: "it hung" };
  way.listener?.revoked({ ...revoked, owner: 2 });
  way.listener?.revoked({ ...revoked, owner: 99 });
  expect(one.told.filter(({ kind }) => kind?.$case === "objectRevoked")).toEqual([]);
  expect(two.told.at(-1)).toEqual({ kind: { $case: "objectRevoked", value: { ...revoked, owner: 4 } } });
});

test("operations that come in parts leave once they are whole", () => {
  const { relay, way } = relayOf();
  const worker = new Worker(1);
  relay.operate(worker, NOTHING);
  way.opened();
  const payload = { encoding: Encoding.UNSPECIFIED, count: 1, bytes: new Uint8Array(300_000).fill(9) };
  const { header, parts } = splitPayload(payload, () => 5);
  relay.operate(worker, { owner: 0, batch: header, acknowledged: [4, 1] });
  expect(way.sent).toEqual([]);
  for (const part of parts) worker.inflow.part(part);
  expect(way.sent).toEqual([{ owner: 1, acknowledged: [4, 1], batch: payload.bytes, count: 1 }]);
});

test("a worker that is gone frees what it held, and so does a session of its code that is over", () => {
  const { relay, way } = relayOf();
  const worker = new Worker(1);
  for (const own of [1, 2, 3]) relay.operate(worker, operations(0, 0, own));
  way.opened();
  relay.closed(worker.key, 2);
  relay.closed(worker.key, 2);
  expect(way.closed).toEqual([2]);
  relay.gone(worker.key);
  relay.gone(worker.key);
  expect(way.closed).toEqual([2, 1, 3]);
  way.listener?.replies(1, new Uint8Array(1));
  expect(worker.replies).toEqual([]);
});

test("a lease that has run out is told to the workers, and that it holds again", async () => {
  const { relay, way, clock } = relayOf({
    keep: () => ({
      validUntilMs: () => Number.NEGATIVE_INFINITY,
      isOver: false,
      onChange: () => ({ [Symbol.dispose]: () => undefined }),
      [Symbol.dispose]: () => undefined,
    }),
  });
  const worker = new Worker(1);
  relay.operate(worker, NOTHING);
  way.opened();
  await clock.advance(15_000);
  expect(worker.states).toEqual([OPEN, LOST]);
  way.listener?.opened({ session: 7, nonce: "", ttlMs: 15_000, sinceMs: clock.nowMs(), addresses: ["there"] });
  expect(worker.states.at(-1)).toBe(OPEN);
});

test("the end of the session is told to all, and whoever asks next opens another", () => {
  const { relay, way } = relayOf();
  const worker = new Worker(1);
  relay.operate(worker, NOTHING);
  way.opened();
  way.listener?.ended({ code: "expired", message: "too late" });
  expect(worker.states).toEqual([OPEN, ENDED]);
  relay.operate(worker, operations(3));
  expect(way.sent).toEqual([]);
  relay.operate(worker, NOTHING);
  way.opened(9);
  expect([way.opens, worker.states]).toEqual([2, [OPEN, ENDED, OPEN]]);
});

test("beats that tell that the session is over end its stream, too: whoever asks next hears nothing of it", () => {
  let tell: (() => void) | undefined;
  const kept = {
    validUntilMs: () => Number.POSITIVE_INFINITY,
    isOver: false,
    onChange: (listen: () => void) => {
      tell = listen;
      return { [Symbol.dispose]: () => undefined };
    },
    [Symbol.dispose]: () => undefined,
  };
  const { relay, way } = relayOf({ keep: () => kept });
  const worker = new Worker(1);
  relay.operate(worker, NOTHING);
  way.opened();
  kept.isOver = true;
  tell?.();
  relay.operate(worker, NOTHING);
  expect([way.isClosed, way.opens, worker.states]).toEqual([true, 2, [OPEN, ENDED]]);
  way.opened(9);
  expect(worker.states).toEqual([OPEN, ENDED, OPEN]);
});

test("a manager that cannot be found is told with its reason, and asked for again by whoever asks next", () => {
  const { relay, way } = relayOf();
  const worker = new Worker(1);
  relay.operate(worker, NOTHING);
  way.listener?.failed(new UnavailableError("nobody there"));
  expect(worker.told.at(-1)).toEqual({
    kind: {
      $case: "objectsState",
      value: { state: ENDED, session: 0, ttlMs: 0, code: "unavailable", message: "nobody there" },
    },
  });
  relay.operate(worker, NOTHING);
  expect(way.opens).toBe(2);
});

test("a worker whose code opens sessions without end is an offender", () => {
  const { relay } = relayOf();
  const worker = new Worker(1);
  for (let own = 0; own < WORKER_OWNERS_MAX; own++) relay.operate(worker, operations(0, 0, own));
  expect(() => relay.operate(worker, operations(0, 0, WORKER_OWNERS_MAX))).toThrow(ProtocolError);
  expect(() => relay.operate(worker, { owner: 0, batch: undefined, acknowledged: [] })).toThrow(ProtocolError);
});

test("a node that is over tells its workers and ends the session", async () => {
  const { relay, way } = relayOf();
  const worker = new Worker(1);
  relay.operate(worker, NOTHING);
  way.opened();
  await relay.close();
  expect([way.isClosed, worker.states.at(-1)]).toEqual([true, ENDED]);
});
