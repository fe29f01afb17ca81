/** What `heddle` is inside a worker: the same names, on the fabric that the worker belongs to. It loads no gRPC, no coordinator and no bundler. */
import { systemEnvironment } from "@heddle/adapter-system/environment";
import { Fabric, FabricPool } from "@heddle/client";
import { StateError } from "@heddle/kernel";
import { type PoolOptions, poolArguments } from "./pool-options.ts";
import { type ConnectOptions, checkConnect, common, reachFabric, remoteFabric } from "./remote.ts";
import { workerRuntime } from "./runtime.ts";

export * from "./exports.ts";

/** As outside; without an address it is the fabric that the worker belongs to, whatever HEDDLE_ADDRESS says. */
export async function connect(address?: string, options: ConnectOptions = {}): Promise<Fabric> {
  checkConnect(address, options);
  return address === undefined ? nestedFabric(options) : await reachFabric(address, options);
}

/** As outside; without a fabric or an address its work runs on the fabric that the worker belongs to. */
export class Pool extends FabricPool {
  /** Throws as outside. */
  constructor(options: PoolOptions = {}) {
    super(...poolArguments(options, sharedFabric));
  }
}

const shared = new Map<string | undefined, Fabric>();

function sharedFabric(address: string | undefined): Fabric {
  let fabric = shared.get(address);
  if (fabric === undefined) {
    fabric = address === undefined ? nestedFabric({}) : remoteFabric(address, {});
    shared.set(address, fabric);
  }
  return fabric;
}

/** The agent holds the session and dials the coordinator. */
function nestedFabric(options: ConnectOptions): Fabric {
  const runtime = workerRuntime();
  if (runtime === undefined) throw new StateError("this module is for the inside of workers");
  const { dial, hold } = runtime;
  const parts = common(systemEnvironment(), options);
  return new Fabric({ ...parts, client: undefined, address: "the worker's own fabric", dial, hold });
}
