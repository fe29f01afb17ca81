import { expect, test } from "vitest";
import { type RpcFixture, rpcContract } from "./contract.ts";
import { echoMethod, note, open, take } from "./contract-kit.ts";
import { MemoryNetwork } from "./memory.ts";
import { manualEnvironment, realClock } from "./testing.ts";

async function memoryFixture(): Promise<RpcFixture & { readonly network: MemoryNetwork }> {
  const network = new MemoryNetwork({ ...manualEnvironment(), clock: realClock() });
  const routed = new Set<string>();
  return {
    network,
    client: network,
    server: network,
    address: () => "memory:0",
    route: async (address) => {
      routed.add(address);
      return address;
    },
    cut: () => {
      for (const address of routed) network.cut(address);
    },
    hole: async () => {
      const { address } = await network.listen("hole:0", []);
      network.blackhole(address, true);
      return address;
    },
    [Symbol.asyncDispose]: () => network[Symbol.asyncDispose](),
  };
}

rpcContract("MemoryNetwork", memoryFixture, { encodes: false });

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
