import { AuthenticationError, type HeddleError, PermissionError, UnavailableError } from "@heddle/kernel";
import { describe, expect, test } from "vitest";
import type { RpcClient } from "./rpc.ts";
import { leaseMs, settle, World } from "./session-kit.ts";

/** A client whose dials fail by what the test says, as long as it says something. */
function gatekeeper(world: World): { readonly client: RpcClient; refusal: HeddleError | undefined; dials: number } {
  const gate = {
    refusal: undefined as HeddleError | undefined,
    dials: 0,
    client: {
      dial: async (method, address, signal) => {
        gate.dials++;
        if (gate.refusal !== undefined) throw gate.refusal;
        return world.network.dial(method, address, signal);
      },
      call: () => Promise.reject(new Error("unused")),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    } satisfies RpcClient,
  };
  return gate;
}

const stranger = new AuthenticationError("the server does not know this certificate");

describe("a session whose peer refuses it", () => {
  test.each([stranger, new PermissionError("agents may not")])(
    "when it has never been welcomed ends at once, with the error: $name",
    async (refusal) => {
      await using world = await World.open();
      const gate = gatekeeper(world);
      gate.refusal = refusal;
      const [, heard] = world.dial({ client: gate.client });
      await settle();
      expect(heard.ends).toEqual([{ reason: "lost", message: refusal.message, error: refusal }]);
      await world.clock.advance(leaseMs);
      expect(gate.dials).toBe(1);
    },
  );

  test("when it has never been welcomed ends at once also after dials that found nobody", async () => {
    await using world = await World.open();
    const gate = gatekeeper(world);
    gate.refusal = new UnavailableError("nobody is there");
    const [, heard] = world.dial({ client: gate.client });
    await world.clock.advance(leaseMs / 3);
    expect(heard.ends).toEqual([]);
    gate.refusal = stranger;
    await world.clock.advance(leaseMs / 3);
    expect(heard.ends).toMatchObject([{ reason: "lost", error: stranger }]);
  });

  test("for a while, after a welcome, is gone on with, and nothing is lost", async () => {
    await using world = await World.open();
    const gate = gatekeeper(world);
    const [session, heard] = world.dial({ client: gate.client });
    await settle();
    gate.refusal = stranger;
    world.cut();
    session.send("said while refused");
    await world.clock.advance(leaseMs / 2);
    expect(heard.ends).toEqual([]);
    expect(gate.dials).toBeGreaterThan(3);
    gate.refusal = undefined;
    await world.clock.advance(leaseMs / 4);
    expect(world.talkers.ears().words).toEqual(["said while refused"]);
    expect(heard.links).toEqual([true, false, true]);
  });

  test("for longer than its patience, after a welcome, ends with the error and not as one that found nobody", async () => {
    await using world = await World.open();
    const gate = gatekeeper(world);
    const [, heard] = world.dial({ client: gate.client, unavailableTimeoutMs: 4_000 });
    await settle();
    gate.refusal = stranger;
    world.cut();
    await world.clock.advance(3_900);
    expect(heard.ends).toEqual([]);
    await world.clock.advance(3_000);
    expect(heard.ends).toEqual([{ reason: "lost", message: stranger.message, error: stranger }]);
  });

  test("ends as one that found nobody when that is what its last dials did", async () => {
    await using world = await World.open();
    const gate = gatekeeper(world);
    const [, heard] = world.dial({ client: gate.client, unavailableTimeoutMs: 4_000 });
    await settle();
    gate.refusal = stranger;
    world.cut();
    await world.clock.advance(1_000);
    gate.refusal = new UnavailableError("nobody is there");
    await world.clock.advance(6_000);
    expect(heard.ends).toEqual([{ reason: "expired" }]);
  });
});
