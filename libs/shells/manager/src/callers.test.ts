import type { Caller } from "@heddle/port-rpc";
import { BEAT_NONCE_MINOR, objectsAdminBreakLock, objectsAdminListSessions, protocolVersion } from "@heddle/wire";
import { describe, expect, onTestFinished, test } from "vitest";
import { CALLER_LEASED_SESSIONS_MAX } from "./limits.ts";
import { ADDRESS, type Bench, openBench, operation, settle } from "./testing.ts";

const alice: Caller = { role: "client", name: "alice" };
const bob: Caller = { role: "client", name: "bob" };
const coordinator: Caller = { role: "coordinator", name: "c1" };
const admin: Caller = { role: "admin", name: "root" };
const nonce = (name: string): string => name.repeat(32);

function refusalsOf({ logged }: Bench) {
  return logged.filter(({ message }) => message === "refused").map(({ fields }) => fields);
}

describe("a session of the manager", () => {
  test("goes on for its own identity alone, also for who knows its nonce", async () => {
    const world = await openBench(onTestFinished);
    const peer = await world.client("a", undefined, alice);
    const session = peer.session ?? 0;
    const thief = await world.stream(bob);
    thief.attach(session, nonce("a"));
    await settle();
    const message = `session ${session} belongs to somebody else than client "bob"`;
    expect(thief.end).toEqual({ reason: "goodbye", goodbye: { code: "permission", message } });
    const opener = await world.client("a", undefined, bob);
    expect([opener.end, opener.session]).toEqual([thief.end, undefined]);
    expect(refusalsOf(world)).toEqual(
      Array(2).fill({
        peer: expect.any(String),
        who: 'client "bob"',
        path: "/heddle.v1.Objects/Operate",
        why: message,
      }),
    );
    peer.ask([operation("create", "@d", { values: [{ kind: "dict" }] })]);
    await settle();
    expect([peer.replied(), peer.end]).toEqual([[[1, 1]], undefined]);
    const own = await world.stream(alice);
    own.attach(session, nonce("a"));
    await settle();
    expect(own.session).toBe(session);
  });

  test("is not found by its number alone, nor by the nonce of another", async () => {
    const world = await openBench(onTestFinished);
    const [first, second] = [await world.client("a"), await world.client("b")];
    for (const guessed of ["", nonce("c"), nonce("b")]) {
      const guesser = await world.stream();
      guesser.attach(first.session ?? 0, guessed);
      await settle();
      expect([guesser.session, guesser.ended]).toEqual([undefined, "unknown"]);
    }
    expect([first.end, first.ended, second.end]).toEqual([undefined, undefined, undefined]);
    const why = `what was said is not the nonce of session ${first.session}`;
    expect(refusalsOf(world)).toEqual(
      Array(3).fill({ peer: expect.any(String), who: "this user", path: "/heddle.v1.Objects/Operate", why }),
    );
  });

  test("goes on through a coordinator and without one, and is then its holder's", async () => {
    const world = await openBench(onTestFinished);
    const through = await world.client("a", undefined, coordinator);
    const session = through.session ?? 0;
    for (const caller of [alice, coordinator, alice]) {
      const peer = await world.stream(caller);
      peer.attach(session, nonce("a"));
      await settle();
      expect(peer.session).toBe(session);
    }
    const thief = await world.stream(bob);
    thief.attach(session, nonce("a"));
    await settle();
    expect(thief.end).toMatchObject({ goodbye: { code: "permission" } });
  });

  test("is that of the first who comes back with its nonce after a restart", async () => {
    const world = await openBench(onTestFinished);
    const session = (await world.client("a", undefined, alice)).session ?? 0;
    await world.restart();
    const thief = await world.stream(bob);
    thief.attach(session, nonce("b"));
    await settle();
    expect(thief.ended).toBe("unknown");
    const back = await world.stream(alice);
    back.attach(session, nonce("a"));
    await settle();
    expect(back.session).toBe(session);
    const late = await world.stream(bob);
    late.attach(session, nonce("a"));
    await settle();
    expect(late.end).toMatchObject({ goodbye: { code: "permission" } });
  });

  test("is kept by beats of its holder, or of a coordinator, and of nobody else", async () => {
    const world = await openBench(onTestFinished);
    const session = (await world.client("a", 4_000, alice)).session ?? 0;
    for (const [caller, alive] of [
      [alice, true],
      [coordinator, true],
      [bob, false],
    ] as const)
      expect(await (await world.beats(caller)).beat(session)).toMatchObject({
        session,
        alive,
        ttlMs: alive ? 4_000 : 0,
      });
    const beats = await world.beats(bob);
    for (let round = 0; round < 3; round++) {
      await world.clock.advance(2_000);
      await beats.beat(session);
    }
    expect(await (await world.beats(alice)).beat(session)).toMatchObject({ alive: false });
  });

  test.each([
    ["no nonce", ""],
    ["a nonce of nobody", nonce("c")],
    ["the nonce of another session", nonce("b")],
  ])("is not kept by beats with %s, which one line of the log tells of", async (_which, said) => {
    const world = await openBench(onTestFinished);
    const session = (await world.client("a", 4_000, coordinator)).session ?? 0;
    await world.client("b", 300_000, coordinator);
    const beats = await world.beats(coordinator);
    for (let round = 0; round < 3; round++) {
      expect(await beats.beat(session, said)).toMatchObject({ session, alive: false, ttlMs: 0 });
      await world.clock.advance(2_000);
    }
    expect(await (await world.beats(alice)).beat(session)).toMatchObject({ alive: false });
    const why = `what was said is not the nonce of session ${session}`;
    const who = 'coordinator "c1"';
    expect(refusalsOf(world)).toEqual([{ peer: expect.any(String), who, path: "/heddle.v1.Sessions/KeepAlive", why }]);
    expect(JSON.stringify(world.logged)).not.toMatch(/(.)\1{31}/);
  });

  test("of a build whose beats say no nonce is kept by those, once its stream has said that it is one", async () => {
    const world = await openBench(onTestFinished);
    const older = { ...protocolVersion("older", 24), minor: BEAT_NONCE_MINOR - 1 };
    const peer = await world.stream(alice, older);
    peer.open(nonce("a"), 4_000);
    await settle();
    const session = peer.session ?? 0;
    expect(await (await world.beats(alice)).beat(session, "")).toMatchObject({ session, alive: true, ttlMs: 4_000 });
    expect(await (await world.beats(bob)).beat(session, "")).toMatchObject({ alive: false });
    expect(await (await world.beats(alice)).beat(session, nonce("c"))).toMatchObject({ alive: false });
    await world.restart();
    const early = await world.beats(alice);
    expect(await early.beat(session, "")).toBeUndefined(); // nobody knows yet of which build it is: it is neither kept nor over
    const back = await world.stream(alice, older);
    back.attach(session, nonce("a"));
    await settle();
    expect(await early.beat(session, "")).toMatchObject({ session, alive: true });
  });
});

