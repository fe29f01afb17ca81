import {
  checkOptionNames,
  described,
  Fabric,
  type PoolHost,
  PROCESS_SETTINGS,
  type ProcessSettings,
} from "@heddle/client";

/** Options of `new Process()`. */
export interface ProcessOptions extends ProcessSettings {
  /** Where to run: a fabric from `connect()`. HEDDLE_ADDRESS unless given, and without it a fabric embedded in this process; inside a worker its own fabric. */
  readonly fabric?: Fabric;
}

/** What a process is made of. `shared`: the fabric of those that are not told another. Throws TypeError for what makes no sense. */
export function processArguments(
  options: ProcessOptions,
  shared: () => Fabric,
): [host: PoolHost, settings: ProcessSettings] {
  checkOptionNames("a process", options, [...PROCESS_SETTINGS, "fabric"]);
  const { fabric, ...settings } = options;
  if (fabric !== undefined && !(fabric instanceof Fabric))
    throw new TypeError(`fabric must be what connect() resolved to, got ${described(fabric)}`);
  return [(fabric ?? shared()).host, settings];
}
