/** What `heddle` is inside a worker: the same names, on the fabric that the worker belongs to. It loads no gRPC, no coordinator and no bundler. */
import { systemEnvironment } from "@heddle/adapter-system/environment";
import {
  type CurrentProcess,
  Fabric,
  type FabricOptions,
  FabricProcess,
  OnceEffects,
  ParentProcess,
  PipeTransport,
  type ProcessCall,
  ProcessFamily,
  provideFabrics,
  type Waitable,
  type WaitOptions,
  waitFor,
} from "@heddle/client";
import { StateError } from "@heddle/kernel";
import { endlessLeases } from "@heddle/port-rpc";
import { NestedFabric, NestedPool } from "./nested-fabric.ts";
import { type PoolOptions, poolArguments } from "./pool-options.ts";
import { type ProcessOptions, processArguments } from "./process-options.ts";
import {
  type ConnectOptions,
  checkConnect,
  checkUnaddressed,
  common,
  type Holds,
  reachFabric,
  remoteFabric,
} from "./remote.ts";
import { workerRuntime } from "./runtime.ts";

export * from "./exports.ts";

/**
 * As outside; without an address it is the fabric that the worker belongs to, whatever HEDDLE_ADDRESS says. Its session is the worker's,
 * so closing what this gives ends its own pools only.
 */
export async function connect(address?: string, options: ConnectOptions = {}): Promise<Fabric> {
  checkConnect(address, options);
  if (address !== undefined) return kept(await reachFabric(address, options, foreignHolds()));
  checkUnaddressed(options, "the fabric that this worker belongs to");
  return kept(new NestedFabric(nestedOptions(options), sharedFabric(undefined), family));
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

/** As outside; without a fabric it is on the one that the worker belongs to. */
export class Process<A extends readonly unknown[] = never[]> extends FabricProcess {
  /** Throws as outside. */
  constructor(options: ProcessOptions & ProcessCall<A>) {
    super(...processArguments(options, () => sharedFabric(undefined)), family);
    if (options.fabric instanceof NestedFabric) options.fabric.keepProcess(this);
  }
}

/** This process: a Process, or a worker of a pool. */
export function currentProcess(): CurrentProcess {
  return family.current;
}

/** Whoever has started this process: a program, a Process or a pool's worker; of a worker of a pool its agent. */
export function parentProcess(): ParentProcess | null {
  parent ??= new ParentProcess(runtime().process().parent, waiting);
  return parent;
}

/** As outside. */
export function activeChildren(): Process[] {
  return family.active;
}

/** As outside. */
export async function cpuCount(): Promise<number> {
  const { connection, hold } = sharedFabric(undefined).host;
  using _hold = hold();
  return (await connection({}).capacity()).slots;
}

/** As outside. */
export function wait<T extends Waitable>(objects: Iterable<T>, options?: WaitOptions): Promise<T[]> {
  return waitFor(waiting, objects, options);
}

/** This process and what it has started. */
const family = new ProcessFamily(() => runtime().process());
const waiting = { env: systemEnvironment(), hold: () => runtime().hold() };
let parent: ParentProcess | undefined;
/** Of jobs whose items' writes count once. */
const effects = new OnceEffects({
  home: () => sharedFabric(undefined).home,
  openScope: <T>() => runtime().openScope<T>(),
});
/** Of the sessions that code in this worker has opened, each an owner in the agent's session. */
let lastOwner = 0;

const shared = new Map<string | undefined, Fabric>();
/** All that code in this worker has, but for those that it has closed: writes through them belong to the chunk that runs. */
const fabrics = new Set<Fabric>();

function sharedFabric(address: string | undefined): Fabric {
  let fabric = shared.get(address);
  if (fabric === undefined) {
    fabric = kept(address === undefined ? new Fabric(nestedOptions({})) : remoteFabric(address, {}, foreignHolds()));
    shared.set(address, fabric);
  }
  return fabric;
}

function kept(fabric: Fabric): Fabric {
  fabrics.add(fabric);
  return fabric;
}

/** As InsideObjects.flush, of all fabrics. */
function flush(): Promise<void> | undefined {
  const flushing: Promise<void>[] = [];
  for (const fabric of fabrics) {
    const flushed = fabric.flushObjects();
    if (flushed !== undefined) flushing.push(flushed);
  }
  return flushing.length === 0 ? undefined : all(flushing);
}

/** Waits for all of them, whichever fails. */
async function all(flushing: readonly Promise<void>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(flushing)) if (outcome.status === "rejected") throw outcome.reason;
}

/** The agent holds the session and dials the coordinator. */
function nestedOptions(options: ConnectOptions): FabricOptions {
  const { dial, hold, keep, objects, openScope, attempt } = runtime();
  const env = systemEnvironment();
  const parts = common(env, options, { hold, keep });
  const transport = (): PipeTransport => new PipeTransport(objects, ++lastOwner, env);
  return {
    ...parts,
    client: undefined,
    address: "the worker's own fabric",
    dial,
    objects: { openScope, attempt, effects: effects.own, leases: endlessLeases, transport, lend: hold },
  };
}

/** For fabrics that the worker does not belong to. */
function foreignHolds(): Holds {
  const { hold, keep } = runtime();
  return { hold, keep, effects: effects.foreign };
}

function runtime() {
  const found = workerRuntime();
  if (found === undefined) throw new StateError("this module is for the inside of workers");
  return found;
}

provideFabrics(sharedFabric);
workerRuntime()?.objects.provide({
  revive: (description) => sharedFabric(undefined).home.revive(description),
  flush,
  effects,
});
