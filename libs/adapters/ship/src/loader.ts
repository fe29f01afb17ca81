import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire, type RegisterHooksOptions, registerHooks } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { NotFoundError, ProtocolError } from "@heddle/kernel";
import type { AnyFunction, FunctionLoader } from "@heddle/port-shipper";
import { externalsIn, packageOf } from "./externals.ts";

type Namespace = Readonly<Record<string, unknown>>;
type Resolve = NonNullable<RegisterHooksOptions["resolve"]>;

/** What a loader gives the code that it loads. */
export interface LoaderOptions {
  /** URLs of modules that are there in every worker, by the name that shipped code imports them by. */
  readonly inside?: Readonly<Record<string, string>>;
}

/** Loads artifacts from files. An artifact is imported once, however many of its functions are asked for. */
export function createFunctionLoader(options: LoaderOptions = {}): FunctionLoader {
  /** By hash. A module that failed is not kept: the import itself remembers its error. */
  const modules = new Map<string, Promise<Namespace>>();
  const outside = new OutsideModules(options.inside);

  async function importArtifact(location: string, hash: string): Promise<Namespace> {
    const content = await verified(location, hash);
    const { href } = pathToFileURL(location);
    outside.prepare(href, content);
    return (await import(href)) as Namespace;
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

async function contentOf(location: string, hash: string): Promise<Buffer> {
  try {
    return await readFile(location);
  } catch (error) {
    throw new ProtocolError(`artifact ${hash} cannot be read at ${location}`, { cause: error });
  }
}

/** Finds what artifacts leave outside: `heddle`, and packages of this machine. Slows no import down before one needs it. */
class OutsideModules {
  readonly #inside: ReadonlyMap<string, string> | undefined;
  /** Packages of this machine by the URL of the artifact that needs them. */
  readonly #packages = new Map<string, readonly string[]>();
  /** Packages are looked for from here, as a script in the worker's first directory would. */
  readonly #base = pathToFileURL(join(process.cwd(), "worker.mjs")).href;
  #isResolving = false;

  constructor(inside: LoaderOptions["inside"]) {
    this.#inside = inside === undefined ? undefined : new Map(Object.entries(inside));
  }

  /** To be called before an artifact is imported. */
  prepare(artifact: string, content: Buffer): void {
    const packages = externalsIn(content);
    if (packages.length > 0) this.#packages.set(artifact, packages);
    const namesHeddle = ['"heddle', "'heddle"].some((name) => content.includes(name));
    const isNeeded = packages.length > 0 || (this.#inside !== undefined && namesHeddle);
    if (!isNeeded || this.#isResolving) return;
    this.#isResolving = true;
    registerHooks({ resolve: this.#resolve });
  }

  readonly #resolve: Resolve = (specifier, context, next) => {
    const url = this.#inside?.get(specifier);
    if (url !== undefined) return { url, shortCircuit: true };
    const packages = context.parentURL === undefined ? undefined : this.#packages.get(context.parentURL);
    if (packages?.includes(packageOf(specifier)) !== true) return next(specifier, context);
    try {
      return context.conditions.includes("require")
        ? { url: pathToFileURL(createRequire(this.#base).resolve(specifier)).href, shortCircuit: true }
        : next(specifier, { ...context, parentURL: this.#base });
    } catch (cause) {
      throw missingError(specifier, cause);
    }
  };
}

function missingError(specifier: string, cause: unknown): NotFoundError {
  const words = `the package ${packageOf(specifier)} is not installed where this worker runs: it was not sent, since it is declared external`;
  return new NotFoundError(`${words} (looked for from ${process.cwd()})`, { cause });
}
