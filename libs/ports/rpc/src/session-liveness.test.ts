import { describe, expect, test } from "vitest";
import { STALL_MS } from "./limits.ts";
import { existing, heartbeatMs, leaseMs, rawServer, settle, World, words } from "./session-kit.ts";

describe("a session whose peer goes silent", () => {
  test("is dialled again after a third of the lease, and nothing is lost", async () => {
    await using world = await World.open();
    const [session, heard] = world.dial();
    await settle();
    world.network.blackhole(world.address, true);
    world.talkers.session().send("out of the hole");
    await settle();
    world.network.blackhole(world.address, false); // the old link stays dead
    await world.clock.advance(leaseMs / 3 - 1);
    session.send("into the hole");
    expect(heard.links).toEqual([true]);
    await world.clock.advance(heartbeatMs + 200);
    expect(heard.links).toEqual([true, false, true]);
    expect(world.talkers.ears().words).toEqual(["into the hole"]);
    expect(heard.words).toEqual(["out of the hole"]);
    expect(world.talkers.sessions.length).toBe(1);
  });

  test("is dialled again much sooner when something waits for the peer, and nothing is lost", async () => {
    await using world = await World.open();
    const [session, heard] = world.dial();
    await settle();
    world.network.blackhole(world.address, true);
    session.send("into the hole");
    world.talkers.session().send("out of the hole");
    await settle();
    world.network.blackhole(world.address, false);
    await world.clock.advance(STALL_MS - 1);
    expect(heard.links).toEqual([true]);
    await world.clock.advance(heartbeatMs / 4 + 101);
    expect(heard.links).toEqual([true, false, true]);
    expect(world.talkers.ears().words).toEqual(["into the hole"]);
    expect(heard.words).toEqual(["out of the hole"]);
    await world.clock.advance(leaseMs);
    expect(heard.links).toEqual([true, false, true]);
  });

  test("gets through when every link stalls after some frames, each word once and in order", async () => {
    const sizes = { frameEntriesMax: 1 };
    await using world = await World.open({ acceptor: { sizes } });
    const [session, heard] = world.dial({ sizes });
    await settle();
    for (let round = 0; round < 8; round++) {
      for (const word of words(`up${round}-`, 3)) session.send(word, 10);
      for (const word of words(`down${round}-`, 3)) world.talkers.session().send(word, 10);
      if (round % 2 === 0) await settle();
      world.network.blackhole(world.address, true);
      session.send(`owed${round}`, 10);
      await settle();
      world.network.blackhole(world.address, false);
      await world.clock.advance(STALL_MS + heartbeatMs);
    }
    const said = (way: string) => Array.from({ length: 8 }, (_, round) => words(`${way}${round}-`, 3));
    expect(heard.words).toEqual(said("down").flat());
    expect(world.talkers.ears().words).toEqual(said("up").flatMap((all, round) => [...all, `owed${round}`]));
    expect(heard.links.filter((up) => !up).length).toBe(8);
    expect([heard.ends, world.talkers.ears().ends]).toEqual([[], []]);
  });

  test("keeps its link while parts of a message come, however long the message takes", async () => {
    await using world = await World.open();
    let arrivedBytes = 0;
    const [session, heard] = world.dial({
      client: {
        dial: async (method, address, signal) => {
          const link = await world.network.dial(method, address, signal);
          return Object.defineProperty(link, "arrivedBytes", { get: () => arrivedBytes });
        },
        call: () => Promise.reject(new Error("unused")),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      },
    });
    await settle();
    world.network.blackhole(world.address, true);
    session.send("waits");
    for (let ms = 0; ms < leaseMs / 3 - 500; ms += 500) {
      arrivedBytes++;
      await world.clock.advance(500);
    }
    expect(heard.links).toEqual([true]);
    await world.clock.advance(STALL_MS);
    expect(heard.links).toEqual([true, false]);
  });

  test("has its link abandoned, with the connection below that moves nothing any more", async () => {
    await using world = await World.open();
    let abandoned = 0;
    const [session] = world.dial({
      client: {
        dial: async (method, address, signal) => {
          const link = await world.network.dial(method, address, signal);
          return Object.assign(link, { abandon: () => abandoned++ });
        },
        call: () => Promise.reject(new Error("unused")),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      },
    });
    await settle();
    world.cut();
    await world.clock.advance(heartbeatMs);
    expect(abandoned).toBe(0);
    world.network.blackhole(world.address, true);
    session.send("waits");
    await world.clock.advance(STALL_MS + heartbeatMs / 4);
    expect(abandoned).toBe(1);
  });

  test("that merely has nothing to say acknowledges in time for its link to live", async () => {
    await using world = await World.open();
    const peers = await rawServer(world.network, "raw");
    const [session, heard] = world.dial({ address: "raw" });
    await settle();
    const peer = existing(peers[0]);
    peer.welcome();
    await settle();
    for (let beat = 0; beat < 20; beat++) {
      session.send("w");
      await world.clock.advance(STALL_MS - 500);
      peer.say(0, peer.sequences.length, []);
      await settle();
    }
    expect(heard.links).toEqual([true]);
  });

  test("is over as expired at both sides after a lease", async () => {
    await using world = await World.open();
    const [session, heard] = world.dial();
    session.send("w");
    await settle();
    world.network.blackhole(world.address, true);
    await world.clock.advance(leaseMs - heartbeatMs);
    expect([heard.ends, world.talkers.ears().ends]).toEqual([[], []]);
    await world.clock.advance(2 * heartbeatMs);
    expect(heard.ends).toEqual([{ reason: "expired" }]);
    expect(world.talkers.ears().ends).toEqual([{ reason: "expired" }]);
    expect(world.talkers.acceptor.size).toBe(0);
    expect(world.clock.timerCount).toBe(0);
  });

  test("outlives an outage shorter than the lease", async () => {
    await using world = await World.open();
    const [session, heard] = world.dial();
    await settle();
    await world.listening?.[Symbol.asyncDispose]();
    for (const word of words("w", 10)) session.send(word);
    await world.clock.advance(leaseMs - 3_000);
    await world.listen();
    await world.clock.advance(2_500);
    expect(world.talkers.ears().words).toEqual(words("w", 10));
    expect(heard.ends).toEqual([]);
    expect(world.talkers.sessions.length).toBe(1);
  });

  test("is dialled again at once after a cut, however long an earlier outage was", async () => {
    await using world = await World.open();
    const [, heard] = world.dial();
    await world.listening?.[Symbol.asyncDispose]();
    await world.clock.advance(leaseMs - 3_000);
    await world.listen();
    await world.clock.advance(2_500);
    world.cut();
    await world.clock.advance(101);
    expect(heard.links).toEqual([true, false, true]);
  });

  test("drops a server that takes the stream and never welcomes, and tries again", async () => {
    await using world = await World.open();
    const peers = await rawServer(world.network, "raw");
    const [, heard] = world.dial({ address: "raw" });
    await world.clock.advance(leaseMs / 3 + heartbeatMs);
    expect(peers.length).toBe(2);
    expect((await peers[0]?.link.closed)?.reason).toBe("remote");
    peers[1]?.welcome();
    await settle();
    expect(heard.links).toEqual([true]);
  });
});

