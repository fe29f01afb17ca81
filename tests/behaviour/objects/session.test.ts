import type { ObjectsSession, OperationReply, OperationRequest } from "@heddle/client";
import { OutcomeUnknownError, SessionLostError, seededRandom, TimeoutError } from "@heddle/kernel";
import { decodeValue, encodeValue } from "@heddle/wire";
import { describe, expect, test } from "vitest";
import { ObjectsWorld } from "../../harness/objects-world.ts";

const LOCK = "1123456789abcdef0123456789abcdef";
const LIST = "@list";

const value = (content: unknown): Uint8Array => encodeValue(content, "value");
const create = (object: string, kind: string): OperationRequest => ({
  verb: "create",
  object,
  values: [value({ kind })],
});
const acquire: OperationRequest = { verb: "lock-acquire", object: LOCK, numbers: [1, 0] };
const release = (token: number): OperationRequest => ({ verb: "lock-release", object: LOCK, numbers: [token] });
const append = (item: unknown): OperationRequest => ({ verb: "list-append", object: LIST, values: [value(item)] });
const token = ({ numbers }: OperationReply): number => numbers[0] ?? 0;

async function items(session: ObjectsSession): Promise<unknown[]> {
  const { values } = await session.call({ verb: "list-slice", object: LIST });
  return values.map((bytes) => decodeValue(bytes, "value"));
}

/** What became of a promise; undefined while it is pending. */
function outcome(promise: Promise<unknown>): { settled: { value: unknown } | { error: unknown } | undefined } {
  const seen: ReturnType<typeof outcome> = { settled: undefined };
  promise.then(
    (value) => {
      seen.settled = { value };
    },
    (error: unknown) => {
      seen.settled = { error };
    },
  );
  return seen;
}

describe("a session with the real manager", () => {
  test("leaves no lock without an owner, and no promise unsettled, when 10,000 waits are given up as they are granted", async () => {
    await using world = await ObjectsWorld.open();
    const { clock } = world;
    const random = seededRandom(20_251_125);
    const clients = await Promise.all(["a", "b", "c"].map((name) => world.client(name)));
    const sessions = clients.map(({ session }) => session);
    await sessions[0]?.call(create(LOCK, "lock"));
    let [granted, timedOut, aborted, holders, pending] = [0, 0, 0, 0, 0];
    const attempt = async (session: ObjectsSession): Promise<void> => {
      const abort = new AbortController();
      const isAborted = random.int(2) === 0;
      const delayMs = random.float() * 5;
      if (isAborted) clock.setTimer(clock.nowMs() + delayMs, () => abort.abort("given up"));
      try {
        const held = await session.wait(acquire, isAborted ? { signal: abort.signal } : { timeoutMs: delayMs });
        granted++;
        expect(++holders).toBe(1);
        await new Promise<void>((resolve) => clock.setTimer(clock.nowMs() + random.float() * 2, resolve));
        holders--;
        await session.call(release(token(held)));
      } catch (error) {
        if (error === "given up") aborted++;
        else if (error instanceof TimeoutError) timedOut++;
        else throw error;
      } finally {
        pending--;
      }
    };
    const attempts: Promise<void>[] = [];
    for (let asked = 0; asked < 10_000; ) {
      for (let more = random.int(8); more > 0 && asked < 10_000; more--, asked++) {
        pending++;
        attempts.push(attempt(sessions[random.int(3)] as ObjectsSession));
      }
      await clock.advance(random.float() * 2);
    }
    await clock.advance(1_000);
    await Promise.all(attempts);
    expect(pending).toBe(0);
    expect(granted + timedOut + aborted).toBe(10_000);
    expect(Math.min(granted, timedOut, aborted)).toBeGreaterThan(500);
    const state = await sessions[0]?.call({ verb: "lock-state", object: LOCK });
    expect(state?.numbers[0]).toBe(0);
  }, 120_000);

  test("does each write once, in order, however often the manager is killed under it", async () => {
    await using world = await ObjectsWorld.open();
    const { session } = await world.client("writer");
    const random = seededRandom(7);
    await session.call(create(LIST, "list"));
    const written: Promise<unknown>[] = [];
    for (let round = 0; round < 25; round++) {
      for (let more = random.int(60); more > 0; more--) written.push(session.call(append(written.length)));
      for (let turns = random.int(6); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
      await world.kill();
      for (let more = random.int(20); more > 0; more--) written.push(session.call(append(written.length)));
      await world.clock.advance(random.float() * 500);
      await world.start();
      await world.clock.advance(random.int(2) * 2_500);
    }
    await world.clock.advance(5_000);
    await Promise.all(written);
    expect(await items(session)).toEqual(written.map((_, at) => at));
  });

  test("keeps its lock and its place in the queue over a restart of the manager within the lease", async () => {
    await using world = await ObjectsWorld.open();
    const [holder, waiter] = [await world.client("holder"), await world.client("waiter")];
    await holder.session.call(create(LOCK, "lock"));
    const held = await holder.session.wait(acquire);
    const waiting = outcome(waiter.session.wait(acquire));
    await world.settle();
    await world.kill();
    await world.clock.advance(2_000);
    await world.start();
    await world.clock.advance(4_000);
    expect([holder.session.loss, waiting.settled]).toEqual([undefined, undefined]);
    await holder.session.call(release(token(held)));
    await world.settle();
    expect(waiting.settled).toMatchObject({ value: { numbers: [expect.any(Number)] } });
  });

  test("that was cut off for longer than its lease is over: what waited is lost, what was written is unknown, what held is free before", async () => {
    await using world = await ObjectsWorld.open();
    const [lost, other] = [await world.client("lost", 6_000), await world.client("other", 6_000)];
    await lost.session.call(create(LOCK, "lock"));
    await lost.session.call(create(LIST, "list"));
    const held = await lost.session.wait(acquire);
    const waiting = outcome(lost.session.wait(acquire));
    const next = outcome(other.session.wait(acquire));
    await world.settle();
    lost.cutOff();
    const writing = outcome(lost.session.call(append("unknown")));
    let lostAtMs = 0;
    lost.session.onLoss((loss) => {
      if (loss !== undefined && lostAtMs === 0) lostAtMs = world.clock.nowMs();
    });
    let grantedAtMs = 0;
    for (let steps = 0; steps < 100 && grantedAtMs === 0; steps++) {
      await world.clock.advance(200);
      if (next.settled !== undefined) grantedAtMs = world.clock.nowMs();
    }
    expect(lostAtMs).toBeGreaterThan(0);
    expect(grantedAtMs).toBeGreaterThanOrEqual(lostAtMs);
    lost.reconnect();
    await world.clock.advance(10_000);
    expect(waiting.settled).toMatchObject({ error: expect.any(SessionLostError) });
    expect(writing.settled).toMatchObject({ error: expect.any(OutcomeUnknownError) });
    const guards = [{ lock: LOCK, token: token(held) }];
    const stale = outcome(lost.session.withGuards(guards, () => lost.session.call(append("stale"))));
    await world.clock.advance(2_000);
    expect(stale.settled).toMatchObject({ error: { name: "LockLostError", lock: LOCK, token: BigInt(token(held)) } });
    expect(await items(other.session)).not.toContain("stale");
  });
});
