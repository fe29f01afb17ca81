// biome-ignore-all lint/style/noRestrictedGlobals: a test suite, which bounds what it observes by real time
import { ConflictError, HeddleError, MESSAGE_BYTES_MAX, NotFoundError, PermissionError } from "@heddle/kernel";
import { describe, expect, test } from "vitest";
import {
  echoMethod,
  gather,
  type Note,
  note,
  nowhereMethod,
  numbers,
  open,
  questionMethod,
  take,
} from "./contract-kit.ts";
import type { Link } from "./link.ts";
import { type Listening, type RpcClient, type RpcServer, streamRoute, unaryRoute } from "./rpc.ts";

export { memoryFixture } from "./memory-fixture.ts";
export { sessionContract } from "./session-contract.ts";

/** A client and a server of one kind, and the power to break what is between them. One for each test. */
export interface RpcFixture extends AsyncDisposable {
  readonly client: RpcClient;
  readonly server: RpcServer;
  /** An address that can be listened at. */
  readonly address: () => string;
  /** The address by which to reach the server at `address` so that `cut` breaks the way. */
  readonly route: (address: string) => Promise<string>;
  /** Breaks every stream that goes through `route`. */
  readonly cut: () => void;
  /** An address where connections are taken and nothing is ever said. */
  readonly hole: () => Promise<string>;
}

/** What differs between kinds on purpose. */
export interface RpcTraits {
  /** Messages become bytes on the way, so that size and content of a message can be wrong. */
  readonly encodes: boolean;
}

/** A stalled send is told from a slow one by this much time. */
const STALL_MS = 200;
const BOUND_MS = 8_000;
const forever = new AbortController().signal;

/** The suite that every implementation of RpcClient and RpcServer passes. */
export function rpcContract(name: string, fixture: () => Promise<RpcFixture>, traits: RpcTraits): void {
  describe(`${name} as an Rpc`, () => {
    orderCases(fixture);
    pressureCases(fixture);
    endCases(fixture);
    dialCases(fixture);
    unaryCases(fixture);
    serverCases(fixture);
    if (traits.encodes) encodingCases(fixture);
  });
}

