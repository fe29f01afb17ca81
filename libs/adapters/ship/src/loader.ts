import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { registerHooks } from "node:module";
import { pathToFileURL } from "node:url";
import { ProtocolError } from "@heddle/kernel";
import type { AnyFunction, FunctionLoader } from "@heddle/port-shipper";

type Namespace = Readonly<Record<string, unknown>>;

/** What a loader gives the code that it loads. */
export interface LoaderOptions {
  /** URLs of modules that are there in every worker, by the name that shipped code imports them by. */
  readonly inside?: Readonly<Record<string, string>>;
}

/** Loads artifacts from files. An artifact is imported once, however many of its functions are asked for. */
export function createFunctionLoader(options: LoaderOptions = {}): FunctionLoader {
  /** By hash. A module that failed is not kept: the import itself remembers its error. */
  const modules = new Map<string, Promise<Namespace>>();

  async function importArtifact(location: string, hash: string): Promise<Namespace> {
    const content = await verified(location, hash);
    if (options.inside !== undefined && /["']heddle["'/]/.test(content.toString("latin1")))
      resolveInside(options.inside);
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
    read: verified,
  };
}

async function verified(location: string, hash: string): Promise<Buffer> {
  const content = await contentOf(location, hash);
  const actual = createHash("sha256").update(content).digest("hex");
  if (actual !== hash) throw new ProtocolError(`the file ${location} is not artifact ${hash}: its hash is ${actual}`);
  return content;
}

let isResolving = false;

/** Lets shipped code import what is there in every worker. Once in a process, and not before code asks for it: it slows imports down. */
function resolveInside(inside: NonNullable<LoaderOptions["inside"]>): void {
  if (isResolving) return;
  isResolving = true;
  registerHooks({
    resolve: (specifier, context, next) => {
      const url = inside[specifier];
      return url === undefined ? next(specifier, context) : { url, shortCircuit: true };
    },
  });
}

async function contentOf(location: string, hash: string): Promise<Buffer> {
  try {
    return await readFile(location);
  } catch (error) {
    throw new ProtocolError(`artifact ${hash} cannot be read at ${location}`, { cause: error });
  }
}