test("operators see whose a session is, once its holder was heard of", async () => {
  const world = await openBench(onTestFinished);
  const identities = async (): Promise<readonly string[]> => {
    const { sessions } = await world.network.call(
      objectsAdminListSessions,
      ADDRESS,
      { after: 0 },
      { timeoutMs: 1_000 },
    );
    return sessions.map(({ identity }) => identity);
  };
  const session = (await world.client("a", undefined, alice)).session ?? 0;
  await world.client("b", undefined, coordinator);
  await world.client("c");
  expect(await identities()).toEqual(["client/alice", "coordinator/c1", "this user"]);
  await world.restart();
  expect(await identities()).toEqual(["", "", ""]);
  (await world.stream(alice)).attach(session, nonce("a"));
  await settle();
  expect(await identities()).toEqual(["client/alice", "", ""]);
});

test("one identity has half of the sessions, whoever runs as the user of the manager all of them", async () => {
  const world = await openBench(onTestFinished);
  const numbered = (at: number): string => at.toString(16).padStart(32, "0");
  const streams = await Promise.all(Array.from({ length: 8 }, () => world.stream(alice)));
  const [first, second] = [streams[0], streams[1]];
  for (let at = 0; at < CALLER_LEASED_SESSIONS_MAX; at++) streams[at % streams.length]?.open(numbered(at), 300_000);
  await settle();
  first?.open(numbered(CALLER_LEASED_SESSIONS_MAX), 300_000);
  await settle();
  const message = `client "alice" has ${CALLER_LEASED_SESSIONS_MAX} sessions at the manager: CALLER_LEASED_SESSIONS_MAX is ${CALLER_LEASED_SESSIONS_MAX}`;
  expect(first?.end).toEqual({ reason: "goodbye", goodbye: { code: "limit", message } });
  const again = await world.stream(alice);
  again.open(numbered(0), 300_000); // that is there: no other one
  await settle();
  expect(again.session).toBeDefined();
  for (const [name, caller] of [
    ["b", bob],
    ["c", undefined],
  ] as const)
    expect((await world.client(name, undefined, caller)).session).toBeDefined();
  second?.say({ $case: "closeSession", value: {} });
  await settle();
  expect((await world.client("e", undefined, alice)).session).toBeDefined();
});

test("who breaks a lock is told to the log, with the reason", async () => {
  const world = await openBench(onTestFinished);
  const peer = await world.client("a");
  const acquire = operation("lock-acquire", "@lock", { numbers: [1] });
  peer.ask([operation("create", "@lock", { values: [{ kind: "lock" }] }), acquire]);
  await settle();
  const request = { object: "lock", reason: "the holder hangs" };
  const timeout = { timeoutMs: 1_000 };
  await world.network.as(admin).call(objectsAdminBreakLock, ADDRESS, request, timeout);
  await world.network.call(objectsAdminBreakLock, ADDRESS, { object: "lock", reason: "" }, timeout);
  const nothing = world.network.as(admin).call(objectsAdminBreakLock, ADDRESS, { object: "none", reason: "" }, timeout);
  await expect(nothing).rejects.toMatchObject({ code: "not-found" });
  const lines = world.logged.filter(({ message }) => message === "a lock was broken");
  expect(lines.map(({ fields }) => fields)).toEqual([
    { object: "@lock", held: 1, role: "admin", name: "root", reason: "the holder hangs" },
    { object: "@lock", held: 0, role: undefined, name: "this user", reason: "" },
  ]);
});