describe("a session that never connects", () => {
  test("is over as expired after the lease", async () => {
    await using world = await World.open();
    const [session, heard] = world.dial({ address: "nowhere" });
    session.send("w");
    await world.clock.advance(leaseMs - 1);
    expect(heard.ends).toEqual([]);
    await world.clock.advance(heartbeatMs);
    expect(heard.ends).toEqual([{ reason: "expired" }]);
    expect(heard.links).toEqual([]);
    expect(world.clock.timerCount).toBe(0);
  });

  test.each([500, 60_000])("is over as expired after unavailableTimeoutMs (%i ms) when that is given", async (ms) => {
    await using world = await World.open();
    const [, heard] = world.dial({ address: "nowhere", unavailableTimeoutMs: ms });
    await world.clock.advance(ms - 1);
    expect(heard.ends).toEqual([]);
    await world.clock.advance(heartbeatMs);
    expect(heard.ends).toEqual([{ reason: "expired" }]);
  });

  test("connects when the server comes up late", async () => {
    await using world = await World.open();
    const [session, heard] = world.dial({ address: "late", unavailableTimeoutMs: 60_000 });
    session.send("w");
    await world.clock.advance(30_000);
    const peers = await rawServer(world.network, "late");
    await world.clock.advance(2_100);
    peers[0]?.welcome();
    await settle();
    expect(peers[0]?.words).toEqual(["w"]);
    expect(heard.links).toEqual([true]);
  });
});

test("a short unavailableTimeoutMs does not end a session that is merely quiet", async () => {
  await using world = await World.open();
  const [, heard] = world.dial({ unavailableTimeoutMs: 100 });
  await world.clock.advance(10 * leaseMs);
  expect(heard.ends).toEqual([]);
  world.network.blackhole(world.address, true);
  await world.clock.advance(leaseMs / 3 + 2 * heartbeatMs);
  expect(heard.ends).toEqual([{ reason: "expired" }]);
});

test("a quiet session lives for ever", async () => {
  await using world = await World.open();
  const [, heard] = world.dial();
  await world.clock.advance(100 * leaseMs);
  expect(heard.links).toEqual([true]);
  expect([heard.ends, world.talkers.ears().ends]).toEqual([[], []]);
});

test("the lag of the own event loop is added before anyone is given up", async () => {
  await using world = await World.open();
  const [session, heard] = world.dial();
  await settle();
  for (let blocks = 0; blocks < 3; blocks++) {
    await world.clock.block(4 * leaseMs);
    await world.clock.advance(heartbeatMs);
  }
  session.send("alive");
  await settle();
  expect(heard.links).toEqual([true]);
  expect(world.talkers.ears().words).toEqual(["alive"]);
  expect([heard.ends, world.talkers.ears().ends]).toEqual([[], []]);
});

test("lag does not keep a dead peer's session for longer than the lease after it", async () => {
  await using world = await World.open();
  const [, heard] = world.dial();
  await settle();
  world.network.blackhole(world.address, true);
  await world.clock.block(4 * leaseMs);
  expect(heard.ends).toEqual([]);
  await world.clock.advance(leaseMs + heartbeatMs);
  expect(heard.ends).toEqual([{ reason: "expired" }]);
});

test("dialling again backs off to at most two seconds", async () => {
  await using world = await World.open();
  const atMs: number[] = [];
  const counting = {
    dial: () => {
      atMs.push(world.clock.nowMs());
      return Promise.reject(new Error("refused"));
    },
    call: () => Promise.reject(new Error("unused")),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  world.dial({ client: counting, unavailableTimeoutMs: 60_000 });
  await world.clock.advance(60_000);
  const pauses = atMs.slice(1).map((at, index) => at - (atMs[index] ?? 0));
  expect(pauses[0]).toBeGreaterThanOrEqual(50);
  expect(pauses[0]).toBeLessThanOrEqual(100);
  expect(Math.max(...pauses)).toBeLessThanOrEqual(2_000);
  expect(pauses.length).toBeGreaterThan(30);
});
