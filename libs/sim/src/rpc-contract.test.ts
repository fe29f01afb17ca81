import { type RpcFixture, rpcContract } from "@heddle/port-rpc/contract";
import type { HostContext } from "./host.ts";
import { createWorld, type World } from "./world.ts";

/** A machine that runs nothing but the test. */
function machine(world: World, name: string): HostContext {
  let context: HostContext | undefined;
  world.host(name, (booted) => {
    context = booted;
    return undefined;
  });
  if (context === undefined) throw new TypeError("boot is synchronous");
  return context;
}

rpcContract(
  "The simulated network",
  async (): Promise<RpcFixture> => {
    const world = createWorld(1);
    const pumping = world.pump();
    return {
      client: machine(world, "client").rpc,
      server: machine(world, "server").rpc,
      address: () => "server:0",
      route: async (address) => address,
      cut: () => world.cut("client", "server"),
      hole: async () => {
        world.host("hole", ({ rpc }) => rpc.listen("hole:1", [])).pause();
        return "hole:1";
      },
      [Symbol.asyncDispose]: () => pumping[Symbol.asyncDispose](),
    };
  },
  { encodes: true },
);
