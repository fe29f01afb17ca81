import { PermissionError, ProtocolError } from "@heddle/kernel";
import { describe, expect, test } from "vitest";
import {
  existing,
  heartbeatMs,
  type RawPeer,
  rawServer,
  sessionId,
  settle,
  version,
  World,
  words,
} from "./session-kit.ts";

describe("an acceptor", () => {
  test("welcomes a hello with its terms", async () => {
    await using world = await World.open();
    const peer = await world.raw();
    peer.hello();
    await settle();
    expect(peer.controls("welcome")).toEqual([
      { version, resumed: false, received: 0, leaseMs: 15_000, heartbeatMs: 2_000, serverId: "server-1" },
    ]);
    expect(world.talkers.session().id).toBe(sessionId);
  });

  test.each<[string, (peer: RawPeer) => void, string]>([
    ["entries before the hello", (peer) => peer.say(1, 0, ["w"]), "the first frame of a stream must be a hello"],
    ["a welcome for a hello", (peer) => peer.welcome(), "the first frame of a stream must be a hello"],
    ["an id that is none", (peer) => peer.hello(0, "me"), "the session id is not 32 hex digits"],
    [
      "entries in the hello",
      (peer) => peer.control({ $case: "hello", value: { version, sessionId, received: 0 } }, ["w"]),
      "entries came with the hello",
    ],
    [
      "a hello without a version",
      (peer) => peer.control({ $case: "hello", value: { version: undefined, sessionId, received: 0 } }),
      "the peer did not say which version it speaks",
    ],
  ])("answers %s by goodbye and ends only that link", async (_what, offend, message) => {
    await using world = await World.open();
    const [session] = world.dial();
    const peer = await world.raw();
    offend(peer);
    await settle();
    expect(peer.goodbye).toEqual({ code: "protocol", message });
    expect((await peer.link.closed).reason).toBe("remote");
    session.send("still here");
    await settle();
    expect(world.talkers.ears().words).toEqual(["still here"]);
    expect(world.talkers.sessions.length).toBe(1);
  });

  test.each<[string, (peer: RawPeer) => void, string]>([
    ["a gap", (peer) => peer.say(2, 0, ["w"]), "frame 2 came where 1 was expected"],
    ["an oversize frame", (peer) => peer.say(1, 0, words("w", 513)), "a frame holds 513 entries, at most 512 may be"],
    ["a second hello", (peer) => peer.hello(), "a second handshake (hello) came on one stream"],
    ["a welcome", (peer) => peer.welcome(), "a second handshake (welcome) came on one stream"],
    [
      "the acknowledgement of nothing",
      (peer) => peer.say(0, 7, []),
      "frame 7 was acknowledged, but the last one sent is 0",
    ],
  ])("answers %s in a session by goodbye and ends the session as lost", async (_what, offend, message) => {
    await using world = await World.open();
    const peer = await world.raw();
    peer.hello();
    offend(peer);
    await settle();
    expect(peer.goodbye).toEqual({ code: "protocol", message });
    expect(world.talkers.ears().ends).toEqual([{ reason: "lost", message }]);
    expect(world.talkers.acceptor.size).toBe(0);
  });

  test("tells who talked to an earlier life of it that nothing goes on, begins no session and finds no fault", async () => {
    await using world = await World.open();
    const peer = await world.raw();
    peer.hello(56);
    await settle();
    expect(peer.controls("welcome")).toMatchObject([{ resumed: false, received: 0, serverId: "server-1" }]);
    expect(peer.goodbye).toMatchObject({ code: "closed" });
    expect((await peer.link.closed).reason).toBe("remote");
    expect([world.talkers.sessions.length, world.talkers.acceptor.size]).toEqual([0, 0]);
    expect(world.logged).toEqual(["info: a session is over that this server does not know: its peer opens another"]);
  });

  test("ends a session whose handler throws, with its words", async () => {
    await using world = await World.open({
      handler: (_session, heard) => ({
        ...heard,
        ended: heard.ended,
        entries: () => {
          throw new Error("I know no such word");
        },
      }),
    });
    const [session, heard] = world.dial();
    session.send("w");
    await settle();
    expect(heard.ends).toEqual([{ reason: "goodbye", goodbye: { code: "protocol", message: "I know no such word" } }]);
    expect(world.talkers.ears().ends).toEqual([{ reason: "lost", message: "I know no such word" }]);
  });

  test("refuses a session with the code of the error that its owner throws", async () => {
    await using world = await World.open({
      handler: () => {
        throw new PermissionError("not today");
      },
    });
    const [, heard] = world.dial();
    await settle();
    expect(heard.ends).toEqual([{ reason: "goodbye", goodbye: { code: "permission", message: "not today" } }]);
    expect(world.talkers.acceptor.size).toBe(0);
  });

  test("refuses more sessions than its limit, and takes one again when another has ended", async () => {
    await using world = await World.open({ acceptor: { sessionsMax: 1 } });
    const [first] = world.dial();
    await settle();
    const [, refused] = world.dial();
    await settle();
    expect(refused.ends).toEqual([
      { reason: "goodbye", goodbye: { code: "limit", message: "1 sessions are open already" } },
    ]);
    await first.close();
    await settle();
    const [, taken] = world.dial();
    await settle();
    expect(taken.links).toEqual([true]);
  });

  test("drops a link that does not say hello in time, without a goodbye: its dialer may only be slow", async () => {
    await using world = await World.open();
    const peer = await world.raw();
    await world.clock.advance(5_000);
    expect((await peer.link.closed).reason).toBe("remote");
    expect(peer.frames).toEqual([]);
  });

  test("takes a session over to the link of a second hello; what the first link still says counts no more", async () => {
    await using world = await World.open();
    const old = await world.raw();
    old.hello();
    old.say(1, 0, ["one"]);
    await settle();
    world.talkers.session().send("for you");
    await settle();
    const young = await world.raw();
    young.hello();
    old.say(2, 0, ["ignored"]);
    young.say(1, 0, ["one"]); // repeated by one who could not know: seen, and dropped
    young.say(2, 0, ["two"]);
    await settle();
    expect(young.controls("welcome")).toMatchObject([{ resumed: true, received: 1 }]);
    expect(young.words).toEqual(["for you"]);
    expect((await old.link.closed).reason).toBe("remote");
    expect(world.talkers.ears().words).toEqual(["one", "two"]);
    expect(world.talkers.ears().links).toEqual([true, false, true]);
    expect(world.talkers.sessions.length).toBe(1);
  });

  test("refuses to resume from before what was acknowledged", async () => {
    await using world = await World.open();
    const old = await world.raw();
    old.hello();
    await settle();
    world.talkers.session().send("w");
    await settle();
    old.say(0, 1, []);
    await settle();
    const young = await world.raw();
    young.hello(0);
    await settle();
    const message = "the peer wants frame 1 again, but acknowledged up to 1";
    expect(young.goodbye).toEqual({ code: "protocol", message });
    expect(world.talkers.ears().ends).toEqual([{ reason: "lost", message }]);
  });

  test("says goodbye to all when it closes, strangers included, and refuses newcomers", async () => {
    await using world = await World.open();
    const [, heard] = world.dial();
    const stranger = await world.raw();
    await settle();
    await world.talkers.acceptor.close({ code: "unavailable", message: "moving" });
    await settle();
    expect(heard.ends).toEqual([{ reason: "goodbye", goodbye: { code: "unavailable", message: "moving" } }]);
    expect(stranger.goodbye).toEqual({ code: "unavailable", message: "moving" });
    const [, late] = world.dial();
    await settle();
    expect(late.ends).toMatchObject([{ reason: "goodbye", goodbye: { code: "unavailable" } }]);
  });
});

