import type { RpcFixture } from "../contract.ts";
import { MemoryNetwork } from "../memory.ts";
import { manualEnvironment, realClock } from "../testing.ts";

/** A memory network on the machine's own time, for the contract suites. */
export async function memoryFixture(): Promise<RpcFixture & { readonly network: MemoryNetwork }> {
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
