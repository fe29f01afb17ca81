import { checkOptionNames, described, Fabric, FabricPool, POOL_SETTINGS, type PoolSettings } from "@heddle/client";
import { checkAddress, sharedFabric } from "./connect.ts";

/** Options of `new Pool()`. */
export interface PoolOptions extends PoolSettings {
  /** Where to run: a fabric from `connect()`. */
  readonly fabric?: Fabric;
  /** Where to run: a coordinator's address. HEDDLE_ADDRESS unless given, and without either a fabric embedded in this process. */
  readonly address?: string;
}

/** Worker processes of its own that run functions over inputs, as multiprocessing.Pool: on every core of this machine, or of a fabric. */
export class Pool extends FabricPool {
  /** Throws RangeError unless `processes` is a whole number from 1, TypeError for both a fabric and an address, and for what is no option. */
  constructor(options: PoolOptions = {}) {
    checkOptionNames("a pool", options, [...POOL_SETTINGS, "fabric", "address"]);
    const { fabric, address, ...settings } = options;
    if (fabric !== undefined && address !== undefined) throw new TypeError("give a fabric or an address, not both");
    if (fabric !== undefined && !(fabric instanceof Fabric))
      throw new TypeError(`fabric must be what connect() resolved to, got ${described(fabric)}`);
    checkAddress(address);
    super((fabric ?? sharedFabric(address)).host, settings);
  }
}
