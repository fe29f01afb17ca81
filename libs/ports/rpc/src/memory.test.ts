import { expect, test } from "vitest";
import { echoMethod, note, open, take } from "./contract/kit.ts";
import { memoryFixture } from "./contract/memory-fixture.ts";
import { sessionContract } from "./contract/sessions.ts";
import { rpcContract } from "./contract.ts";

rpcContract("MemoryNetwork", memoryFixture, { encodes: false });
sessionContract("MemoryNetwork", memoryFixture);

test("a black hole swallows messages both ways without ending the link", async () => {
  await using rpc = await memoryFixture();
  await using both = await open(rpc);
  rpc.network.blackhole(both.listening.address, true);
  expect(both.dialer.send(note(1))).toBe(true);
  rpc.network.blackhole(both.listening.address, false);
  const link = await rpc.network.dial(echoMethod, both.listening.address, new AbortController().signal);
  expect(rpc.network.linkCount(both.listening.address)).toBe(2);
  await link[Symbol.asyncDispose]();
});

test("messages are handed over by reference", async () => {
  await using rpc = await memoryFixture();
  await using both = await open(rpc);
  const message = note(1);
  both.dialer.send(message);
  for await (const received of both.acceptor.incoming) {
    expect(received).toBe(message);
    break;
  }
  both.dialer.send(note(2));
  expect(await take(both.acceptor, 1)).toEqual([2]);
});
