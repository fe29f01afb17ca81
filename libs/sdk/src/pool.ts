import { FabricPool } from "@heddle/client";
import { sharedFabric } from "./connect.ts";
import { type PoolOptions, poolArguments } from "./pool-options.ts";

/** Worker processes of its own that run functions over inputs, as multiprocessing.Pool: on every core of this machine, or of a fabric. */
export class Pool extends FabricPool {
  /** Throws RangeError unless `processes` is a whole number from 1, TypeError for both a fabric and an address, and for what is no option. */
  constructor(options: PoolOptions = {}) {
    super(...poolArguments(options, sharedFabric));
  }
}
