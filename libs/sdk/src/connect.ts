import { openScope } from "@heddle/adapter-processes";
import { systemEnvironment } from "@heddle/adapter-system";
import { Fabric } from "@heddle/client";
import { endlessLeases } from "@heddle/port-rpc";
import { EmbeddedFabric } from "./embedded.ts";
import {
  addressInEnvironment,
  type ConnectOptions,
  checkAddress,
  checkConnect,
  common,
  reachFabric,
  remoteFabric,
} from "./remote.ts";

/**
 * A fabric to run work on: the coordinator at `address`, else at HEDDLE_ADDRESS, else one embedded in this process.
 * Rejects with UnavailableError when no coordinator answers there, InvalidArgumentError when it cannot be an address.
 */
export async function connect(address?: string, options: ConnectOptions = {}): Promise<Fabric> {
  checkConnect(address, options);
  const at = address ?? addressInEnvironment();
  return at === undefined ? embeddedFabric(options) : await reachFabric(at, options);
}

/** The fabric that pools share which are not told another: one per address in a process, made at first use, gone with the process. Throws as `checkAddress`. */
export function sharedFabric(address?: string): Fabric {
  checkAddress(address);
  const at = address ?? addressInEnvironment() ?? "";
  let fabric = shared.get(at);
  if (fabric === undefined) {
    fabric = at === "" ? embeddedFabric({}) : remoteFabric(at, {});
    shared.set(at, fabric);
  }
  return fabric;
}

/** The one place where a process remembers its fabrics: two pools of one script share slots and a connection. */
const shared = new Map<string, Fabric>();

function embeddedFabric(options: ConnectOptions): Fabric {
  const env = systemEnvironment();
  const embedded = new EmbeddedFabric(env);
  return new Fabric({
    ...common(env, options),
    client: embedded.client,
    address: embedded.address,
    objects: { openScope, leases: endlessLeases },
    prepare: (settings) => embedded.prepare(settings),
    dispose: () => embedded[Symbol.asyncDispose](),
  });
}
