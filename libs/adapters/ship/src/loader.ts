import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import { ProtocolError } from "@heddle/kernel";
import type { AnyFunction, FunctionLoader } from "@heddle/port-shipper";

type Namespace = Readonly<Record<string, unknown>>;

/** Loads artifacts from files. An artifact is imported once, however many of its functions are asked for. */
export function createFunctionLoader(): FunctionLoader {
  /** By hash. A module that failed is not kept: the import itself remembers its error. */
  const modules = new Map<string, Promise<Namespace>>();

  async function importArtifact(location: string, hash: string): Promise<Namespace> {
    const actual = createHash("sha256")
      .update(await contentOf(location, hash))
      .digest("hex");
    if (actual !== hash) throw new ProtocolError(`the file ${location} is not artifact ${hash}: its hash is ${actual}`);
    return (await import(pathToFileURL(location).href)) as Namespace;
  }

  return {
    async load(location, hash, exportName) {
      let module = modules.get(hash);
      if (module === undefined) {
        module = importArtifact(location, hash);
        modules.set(hash, module);
        module.catch(() => modules.delete(hash));
      }
      const namespace = await module;
      const exported = Object.hasOwn(namespace, exportName) ? namespace[exportName] : undefined;
      if (typeof exported === "function") return exported as AnyFunction;
      const what = Object.hasOwn(namespace, exportName) ? "is no function" : "does not exist";
      throw new ProtocolError(`export ${exportName} of artifact ${hash} ${what}`);
    },
  };
}

async function contentOf(location: string, hash: string): Promise<Uint8Array> {
  try {
    return await readFile(location);
  } catch (error) {
    throw new ProtocolError(`artifact ${hash} cannot be read at ${location}`, { cause: error });
  }
}
