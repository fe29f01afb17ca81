import { ARTIFACT_BYTES_MAX, CAPTURED_INLINE_BYTES_MAX, LimitError, type PoolId } from "@heddle/kernel";
import type { AnyFunction, Artifact, ShippedFunction, Shipper } from "@heddle/port-shipper";
import { encodeValue, type FunctionRef, type Initializer, type OpenPool, type Requirements } from "@heddle/wire";
import { ArgumentFunctions, artifactsOf, made, UnshippedFunctions } from "./argument-functions.ts";

/** What a pool is told at its construction. */
export interface PoolSettings {
  /** Worker processes on this machine, an upper bound of its slots on a cluster; none for all there are. */
  readonly processes?: number;
  /**
   * What each worker of the pool runs when it joins: once, before its first chunk. The first one joins at the pool's construction. When it keeps failing
   * calls reject with PoolInitError.
   */
  readonly initializer?: AnyFunction;
  /** Its arguments; none unless given. */
  readonly initArgs?: readonly unknown[];
  /** A worker is replaced after so many chunks (as in Python: what counts are chunks, not items); never unless given. */
  readonly maxTasksPerChild?: number;
  /** A worker whose resident memory is larger than this when a chunk of it ends is replaced; never unless given. In bytes. */
  readonly maxRssPerChildBytes?: number;
  /** Labels that the nodes of the pool must carry, each with this value. */
  readonly labels?: Readonly<Record<string, string>>;
  /** What each chunk takes of its node's resources while it is there. */
  readonly resources?: Readonly<Record<string, number>>;
  /** For people: `heddle get jobs` and logs. */
  readonly name?: string;
  /** Seed of the random numbers of the pool's tasks: the same numbers in each run with the same seed and calls. By chance unless given. */
  readonly seed?: number;
}

/** What goes before a pool's first job. */
export interface PoolSetup {
  readonly open: OpenPool;
  /** Code, captured values and arguments of its initializer. */
  readonly artifacts: readonly Artifact[];
  /** Its initializer's function; undefined without one. */
  readonly shipped?: ShippedFunction;
}

/** Makes a pool known: ships its initializer with what that closes over now. Rejects as Shipper.ship, and with SerializationError for its arguments. */
export async function poolSetup(id: PoolId, settings: PoolSettings, shipper: Shipper): Promise<PoolSetup> {
  const { initializer, initArgs = [] } = settings;
  const open = openPool(id, settings);
  if (initializer === undefined) return { open, artifacts: [] };
  const shipped = await shipCall(initializer, initArgs, shipper);
  return { open: { ...open, initializer: shipped.call }, artifacts: shipped.artifacts, shipped: shipped.shipped };
}

/** A call that a worker makes once: its function with what that closes over now, and its arguments. Rejects as `poolSetup`. */
export async function shipCall(
  fn: AnyFunction,
  args: readonly unknown[],
  shipper: Shipper,
): Promise<{
  readonly call: Initializer;
  readonly artifacts: readonly Artifact[];
  readonly shipped: ShippedFunction;
}> {
  const artifacts: Artifact[] = [];
  const shipping = shipper.ship(fn);
  const encoding = encodeArguments(args, shipper, artifacts);
  const [shipped, bytes] = await Promise.all([shipping, encoding]);
  artifacts.push(...artifactsOf(shipped));
  const packed = bytes.byteLength <= CAPTURED_INLINE_BYTES_MAX ? undefined : shipper.pack(bytes);
  if (packed !== undefined) artifacts.push(packed);
  const call: Initializer = {
    function: functionRef(shipped),
    args: packed === undefined ? bytes : new Uint8Array(0),
    argsArtifact: packed?.hash ?? "",
  };
  return { call, artifacts, shipped };
}

/** What nodes must have; undefined for nothing. */
export function requirementsOf(of: Pick<PoolSettings, "labels" | "resources">): Requirements | undefined {
  const { labels = {}, resources = {} } = of;
  if (Object.keys(labels).length + Object.keys(resources).length === 0) return undefined;
  return { labels: { ...labels }, resources: { ...resources } };
}

/** A shipped function as it is named on the wire. */
export function functionRef({ artifact, exportName, displayName, captured }: ShippedFunction): FunctionRef {
  const isInline = captured instanceof Uint8Array;
  return {
    artifact: artifact.hash,
    exportName,
    displayName,
    closure: captured !== undefined,
    captured: isInline ? captured : new Uint8Array(0),
    capturedArtifact: captured === undefined || isInline ? "" : captured.hash,
  };
}

function openPool(poolId: PoolId, settings: PoolSettings): OpenPool {
  return {
    poolId,
    processes: settings.processes ?? 0,
    name: settings.name ?? "",
    initializer: undefined,
    chunksPerWorker: settings.maxTasksPerChild ?? 0,
    rssBytesPerWorker: settings.maxRssPerChildBytes ?? 0,
    requirements: requirementsOf(settings),
  };
}

/** Functions among them are shipped as they are met; what that takes is added to `artifacts`. */
async function encodeArguments(args: readonly unknown[], shipper: Shipper, artifacts: Artifact[]): Promise<Uint8Array> {
  const functions = new ArgumentFunctions(shipper);
  for (;;) {
    try {
      const bytes = encodeValue(args, "argument", functions.hooks);
      functions.checkAllShipped();
      if (bytes.byteLength > ARTIFACT_BYTES_MAX)
        throw new LimitError("ARTIFACT_BYTES_MAX", ARTIFACT_BYTES_MAX, bytes.byteLength);
      return bytes;
    } catch (error) {
      if (!(error instanceof UnshippedFunctions)) throw error;
      await Promise.all(error.handles.map(made));
      for (const fn of error.fns) artifacts.push(...(await functions.ship(fn)));
    }
  }
}
