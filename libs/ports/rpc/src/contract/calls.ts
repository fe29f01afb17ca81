// biome-ignore-all lint/style/noRestrictedGlobals: a test suite, which bounds what it observes by real time
import { ConflictError, HeddleError, NotFoundError, PermissionError } from "@heddle/kernel";
import { expect, test } from "vitest";
import type { RpcFixture } from "../contract.ts";
import { streamRoute } from "../rpc.ts";
import {
  answering,
  BOUND_MS,
  echo,
  echoMethod,
  forever,
  gather,
  note,
  nowhereMethod,
  open,
  questionMethod,
  take,
} from "./kit.ts";

/** Dials settle, and say why when they fail. */
export function dialCases(fixture: () => Promise<RpcFixture>): void {
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

/** Questions settle, and errors keep their code and words. */
export function unaryCases(fixture: () => Promise<RpcFixture>): void {
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

/** Servers start and stop. */
export function serverCases(fixture: () => Promise<RpcFixture>): void {
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
