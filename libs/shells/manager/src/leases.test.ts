import { expect, onTestFinished, test } from "vitest";
import { nonceOf, openBench, operation, type Peer, settle } from "./testing.ts";

const LOCK = "@lock";

async function holder(): Promise<{ readonly world: Awaited<ReturnType<typeof openBench>>; readonly peer: Peer }> {
  const world = await openBench(onTestFinished);
  const peer = await world.client("a", 4_000);
  peer.ask([
    operation("create", LOCK, { values: [{ kind: "lock" }] }),
    operation("lock-acquire", LOCK, { numbers: [1] }),
  ]);
  await settle();
  return { world, peer };
}

test("a session whose holder is silent for its lease ends, and its locks are the next one's", async () => {
  const { world, peer } = await holder();
  const next = await world.client("b", 300_000);
  next.ask([operation("lock-acquire", LOCK, { numbers: [1] })]);
  await world.clock.advance(4_000);
  expect([peer.ended, next.replied().length]).toEqual([undefined, 0]);
  await world.clock.advance(100);
  expect(peer.ended).toBe("expired");
  expect(next.reply(1)?.numbers[0]).toBeGreaterThan(peer.reply(2)?.numbers[0] ?? 0);
});

test("beats keep a session alive, and operations do", async () => {
  const { world, peer } = await holder();
  const beats = await world.beats();
  for (let round = 0; round < 5; round++) {
    await world.clock.advance(3_000);
    expect(await beats.beat(peer.session ?? 0)).toMatchObject({ session: peer.session, alive: true, ttlMs: 4_000 });
    await world.clock.advance(3_000);
    peer.ask([operation("lock-state", LOCK)]);
    await settle();
  }
  expect(peer.ended).toBeUndefined();
});

test("one stream carries the beats of several sessions, and says which it does not know", async () => {
  const { world, peer } = await holder();
  const other = await world.client("b");
  const beats = await world.beats();
  expect((await beats.beat(peer.session ?? 0))?.alive).toBe(true);
  expect((await beats.beat(other.session ?? 0, nonceOf("b")))?.ttlMs).toBe(15_000);
  expect(await beats.beat(999)).toMatchObject({ session: 999, alive: false });
});

test("an open stream alone keeps no session alive, nor does a closed one end it", async () => {
  const { world, peer } = await holder();
  await peer.wire?.close();
  await world.clock.advance(3_900);
  const beats = await world.beats();
  expect((await beats.beat(peer.session ?? 0))?.alive).toBe(true);
  await world.clock.advance(4_200);
  expect((await beats.beat(peer.session ?? 0))?.alive).toBe(false);
});

test("time in which the manager did not run is nobody's silence: everybody has a whole lease afterwards", async () => {
  const { world, peer } = await holder();
  await world.clock.block(20_000);
  await world.clock.advance(3_900);
  const beats = await world.beats();
  expect(peer.ended).toBeUndefined();
  expect((await beats.beat(peer.session ?? 0))?.alive).toBe(true);
});

test("a beat that came while the manager was busy past the deadline is heard before the session ends", async () => {
  const { world, peer } = await holder();
  const beats = await world.beats();
  await world.clock.advance(3_500);
  await world.clock.block(520); // the deadline is within this pause, which is shorter than a quarter of the lease
  expect((await beats.beat(peer.session ?? 0))?.alive).toBe(true);
  await world.clock.advance(3_900);
  expect(peer.ended).toBeUndefined();
});

test("a manager that starts gives every session a whole lease", async () => {
  const { world, peer } = await holder();
  await world.clock.advance(3_900);
  await world.restart();
  await world.clock.advance(3_900);
  const back = await world.stream();
  back.attach(peer.session ?? 0);
  await settle();
  expect(back.session).toBe(peer.session);
});

test("a session that ended stays ended over a restart", async () => {
  const { world, peer } = await holder();
  await world.clock.advance(4_100);
  await world.restart();
  const back = await world.stream();
  back.attach(peer.session ?? 0);
  await settle();
  expect(back.ended).toBe("unknown");
});

test.each([
  [0, 15_000],
  [1, 2_000],
  [1_000_000, 300_000],
  [20_000, 20_000],
])("a session that asks for a lease of %d ms gets %d", async (wanted, given) => {
  const world = await openBench(onTestFinished);
  const peer = await world.client("a", wanted);
  expect(peer.heard).toEqual([{ $case: "sessionOpened", value: { session: peer.session, ttlMs: given } }]);
});

test("where streams keep sessions, an open one does for ever, and a lease runs from its end", async () => {
  const world = await openBench(onTestFinished, { keptBy: "streams" });
  const peer = await world.client("a", 4_000);
  await world.clock.advance(60_000);
  const beats = await world.beats();
  expect(peer.ended).toBeUndefined();
  await peer.wire?.close();
  await world.clock.advance(3_900);
  await world.clock.advance(300);
  expect((await beats.beat(peer.session ?? 0))?.alive).toBe(false);
});

test("the manager sets one timer for all leases, and none without sessions", async () => {
  const world = await openBench(onTestFinished);
  const before = world.clock.timerCount;
  const beats = await world.beats();
  const peer = await world.client("a", 4_000);
  const one = world.clock.timerCount;
  const others = [await world.client("b", 3_000), await world.client("c", 5_000)];
  await Promise.all([peer, ...others].map((each) => each.wire?.close()));
  await settle();
  expect(world.clock.timerCount - before).toBe(1);
  expect(one).toBeGreaterThan(before);
  await world.clock.advance(6_000);
  expect(world.clock.timerCount).toBe(before);
  expect((await beats.beat(peer.session ?? 0))?.alive).toBe(false);
});
