import { LimitError } from "@heddle/kernel";
import { describe, expect, test } from "vitest";
import { type Caller, callerText, isSameCaller, thisUser } from "./caller.ts";
import { CallerQuota } from "./caller-quota.ts";
import { settle, World } from "./session-kit.ts";

const alice: Caller = { role: "client", name: "alice" };
const bob: Caller = { role: "client", name: "bob" };
const agentAlice: Caller = { role: "agent", name: "alice" };
const quota = { limitName: "TALKS_MAX", max: 2, what: "talks" };

test("an identity is its role and its name, and no name makes one look like another", () => {
  const all = [
    alice,
    bob,
    agentAlice,
    thisUser,
    { role: "client", name: 'alice" agent "bob' },
    { role: "client", name: "" },
  ];
  const texts = (all as Caller[]).map(callerText);
  expect(texts.slice(0, 4)).toEqual(['client "alice"', 'client "bob"', 'agent "alice"', "this user"]);
  expect(new Set(texts).size).toBe(all.length);
  expect(isSameCaller(alice, { ...alice })).toBe(true);
  expect(isSameCaller(thisUser, { role: "client", name: "this user" })).toBe(false);
});

test("a quota bounds each identity by itself, gives back what was taken once, and does not bound the user of the server", () => {
  const talks = new CallerQuota(quota);
  const first = talks.take(alice);
  talks.take(alice);
  expect(() => talks.take(alice)).toThrow(
    new LimitError("TALKS_MAX", 2, 3, 'client "alice" has 2 talks: TALKS_MAX is 2'),
  );
  talks.take(bob);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  expect([talks.count(alice), talks.count(bob), talks.count(agentAlice)]).toEqual([1, 1, 0]);
  talks.take(alice);
  expect(() => talks.take(alice)).toThrow(LimitError);
  for (let taken = 0; taken < 5; taken++) talks.take(thisUser);
  expect(talks.count(thisUser)).toBe(5);
});

describe("an acceptor", () => {
  test("tells whose a session is, and lets the same identity go on with it on another link", async () => {
    await using world = await World.open();
    const [session, heard] = world.dial({ client: world.network.as(alice) });
    await settle();
    world.cut();
    session.send("still me");
    await world.clock.advance(1_000);
    expect([world.talkers.callers, world.talkers.ears().words, heard.ends]).toEqual([[alice], ["still me"], []]);
  });

  test.each<[string, Caller, Caller]>([
    ["another client", alice, bob],
    ["an agent of that name", alice, agentAlice],
    ["the user of the server", alice, thisUser],
    ["a certificate, where it was the user of the server", thisUser, alice],
  ])("refuses a session id in the hands of %s, and the session goes on", async (_who, owner, thief) => {
    await using world = await World.open();
    const [session, heard] = world.dial({ client: world.network.as(owner) });
    await settle();
    const peer = await world.raw(thief);
    peer.hello(0, session.id);
    peer.say(1, 0, ["I am the owner"]);
    await settle();
    const message = `the session belongs to somebody else than ${callerText(thief)}`;
    expect(peer.frames.map(({ control }) => control?.kind)).toEqual([
      { $case: "goodbye", value: { code: "permission", message } },
    ]);
    expect((await peer.link.closed).reason).toBe("remote");
    expect(world.logged).toContain("warn: refused");
    session.send("mine");
    world.talkers.session().send("yours");
    await settle();
    expect([world.talkers.ears().words, heard.words, heard.ends]).toEqual([["mine"], ["yours"], []]);
  });

  test("gives one identity no more sessions than its quota, whoever else comes, and another one when one is over", async () => {
    await using world = await World.open({ acceptor: { quota } });
    const asAlice = world.network.as(alice);
    const [first] = world.dial({ client: asAlice });
    world.dial({ client: asAlice });
    await settle();
    const [, refused] = world.dial({ client: asAlice });
    const [, other] = world.dial({ client: world.network.as(bob) });
    const ours = [world.dial(), world.dial(), world.dial()];
    await settle();
    const message = 'client "alice" has 2 talks: TALKS_MAX is 2';
    expect(refused.ends).toEqual([{ reason: "goodbye", goodbye: { code: "limit", message } }]);
    expect([other, ...ours.map(([, heard]) => heard)].map(({ links }) => links)).toEqual(Array(4).fill([true]));
    await first.close();
    const [, again] = world.dial({ client: asAlice });
    await settle();
    expect(again.links).toEqual([true]);
  });

  test("counts no session that its owner refused", async () => {
    let isOpen = false;
    await using world = await World.open({
      acceptor: { quota: { ...quota, max: 1 } },
      handler: (_session, heard) => {
        if (!isOpen) throw new LimitError("OTHER_MAX", 1, 2);
        return heard;
      },
    });
    world.dial({ client: world.network.as(alice) });
    await settle();
    isOpen = true;
    const [, heard] = world.dial({ client: world.network.as(alice) });
    await settle();
    expect(heard.links).toEqual([true]);
  });
});
