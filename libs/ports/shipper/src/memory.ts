import { ProtocolError, StateError } from "@heddle/kernel";
import type { AnyFunction, FunctionLoader, ShippedFunction, Shipper } from "./index.ts";

/**
 * Both halves in one process: functions stay where they are, and the artifact is a line that names one. For simulations and tests.
 * `sha256Hex` names artifacts. `load` takes the locations of memory blobs, "memory:HASH".
 */
export function memoryShipper(sha256Hex: (bytes: Uint8Array) => string): {
  readonly shipper: Shipper;
  readonly loader: FunctionLoader;
} {
  const shipped = new Map<AnyFunction, ShippedFunction>();
  const byHash = new Map<string, AnyFunction>();
  const packed = new Map<string, Uint8Array>();

  function artifactOf(fn: AnyFunction): ShippedFunction {
    const displayName = fn.name || "anonymous";
    const bytes = new TextEncoder().encode(`// function ${shipped.size} of this process: ${displayName}\n`);
    return { artifact: { hash: sha256Hex(bytes), bytes }, exportName: "default", displayName, captured: undefined };
  }

  return {
    shipper: {
      ship: async (fn) => {
        let known = shipped.get(fn);
        if (known === undefined) {
          known = artifactOf(fn);
          shipped.set(fn, known);
          byHash.set(known.artifact.hash, fn);
        }
        return known;
      },
      handle: (module, exportName) => {
        throw new StateError(`functions of this process stay where they are: ${exportName} of ${module.href} is none`);
      },
      pack: (bytes) => {
        const hash = sha256Hex(bytes);
        packed.set(hash, bytes);
        return { hash, bytes };
      },
      sha256Hex,
      codeHash: ({ hash }) => hash,
      localStack: (stack) => stack,
      [Symbol.asyncDispose]: async () => undefined,
    },
    loader: {
      load: async (location, hash, exportName) => {
        const fn = byHash.get(hash);
        if (fn === undefined || location !== `memory:${hash}`)
          throw new ProtocolError(`${location} is not artifact ${hash}`);
        if (exportName !== "default") throw new ProtocolError(`artifact ${hash} has no export ${exportName}`);
        return fn;
      },
      read: async (location, hash) => {
        const bytes = packed.get(hash);
        if (bytes === undefined || location !== `memory:${hash}`)
          throw new ProtocolError(`${location} is not artifact ${hash}: functions of this process capture nothing`);
        return bytes;
      },
    },
  };
}
