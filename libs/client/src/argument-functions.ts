import type { AnyFunction, Artifact, ShippedFunction, Shipper } from "@heddle/port-shipper";
import type { ValueWriterHooks } from "@heddle/wire";

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

/** Thrown where a function was met among inputs that was not shipped yet: ship it and encode again. */
export class UnshippedFunction {
  readonly fn: AnyFunction;

  constructor(fn: AnyFunction) {
    this.fn = fn;
  }
}

/** The functions among the arguments of one call. Each is shipped once, with what it captures at that time. */
export class ArgumentFunctions {
  readonly #shipper: Shipper;
  readonly #descriptions = new Map<AnyFunction, FunctionDescription>();

  constructor(shipper: Shipper) {
    this.#shipper = shipper;
  }

  /** For the encoder of the inputs. Throws UnshippedFunction. */
  readonly hooks: ValueWriterHooks = {
    reduceFunction: (fn) => {
      const description = this.#descriptions.get(fn as AnyFunction);
      if (description === undefined) throw new UnshippedFunction(fn as AnyFunction);
      return description;
    },
  };

  /** Makes a function ready to be met; resolves to the artifacts that have to be offered. Rejects as Shipper.ship. */
  async ship(fn: AnyFunction): Promise<readonly Artifact[]> {
    const shipped = await this.#shipper.ship(fn);
    const { artifact, exportName, captured } = shipped;
    const description = { artifact: artifact.hash, exportName };
    const more = captured instanceof Uint8Array ? { captured } : captured && { capturedArtifact: captured.hash };
    this.#descriptions.set(fn, { ...description, ...more });
    return artifactsOf(shipped);
  }
}

/** All artifacts of a shipped function. */
export function artifactsOf({ artifact, captured }: ShippedFunction): readonly Artifact[] {
  return captured === undefined || captured instanceof Uint8Array ? [artifact] : [artifact, captured];
}