function orderCases(fixture: () => Promise<RpcFixture>): void {
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

function pressureCases(fixture: () => Promise<RpcFixture>): void {
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

function endCases(fixture: () => Promise<RpcFixture>): void {
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

function dialCases(fixture: () => Promise<RpcFixture>): void {
  test("dialling where nobody listens rejects as unavailable", async () => {
    await using rpc = await fixture();
    const listening = await rpc.server.listen(rpc.address(), []);
    await listening[Symbol.asyncDispose]();
    await expect(rpc.client.dial(echoMethod, listening.address, forever)).rejects.toMatchObject({
      code: "unavailable",
    });
  });

  test("dialling with an aborted signal rejects with its reason", async () => {
    await using rpc = await fixture();
    await using both = await open(rpc);
    const dialling = rpc.client.dial(echoMethod, both.listening.address, AbortSignal.abort(new Error("too late")));
    await expect(dialling).rejects.toThrow("too late");
  });

  test("aborting a dial that hangs rejects with the reason", async () => {
    await using rpc = await fixture();
    const controller = new AbortController();
    const dialling = rpc.client.dial(echoMethod, await rpc.hole(), controller.signal);
    controller.abort(new Error("gave up"));
    await expect(dialling).rejects.toThrow("gave up");
  });

  test("dialling a stream that the server does not serve is a protocol error", async () => {
    await using rpc = await fixture();
    await using both = await open(rpc);
    const dialling = rpc.client.dial(nowhereMethod, both.listening.address, forever);
    await expect(dialling).rejects.toMatchObject({ code: "protocol" });
  });

  test("a client that is disposed ends its links and dials no more", async () => {
    await using rpc = await fixture();
    await using both = await open(rpc);
    await rpc.client[Symbol.asyncDispose]();
    await rpc.client[Symbol.asyncDispose]();
    expect((await both.dialer.closed).reason).toBe("local");
    expect(await gather(both.acceptor)).toEqual([]);
    await both.acceptor.closed;
    await expect(rpc.client.dial(echoMethod, both.listening.address, forever)).rejects.toBeInstanceOf(HeddleError);
  });
}

function unaryCases(fixture: () => Promise<RpcFixture>): void {
  test("a question is answered", async () => {
    await using rpc = await fixture();
    await using listening = await answering(rpc, async ({ n, bytes }) => ({ n: n + 1, bytes }));
    const answer = await rpc.client.call(questionMethod, listening.address, note(41), { timeoutMs: BOUND_MS });
    expect(answer).toEqual(note(42));
  });

  for (const error of [
    new NotFoundError("no job of that name: Jürgen's"),
    new PermissionError("not for you"),
    new ConflictError("taken"),
    new HeddleError("limit", "more than 7"),
    new HeddleError("cancelled", "stopped\nfor good"),
  ]) {
    test(`the error code ${error.code} of an answer reaches the caller with its words`, async () => {
      await using rpc = await fixture();
      await using listening = await answering(rpc, () => Promise.reject(error));
      const call = rpc.client.call(questionMethod, listening.address, note(1), { timeoutMs: BOUND_MS });
      await expect(call).rejects.toMatchObject({ code: error.code, message: error.message, name: error.name });
    });
  }

  test("an answer that fails unexpectedly is an internal error, and the server lives on", async () => {
    await using rpc = await fixture();
    await using listening = await answering(rpc, async ({ n }) => {
      if (n === 1) throw new TypeError("oops");
      return note(n);
    });
    const first = rpc.client.call(questionMethod, listening.address, note(1), { timeoutMs: BOUND_MS });
    await expect(first).rejects.toMatchObject({ code: "internal" });
    const second = rpc.client.call(questionMethod, listening.address, note(2), { timeoutMs: BOUND_MS });
    expect(await second).toEqual(note(2));
  });

  test("a question without an answer times out", async () => {
    await using rpc = await fixture();
    await using listening = await answering(rpc, () => new Promise(() => undefined));
    const call = rpc.client.call(questionMethod, listening.address, note(1), { timeoutMs: 50 });
    await expect(call).rejects.toMatchObject({ code: "timeout" });
  });

  test("a question to a server that says nothing times out", async () => {
    await using rpc = await fixture();
    const call = rpc.client.call(questionMethod, await rpc.hole(), note(1), { timeoutMs: 50 });
    await expect(call).rejects.toMatchObject({ code: "timeout" });
  });

  test("a question where nobody listens is unavailable", async () => {
    await using rpc = await fixture();
    const listening = await answering(rpc, async () => note(1));
    await listening[Symbol.asyncDispose]();
    const call = rpc.client.call(questionMethod, listening.address, note(1), { timeoutMs: BOUND_MS });
    await expect(call).rejects.toMatchObject({ code: "unavailable" });
  });
}

function serverCases(fixture: () => Promise<RpcFixture>): void {
  test("listening where someone listens already rejects as unavailable and names the address", async () => {
    await using rpc = await fixture();
    await using first = await rpc.server.listen(rpc.address(), []);
    const second = rpc.server.listen(first.address, []);
    await expect(second).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining(first.address),
    });
  });

  test("a server that stops listening ends its streams and can listen there again", async () => {
    await using rpc = await fixture();
    await using both = await open(rpc);
    const { address } = both.listening;
    const before = performance.now();
    await Promise.all([both.listening[Symbol.asyncDispose](), both.listening[Symbol.asyncDispose]()]);
    expect(performance.now() - before).toBeLessThan(BOUND_MS);
    await both.dialer.closed;
    await both.acceptor.closed;
    await using again = await rpc.server.listen(address, [streamRoute(echoMethod, (link) => void echo(link, []))]);
    await using link = await rpc.client.dial(echoMethod, again.address, forever);
    link.send(note(3));
    expect(await take(link, 1)).toEqual([3]);
  });
}

function encodingCases(fixture: () => Promise<RpcFixture>): void {
  const oversize: Note = { n: 1, bytes: new Uint8Array(MESSAGE_BYTES_MAX + 1) };
  for (const side of ["dialer", "acceptor"] as const) {
    const other = side === "dialer" ? "acceptor" : "dialer";

    test(`an oversize message of the ${side} breaks its link with words, and no other`, async () => {
      await using rpc = await fixture();
      await using both = await open(rpc);
      await using bystander = await both.another();
      both[side].send(oversize);
      expect(await both[side].closed).toMatchObject({ reason: "broken", cause: { code: "limit" } });
      expect((await both[other].closed).reason).not.toBe("local");
      bystander.dialer.send(note(5));
      expect(await take(bystander.acceptor, 1)).toEqual([5]);
    });

    test(`a message of the ${side} that cannot be decoded breaks its link as a protocol error, and no other`, async () => {
      await using rpc = await fixture();
      await using both = await open(rpc);
      await using bystander = await both.another();
      both[side].send({ n: -1, bytes: new Uint8Array() });
      expect(await gather(both[other])).toEqual([]);
      expect(await both[other].closed).toMatchObject({ reason: "broken", cause: { code: "protocol" } });
      expect((await both[side].closed).reason).not.toBe("local");
      bystander.acceptor.send(note(5));
      expect(await take(bystander.dialer, 1)).toEqual([5]);
    });
  }

  test("the bytes of messages are counted as they are read", async () => {
    await using rpc = await fixture();
    await using both = await open(rpc);
    both.dialer.send({ n: 1, bytes: new Uint8Array(100) });
    both.dialer.send({ n: 2, bytes: new Uint8Array(100) });
    expect(both.acceptor.receivedBytes).toBe(0);
    await take(both.acceptor, 1);
    expect(both.acceptor.receivedBytes).toBe(104);
    await take(both.acceptor, 1);
    expect(both.acceptor.receivedBytes).toBe(208);
  });

  test("an oversize question is refused with the code limit", async () => {
    await using rpc = await fixture();
    await using listening = await answering(rpc, async () => note(1));
    const call = rpc.client.call(questionMethod, listening.address, oversize, { timeoutMs: BOUND_MS });
    await expect(call).rejects.toMatchObject({ code: "limit" });
  });
}

function answering(rpc: RpcFixture, answer: (request: Note) => Promise<Note>): Promise<Listening> {
  return rpc.server.listen(rpc.address(), [unaryRoute(questionMethod, answer)]);
}

async function echo(link: Link<Note, Note>, accepted: Link<Note, Note>[]): Promise<void> {
  accepted.push(link);
  for await (const message of link.incoming) if (!link.send(message)) await link.drained();
}

async function pump(link: Link<Note, Note>, values: readonly number[]): Promise<void> {
  for (const n of values) if (!link.send(note(n))) await link.drained();
}

/** Sends until the link takes no more for a while; returns how many messages that were, numbered from 0. */
async function fill(link: Link<Note, Note>): Promise<number> {
  const bytes = new Uint8Array(64 * 1024);
  for (let n = 0; n < 10_000; n++) {
    if (link.send({ n, bytes })) continue;
    const stalled = new AbortController();
    const timer = setTimeout(() => stalled.abort(), STALL_MS);
    const hasRoom = await link.drained(stalled.signal).then(
      () => true,
      () => false,
    );
    clearTimeout(timer);
    if (!hasRoom) return n + 1;
  }
  throw new Error("10,000 messages of 64 KiB went into a link that nobody reads");
}
