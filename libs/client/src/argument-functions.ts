import { CaptureError, objectText, SerializationError, withArticle } from "@heddle/kernel";
import type { AnyFunction, Artifact, ShippedFunction, Shipper } from "@heddle/port-shipper";
import type { Shared, SharedDescription, ValueWriterHooks } from "@heddle/wire";

/** What stands for a function among arguments; the worker makes it from this. */
export interface FunctionDescription {
  /** SHA-256 of the code. */
  readonly artifact: string;
  readonly exportName: string;
  /** Captured values of a closure, inline. */
  readonly captured?: Uint8Array;
  /** SHA-256 of captured values that are an artifact of their own. */
  readonly capturedArtifact?: string;
}

/**
 * Thrown for a chunk in which functions were met that are not shipped yet, or handles of shared objects that are not made yet: ship and wait for them, and
 * encode it again.
 */
export class UnshippedFunctions {
  readonly fns: readonly AnyFunction[];
  readonly handles: readonly Shared[];

  constructor(fns: readonly AnyFunction[], handles: readonly Shared[] = []) {
    this.fns = fns;
    this.handles = handles;
  }
}

/** Stands where an unshipped function was met: what is encoded with it is thrown away. */
const PLACEHOLDER: FunctionDescription = { artifact: "", exportName: "" };

/** The functions among the arguments of one call. Each is shipped once, with what it captures at that time. */
export class ArgumentFunctions {
  readonly #shipper: Shipper;
  readonly #isLasting: boolean;
  readonly #descriptions = new Map<AnyFunction, FunctionDescription>();
  /** Why functions cannot be shipped, and objects not made: thrown where they are met. */
  readonly #refusals = new Map<object, unknown>();
  #unshipped = new Set<AnyFunction>();
  /** As often as they were met. */
  #unmade: Shared[] = [];

  /** `isLasting`: what takes them outlives this program, and objects without a name do not. */
  constructor(shipper: Shipper, { isLasting = false }: { readonly isLasting?: boolean } = {}) {
    this.#shipper = shipper;
    this.#isLasting = isLasting;
  }

  /** For the encoder of the inputs; after each chunk ask `checkAllShipped`. */
  readonly hooks: ValueWriterHooks = {
    reduceFunction: (fn) => {
      if (this.#refusals.has(fn as AnyFunction)) throw this.#refusals.get(fn as AnyFunction);
      const known = this.#descriptions.get(fn as AnyFunction);
      if (known !== undefined) return known;
      this.#unshipped.add(fn as AnyFunction);
      return PLACEHOLDER;
    },
    metShared: (handle, description) => {
      if (this.#isLasting) checkNamed(description);
      if (this.#refusals.has(handle)) throw this.#refusals.get(handle);
      if (handle.pending !== undefined) this.#unmade.push(handle);
    },
  };

  /** Throws UnshippedFunctions when some were met since it was asked last: all at once, so that no chunk is encoded once for each. */
  checkAllShipped(): void {
    if (this.#unshipped.size + this.#unmade.length === 0) return;
    const fns = [...this.#unshipped];
    const handles = this.#unmade;
    this.#unshipped = new Set();
    this.#unmade = [];
    throw new UnshippedFunctions(fns, handles);
  }

  /** A function cannot be shipped, or an object not made: encoding it throws `reason`, where the index of the input is known. */
  refuse(met: AnyFunction | Shared, reason: unknown): void {
    this.#refusals.set(met, reason);
  }

  /** Makes a function ready to be met; resolves to the artifacts that have to be offered. Rejects as Shipper.ship. */
  async ship(fn: AnyFunction): Promise<readonly Artifact[]> {
    const shipped = await this.#shipper.ship(fn);
    if (this.#isLasting) checkLasting(shipped);
    const { artifact, exportName, captured } = shipped;
    const description = { artifact: artifact.hash, exportName };
    const more = captured instanceof Uint8Array ? { captured } : captured && { capturedArtifact: captured.hash };
    this.#descriptions.set(fn, { ...description, ...more });
    return artifactsOf(shipped);
  }
}

/** Throws SerializationError for an object that ends with the program that has made it. */
function checkNamed({ kind, object }: SharedDescription): void {
  if (object.startsWith("@")) return;
  const words = `${withArticle(kind)} without a name (${objectText(object)}) ends with this program, and a detached job goes on: make it with { name }`;
  throw new SerializationError(words, { path: "$", side: "argument" });
}

/** Throws CaptureError for a function that captures an object which ends with the program that has made it. */
export function checkLasting({ unnamed, displayName }: ShippedFunction): void {
  if (unnamed === undefined) return;
  const words = `the function ${displayName} captures ${unnamed}, which ends with this program, and a detached job goes on: make it with { name }`;
  throw new CaptureError(words, { variable: displayName, path: "$", file: "", line: 0 });
}

/** All artifacts of a shipped function. */
export function artifactsOf({ artifact, captured }: ShippedFunction): readonly Artifact[] {
  return captured === undefined || captured instanceof Uint8Array ? [artifact] : [artifact, captured];
}

/**
 * Resolves when the object of a handle that was met is there, and the handle is to be encoded again: to the artifacts that takes, which are none. Rejects when it cannot be
 * made.
 */
export async function made(handle: Shared): Promise<readonly Artifact[]> {
  await handle.pending;
  handle.askedAgain?.();
  return [];
}
