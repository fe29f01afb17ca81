import { HeddleError, PermissionError } from "@heddle/kernel";
import { NODE_REGISTERED_MINOR } from "@heddle/wire";
import { expect, test } from "vitest";
import { ADDRESS, Bench, settle } from "./testing.ts";

const stranger = new PermissionError('agent "n2" may not be the node n1');
const REFUSES = "the coordinator refuses this node";

test("an agent is in reach of its coordinator once that has said that it knows the node", async () => {
  const bench = await Bench.open();
  expect([bench.links, bench.agent.readiness().isReady]).toEqual([[true], true]);
  bench.network.cut(ADDRESS);
  await bench.clock.advance(5_000);
  expect(bench.links).toEqual([true, false, true]); // the same session goes on
  await bench.loseSession();
  expect(bench.links).toEqual([true, false, true, false, true]);
  await bench[Symbol.asyncDispose]();
});

test("a coordinator of a build that does not say so is in reach when it has taken the session", async () => {
  const bench = await Bench.open(1, {
    minor: NODE_REGISTERED_MINOR - 1,
    refusal: new HeddleError("internal", "unheard"),
  });
  expect(bench.links[0]).toBe(true);
  await bench[Symbol.asyncDispose]();
});

test("an agent that no coordinator lets in, and none ever has, ends with the words, and dials no more", async () => {
  const bench = await Bench.open(1, { refusal: stranger });
  expect(await bench.agent.ended).toEqual({ refused: stranger.message, final: "denied" });
  expect([bench.links, bench.agent.readiness().isReady]).toEqual([[], false]);
  await bench.clock.advance(60_000);
  expect(bench.sessions).toHaveLength(1);
  expect(bench.warned.filter(({ message }) => message !== "refused")).toEqual([
    { message: REFUSES, fields: { address: ADDRESS, why: stranger.message } },
  ]);
});

test("an agent whose other coordinator may yet let it in goes on", async () => {
  const bench = await Bench.open(1, { refusal: stranger, addresses: [ADDRESS, "nobody"] });
  await bench.clock.advance(120_000);
  expect(bench.sessions.length).toBeGreaterThan(1);
  bench.refusal = undefined;
  await bench.clock.advance(120_000);
  expect(bench.links.at(-1)).toBe(true);
  await bench[Symbol.asyncDispose]();
});

test("an agent that was known and is refused tries on with longer and longer pauses, and says so once for each reason", async () => {
  const bench = await Bench.open();
  bench.refusal = stranger;
  await bench.loseSession();
  const [before] = [bench.sessions.length];
  await bench.clock.advance(10 * 60_000);
  const tries = bench.sessions.length - before;
  expect(tries).toBeGreaterThan(10 * 2); // every 30 s at most
  expect(tries).toBeLessThan(10 * 6);
  const told = () => bench.warned.filter(({ message }) => message === REFUSES).map(({ fields }) => fields?.why);
  expect(told()).toEqual([stranger.message]);
  bench.refusal = new PermissionError("other words");
  await bench.clock.advance(60_000);
  expect(told()).toEqual([stranger.message, "other words"]);
  expect(bench.agent.readiness().isReady).toBe(false);
  bench.refusal = undefined;
  await bench.clock.advance(60_000);
  await settle();
  expect(bench.agent.readiness().isReady).toBe(true);
  await bench[Symbol.asyncDispose]();
});
