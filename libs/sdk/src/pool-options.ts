import { checkOptionNames, described, Fabric, POOL_SETTINGS, type PoolHost, type PoolSettings } from "@heddle/client";
import { checkAddress } from "./remote.ts";

/** Options of `new Pool()`. */
export interface PoolOptions extends PoolSettings {
  /** Where to run: a fabric from `connect()`. */
  readonly fabric?: Fabric;
  /** Where to run: a coordinator's address. HEDDLE_ADDRESS unless given, and without either a fabric embedded in this process; inside a task the task's own fabric. */
  readonly address?: string;
}

/** What a pool is made of. `shared`: the fabric of those that are not told another. Throws TypeError for what makes no sense. */
export function poolArguments(
  options: PoolOptions,
  shared: (address: string | undefined) => Fabric,
): [host: PoolHost, settings: PoolSettings] {
  checkOptionNames("a pool", options, [...POOL_SETTINGS, "fabric", "address"]);
  const { fabric, address, ...settings } = options;
  if (fabric !== undefined && address !== undefined) throw new TypeError("give a fabric or an address, not both");
  if (fabric !== undefined && !(fabric instanceof Fabric))
    throw new TypeError(`fabric must be what connect() resolved to, got ${described(fabric)}`);
  checkAddress(address);
  return [(fabric ?? shared(address)).host, settings];
}