describe("a dialer", () => {
  test.each<[string, (peer: RawPeer) => void, string]>([
    ["entries before the welcome", (peer) => peer.say(1, 0, ["w"]), "the peer's first frame is not a welcome"],
    ["a hello for a welcome", (peer) => peer.hello(), "the peer's first frame is not a welcome"],
    [
      "impossible terms",
      (peer) =>
        peer.control({
          $case: "welcome",
          value: { version, resumed: false, received: 0, leaseMs: 0, heartbeatMs: -1, serverId: "raw" },
        }),
      "lease of 0 ms with heartbeats of -1 ms",
    ],
    ["a welcome that received what was never sent", (peer) => peer.welcome(9), "frame 9 was acknowledged"],
  ])("answers %s by goodbye and ends its session as lost", async (_what, offend, message) => {
    await using world = await World.open();
    const peers = await rawServer(world.network, "raw");
    const [, heard] = world.dial({ address: "raw" });
    await settle();
    offend(existing(peers[0]));
    await settle();
    expect(heard.ends).toMatchObject([{ reason: "lost", message: expect.stringContaining(message) }]);
    expect(peers[0]?.goodbye).toMatchObject({ code: "protocol", message: expect.stringContaining(message) });
    await world.clock.advance(60_000);
    expect(peers.length).toBe(1);
  });

  test("ends its session as lost when the server began anew, which forgets the session it began by mistake", async () => {
    await using world = await World.open();
    const [session, heard] = world.dial();
    session.send("w");
    await settle();
    await world.restart({ acceptor: { serverId: "server-2" } });
    await world.clock.advance(heartbeatMs);
    expect(heard.ends).toEqual([
      { reason: "lost", message: "talk does not know this session any more (server server-2)", isForgotten: true },
    ]);
    expect(world.talkers.acceptor.size).toBe(0);
  });

  test("ends its session as lost, and nobody is warned, when it had heard from the server that began anew", async () => {
    await using world = await World.open();
    const [, heard] = world.dial();
    await settle();
    world.talkers.session().send("w");
    await heard.heard(1);
    await world.restart({ acceptor: { serverId: "server-2" } });
    await world.clock.advance(heartbeatMs);
    expect(heard.ends).toEqual([
      { reason: "lost", message: "talk does not know this session any more (server server-2)", isForgotten: true },
    ]);
    expect(world.logged.filter((line) => /^(warn|error): /.test(line))).toEqual([]);
  });

  test("is told by a goodbye which side must be upgraded when there is no common version", async () => {
    await using world = await World.open();
    const [, heard] = world.dial({ version: { ...version, minor: 1, minMinor: 1, build: "0.9" } });
    await settle();
    expect(heard.ends).toEqual([
      {
        reason: "goodbye",
        goodbye: {
          code: "protocol",
          message:
            "no common version: this side is build test (speaks heddle.v1 minors 2 to 3), " +
            "the other side is build 0.9 (speaks heddle.v1 minors 1 to 1); upgrade the other side",
        },
      },
    ]);
    expect(world.talkers.sessions).toEqual([]);
  });

  test("refuses a server that is too old, naming both versions", async () => {
    await using world = await World.open();
    const peers = await rawServer(world.network, "raw");
    const [, heard] = world.dial({ address: "raw" });
    await settle();
    const old = { ...version, minor: 1, minMinor: 0, build: "" };
    const value = { version: old, resumed: false, received: 0, leaseMs: 1, heartbeatMs: 1, serverId: "raw" };
    peers[0]?.control({ $case: "welcome", value });
    await settle();
    const message =
      "no common version: this side is build test (speaks heddle.v1 minors 2 to 3), " +
      "the other side is an unnamed build (speaks heddle.v1 minors 0 to 1); upgrade the other side";
    expect(heard.ends).toEqual([{ reason: "lost", message }]);
  });

  test("does not dial again what dialling cannot cure", async () => {
    await using world = await World.open();
    await world.network.listen("bare", []);
    const [, heard] = world.dial({ address: "bare" });
    await settle();
    const message = "bare does not serve /test.Sessions/Talk";
    expect(heard.ends).toEqual([{ reason: "lost", message, error: new ProtocolError(message) }]);
  });
});
