import { MESSAGE_BYTES_MAX } from "@heddle/kernel";
import { expect, test } from "vitest";
import type { RpcFixture } from "../contract.ts";
import { answering, BOUND_MS, gather, type Note, note, open, questionMethod, take } from "./kit.ts";

/** A message that is wrong ends its own stream and no other. */
export function encodingCases(fixture: () => Promise<RpcFixture>): void {
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
