import { assert } from "@heddle/kernel";
import { describe, expect, test } from "vitest";
import { existing, rawServer, settle, World, words } from "./session-kit.ts";

describe("the end of a session", () => {
  test("close sends what waits, then says goodbye with its words; both sides hear the end once", async () => {
    await using world = await World.open();
    const [session, heard] = world.dial();
    await settle();
    for (const word of words("w", 30)) session.send(word, 100_000);
    await Promise.all([session.close({ code: "cancelled", message: "no more" }), session.close()]);
    session.send("too late");
    await settle();
    expect(world.talkers.ears().words).toEqual(words("w", 30));
    expect(world.talkers.ears().ends).toEqual([
      { reason: "goodbye", goodbye: { code: "cancelled", message: "no more" } },
    ]);
    expect(heard.ends).toEqual([{ reason: "closed" }]);
    expect(world.clock.timerCount).toBe(0);
    expect(world.network.linkCount(world.address)).toBe(0);
  });

  test("close gives up what a peer does not take within two seconds", async () => {
    await using world = await World.open();
    const [session, heard] = world.dial({ address: "nowhere" });
    session.send("w");
    const closing = session.close();
    await world.clock.advance(1_999);
    expect(heard.ends).toEqual([]);
    await world.clock.advance(1);
    await closing;
    expect(heard.ends).toEqual([{ reason: "closed" }]);
    expect(world.clock.timerCount).toBe(0);
  });

  test("close with nothing to say and nobody to say it to is immediate", async () => {
    await using world = await World.open();
    const [session, heard] = world.dial({ address: "nowhere" });
    await session.close();
    expect(heard.ends).toEqual([{ reason: "closed" }]);
  });

  test("more control than may wait ends the session with goodbye limit", async () => {
    await using world = await World.open();
    const [session, heard] = world.dial({ sizes: { controlEntriesMax: 10 } });
    await settle();
    for (const word of words("w", 11)) session.send(word);
    await settle();
    const message = "more than 10 control entries wait for the peer";
    expect(heard.ends).toEqual([{ reason: "lost", message }]);
    expect(world.talkers.ears().ends).toEqual([{ reason: "goodbye", goodbye: { code: "limit", message } }]);
  });

  test("unacknowledged frames beyond their limit hold everything back, and control alone then ends the session", async () => {
    await using world = await World.open();
    const peers = await rawServer(world.network, "raw");
    const [session, heard] = world.dial({ address: "raw", sizes: { retainedFramesMax: 3, controlEntriesMax: 5 } });
    await settle();
    const peer = existing(peers[0]);
    peer.welcome();
    for (const word of words("w", 8)) {
      session.send(word);
      await settle();
    }
    expect(peer.words).toEqual(words("w", 3));
    expect(heard.ends).toEqual([]);
    peer.say(0, 1, []);
    await settle();
    expect(peer.words).toEqual(words("w", 8));
    for (const word of words("x", 7)) session.send(word);
    await settle();
    expect(heard.ends).toMatchObject([{ reason: "lost" }]);
    expect(peer.goodbye).toMatchObject({ code: "limit" });
  });

  test("a broken invariant of the owner is not swallowed", async () => {
    await using world = await World.open();
    const reasons: unknown[] = [];
    const listener = (reason: unknown) => reasons.push(reason);
    const others = process.listeners("unhandledRejection");
    process.removeAllListeners("unhandledRejection");
    process.on("unhandledRejection", listener);
    const [, heard] = world.dial({
      handler: { entries: () => assert(false, "an impossible word"), ended: (end) => heard.ended(end) },
    });
    await settle();
    world.talkers.session().send("w");
    await settle();
    process.removeListener("unhandledRejection", listener);
    for (const other of others) process.on("unhandledRejection", other);
    expect(String(reasons[0])).toContain("an impossible word");
    expect(heard.ends).toEqual([{ reason: "lost", message: "an impossible word" }]);
  });
});
