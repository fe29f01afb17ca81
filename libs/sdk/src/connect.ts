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
  checkUnaddressed,
  common,
  reachFabric,
  remoteFabric,
} from "./remote.ts";

/**
 * A fabric to run work on: the coordinator at `address`, else at HEDDLE_ADDRESS, else one embedded in this process.
 * Rejects with UnavailableError when no coordinator answers there; with AuthenticationError when one side does not believe the other, and PermissionError when this
 * side may not be there or would have to speak unprotected beyond this machine, at once; with InvalidArgumentError for what cannot be an address, files that
 * cannot be read, variables that are incomplete, and credentials without an address.
 */
export async function connect(address?: string, options: ConnectOptions = {}): Promise<Fabric> {
  checkConnect(address, options);
  const at = address ?? addressInEnvironment();
  if (at !== undefined) return await reachFabric(at, options);
  checkUnaddressed(options, "the fabric embedded in this process");
  return embeddedFabric(options);
}

/** The fabric that pools share which are not told another: one per address in a process, made at first use, gone with the process. Throws as `checkAddress`, and as `credentialsOf` for what the environment says. */
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
    place: "the fabric embedded in this process, as neither connect() nor HEDDLE_ADDRESS names another",
    objects: { openScope, leases: endlessLeases },
    prepare: (settings) => embedded.prepare(settings),
    dispose: () => embedded[Symbol.asyncDispose](),
  });
}
