import { hostFacts, processHolds, systemEnvironment } from "@heddle/adapter-system";
import {
  type CurrentProcess,
  FabricProcess,
  type ParentProcess,
  type ProcessCall,
  ProcessFamily,
  type Waitable,
  type WaitOptions,
  waitFor,
} from "@heddle/client";
import { sharedFabric } from "./connect.ts";
import { type ProcessOptions, processArguments } from "./process-options.ts";

/** The program itself and what it has started. */
const family = new ProcessFamily(() => {
  const { pid } = hostFacts();
  return { name: "MainProcess", path: "", pid, daemon: false, node: undefined };
});
const waiting = { env: systemEnvironment(), hold: processHolds() };

/** A process of its own beside the pools' slots, as multiprocessing.Process: on this machine, or on the node of a fabric with the fewest of them. */
export class Process<A extends readonly unknown[] = never[]> extends FabricProcess {
  /** Throws TypeError and RangeError for options that cannot be. */
  constructor(options: ProcessOptions & ProcessCall<A>) {
    super(...processArguments(options, () => sharedFabric()), family);
  }
}

/** This process. */
export function currentProcess(): CurrentProcess {
  return family.current;
}

/** Whoever has started this process: null in a program, which is nobody's. */
export function parentProcess(): ParentProcess | null {
  return null;
}

/** Processes that this one has started and that live, in the order in which they were started. */
export function activeChildren(): Process[] {
  return family.active;
}

/** Cores of the fabric: slots of all its nodes. One without nodes is waited for. Rejects with UnavailableError. */
export async function cpuCount(): Promise<number> {
  const { connection, hold } = sharedFabric().host;
  using _hold = hold();
  return (await connection({}).capacity()).slots;
}

/**
 * Waits until at least one of the objects, processes and connections, is ready: over, or with something to receive. Resolves to all that are,
 * in the order given; to none when the time is up.
 */
export function wait<T extends Waitable>(objects: Iterable<T>, options?: WaitOptions): Promise<T[]> {
  return waitFor(waiting, objects, options);
}
