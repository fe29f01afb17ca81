// biome-ignore-all lint/style/noRestrictedGlobals: a test suite, which bounds what it observes by real time
import { MESSAGE_BYTES_MAX } from "@heddle/kernel";
import { expect, test } from "vitest";
import type { RpcFixture } from "../contract.ts";
import type { Link } from "../link.ts";
import { streamRoute } from "../rpc.ts";
import {
  BOUND_MS,
  echo,
  echoMethod,
  fill,
  forever,
  gather,
  type Note,
  note,
  numbers,
  open,
  pump,
  take,
} from "./kit.ts";

/** What is sent arrives, in order and whole. */
export function orderCases(fixture: () => Promise<RpcFixture>): void {
  test("messages arrive in order in both directions at the same time", async () => {
    await using rpc = await fixture();
    await using both = await open(rpc);
    const there = take(both.acceptor, 2_000);
    const back = take(both.dialer, 2_000);
    await Promise.all([pump(both.dialer, numbers(2_000)), pump(both.acceptor, numbers(2_000))]);
    expect(await there).toEqual(numbers(2_000));
    expect(await back).toEqual(numbers(2_000));
  });

  test("messages that were sent before anyone reads are read later", async () => {
    await using rpc = await fixture();
    await using both = await open(rpc);
    for (const n of numbers(10)) both.dialer.send(note(n));
    both.acceptor.send(note(7));
    expect(await take(both.dialer, 1)).toEqual([7]);
    expect(await take(both.acceptor, 10)).toEqual(numbers(10));
  });

  test("a message close to the limit arrives whole in both directions", async () => {
    await using rpc = await fixture();
    await using both = await open(rpc);
    const bytes = Uint8Array.from({ length: MESSAGE_BYTES_MAX - 64 }, (_, at) => at % 251);
    both.dialer.send({ n: 1, bytes });
    both.acceptor.send({ n: 2, bytes });
    const [there] = await gather(both.acceptor, 1);
    const [back] = await gather(both.dialer, 1);
    expect([there?.n, back?.n]).toEqual([1, 2]);
    expect(Buffer.compare(there?.bytes ?? new Uint8Array(), bytes)).toBe(0);
    expect(Buffer.compare(back?.bytes ?? new Uint8Array(), bytes)).toBe(0);
  });

  test("links of one client are independent of each other", async () => {
    await using rpc = await fixture();
    const accepted: Link<Note, Note>[] = [];
    await using listening = await rpc.server.listen(rpc.address(), [
      streamRoute(echoMethod, (link) => void echo(link, accepted)),
    ]);
    const links = await Promise.all(numbers(8).map(() => rpc.client.dial(echoMethod, listening.address, forever)));
    for (const [index, link] of links.entries()) for (const n of numbers(20)) link.send(note(100 * index + n));
    for (const [index, link] of links.entries()) {
      expect(await take(link, 20)).toEqual(numbers(20).map((n) => 100 * index + n));
    }
    await links[0]?.[Symbol.asyncDispose]();
    links[1]?.send(note(1));
    expect(await take(links[1] as Link<Note, Note>, 1)).toEqual([1]);
    expect(accepted.length).toBe(8);
  });

  test("both ends name their peer", async () => {
    await using rpc = await fixture();
    await using both = await open(rpc);
    expect(both.dialer.peer).not.toBe("");
    expect(both.acceptor.peer).not.toBe("");
  });
}

/** Who does not read holds back who sends. */
export function pressureCases(fixture: () => Promise<RpcFixture>): void {
  for (const side of ["dialer", "acceptor"] as const) {
    const other = side === "dialer" ? "acceptor" : "dialer";

    test(`the ${side}'s send says false in the end when nobody reads, and drained resolves once someone does`, async () => {
      await using rpc = await fixture();
      await using both = await open(rpc);
      const sent = await fill(both[side]);
      const drained = both[side].drained();
      const reading = take(both[other], sent);
      await drained;
      expect(await reading).toEqual(numbers(sent));
    });

    test(`the ${side}'s drained resolves when the link is over`, async () => {
      await using rpc = await fixture();
      await using both = await open(rpc);
      await fill(both[side]);
      const drained = both[side].drained();
      rpc.cut();
      await drained;
      await both[side].drained();
    });
  }

  test("drained rejects with the reason of an aborted signal", async () => {
    await using rpc = await fixture();
    await using both = await open(rpc);
    await fill(both.dialer);
    const controller = new AbortController();
    const drained = both.dialer.drained(controller.signal);
    controller.abort(new Error("enough"));
    await expect(drained).rejects.toThrow("enough");
    await expect(both.dialer.drained(controller.signal)).rejects.toThrow("enough");
  });
}

/** A link ends at both ends, in order or broken, within bounded time. */
export function endCases(fixture: () => Promise<RpcFixture>): void {
  for (const side of ["dialer", "acceptor"] as const) {
    const other = side === "dialer" ? "acceptor" : "dialer";

    test(`what the ${side} sent before it ended the link is read, then the link is over at both ends`, async () => {
      await using rpc = await fixture();
      await using both = await open(rpc);
      for (const n of numbers(50)) both[side].send(note(n));
      const closing = both[side][Symbol.asyncDispose]();
      expect((await gather(both[other])).map(({ n }) => n)).toEqual(numbers(50));
      expect((await both[other].closed).reason).toBe("remote");
      expect((await both[side].closed).reason).toBe("local");
      await closing;
    });

    test(`the ${side} can end a link within bounded time though its peer never reads, and more than once`, async () => {
      await using rpc = await fixture();
      await using both = await open(rpc);
      await fill(both[side]);
      const before = performance.now();
      await Promise.all([both[side][Symbol.asyncDispose](), both[side][Symbol.asyncDispose]()]);
      await both[side][Symbol.asyncDispose]();
      expect(performance.now() - before).toBeLessThan(BOUND_MS);
      expect((await both[side].closed).reason).toBe("local");
      expect(await gather(both[side])).toEqual([]);
    });

    test(`after the end the ${side}'s send is ignored and false`, async () => {
      await using rpc = await fixture();
      await using both = await open(rpc);
      await both[side][Symbol.asyncDispose]();
      expect(both[side].send(note(1))).toBe(false);
      expect(await gather(both[other])).toEqual([]);
    });
  }

  test("a cut ends both ends as broken and their incoming messages", async () => {
    await using rpc = await fixture();
    await using both = await open(rpc);
    const reading = [gather(both.dialer), gather(both.acceptor)];
    rpc.cut();
    expect((await both.dialer.closed).reason).toBe("broken");
    expect((await both.acceptor.closed).reason).toBe("broken");
    expect(await Promise.all(reading)).toEqual([[], []]);
    expect(both.dialer.send(note(1))).toBe(false);
  });

  test("of what a cut interrupts, a prefix arrives in order", async () => {
    await using rpc = await fixture();
    await using both = await open(rpc);
    const reading = gather(both.acceptor);
    const pumping = pump(both.dialer, numbers(5_000));
    both.acceptor.send(note(0));
    await take(both.dialer, 1);
    rpc.cut();
    await pumping;
    const arrived = (await reading).map(({ n }) => n);
    expect(arrived).toEqual(numbers(arrived.length));
  });
}
