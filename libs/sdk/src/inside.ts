/** What `heddle` is inside a worker: the same names, on the fabric that the worker belongs to. It loads no gRPC, no coordinator and no bundler. */
import { systemEnvironment } from "@heddle/adapter-system/environment";
import { Fabric, type FabricOptions } from "@heddle/client";
import { StateError } from "@heddle/kernel";
import { NestedFabric, NestedPool } from "./nested-fabric.ts";
import { type PoolOptions, poolArguments } from "./pool-options.ts";
import { type ConnectOptions, checkConnect, common, reachFabric, remoteFabric } from "./remote.ts";
import { workerRuntime } from "./runtime.ts";

export * from "./exports.ts";

/**
 * As outside; without an address it is the fabric that the worker belongs to, whatever HEDDLE_ADDRESS says. Its session is the worker's,
 * so closing what this gives ends its own pools only.
 */
export async function connect(address?: string, options: ConnectOptions = {}): Promise<Fabric> {
  checkConnect(address, options);
  if (address !== undefined) return await reachFabric(address, options, runtime().hold);
  return new NestedFabric(nestedOptions(options), sharedFabric(undefined));
}

/**
 * As outside; without a fabric or an address its work runs on the fabric that the worker belongs to. A pool may outlive the task that
 * made it, for the next one in this worker to use; what is left open ends with the worker.
 */
export class Pool extends NestedPool {
  /** Throws as outside. */
  constructor(options: PoolOptions = {}) {
    super(...poolArguments(options, sharedFabric), options.fabric);
  }
}

const shared = new Map<string | undefined, Fabric>();

function sharedFabric(address: string | undefined): Fabric {
  let fabric = shared.get(address);
  if (fabric === undefined) {
    fabric = address === undefined ? new Fabric(nestedOptions({})) : remoteFabric(address, {}, runtime().hold);
    shared.set(address, fabric);
  }
  return fabric;
}

/** The agent holds the session and dials the coordinator. */
function nestedOptions(options: ConnectOptions): FabricOptions {
  const { dial, hold } = runtime();
  const parts = common(systemEnvironment(), options, hold);
  return { ...parts, client: undefined, address: "the worker's own fabric", dial };
}

function runtime() {
  const found = workerRuntime();
  if (found === undefined) throw new StateError("this module is for the inside of workers");
  return found;
}
