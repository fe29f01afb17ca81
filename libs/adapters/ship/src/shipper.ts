import { readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { CaptureError, HeddleError } from "@heddle/kernel";
import type { AnyFunction, ShippedFunction, Shipper } from "@heddle/port-shipper";
import { type Bundle, bundleModule, isFresh, stopBundler } from "./bundle.ts";
import { captureError, ExportFinder, type FoundExport } from "./find-export.ts";
import { FunctionInspector } from "./inspect.ts";

/** Packages that load native code by a path they make up at run time. */
const NATIVE_LOADERS = /[\\/]node_modules[\\/](bindings|node-gyp-build|@mapbox[\\/]node-pre-gyp|node-pre-gyp)[\\/]/;

/** What a shipper must know of the program that it works in. */
export interface ShipperOptions {
  /** Files whose top level is the program itself and must not run in a worker. Default: the script that Node was started with. */
  readonly entryFiles?: readonly string[];
}

/** Ships functions that are exported from a module: the module, bundled with all that it imports. */
export function createShipper(options: ShipperOptions = {}): Shipper {
  const [, script] = process.argv;
  return new ModuleShipper(options.entryFiles ?? (script === undefined ? [] : [script]));
}

class ModuleShipper implements Shipper {
  readonly #entryFiles: readonly string[];
  readonly #finder = new ExportFinder(new FunctionInspector());
  /** What was shipped stays as it was: the function object in this process does not change either. */
  readonly #shipped = new WeakMap<AnyFunction, Promise<ShippedFunction>>();
  /** Bundles by file of the module; rebuilt when a file in it changed. */
  readonly #bundles = new Map<string, Promise<Bundle>>();

  constructor(entryFiles: readonly string[]) {
    this.#entryFiles = entryFiles;
  }

  ship(fn: AnyFunction): Promise<ShippedFunction> {
    let shipped = this.#shipped.get(fn);
    if (shipped === undefined) {
      shipped = this.#shipAnew(fn);
      this.#shipped.set(fn, shipped);
      shipped.catch(() => this.#shipped.delete(fn)); // what was wrong may be mended before the next try
    }
    return shipped;
  }

  async #shipAnew(fn: AnyFunction): Promise<ShippedFunction> {
    const found = this.#finder.find(fn, this.#entryFiles);
    const bundle = await this.#bundle(fn, found);
    this.#check(fn, found, bundle);
    return { artifact: bundle.artifact, exportName: found.exportName, displayName: fn.name || "anonymous" };
  }

  async #bundle(fn: AnyFunction, found: FoundExport): Promise<Bundle> {
    const known = await this.#bundles.get(found.file)?.catch(() => undefined);
    if (known !== undefined && isFresh(known)) return known;
    const bundle = bundleModule(found);
    this.#bundles.set(found.file, bundle);
    try {
      return await bundle;
    } catch (error) {
      if (error instanceof HeddleError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw captureError(fn, { file: found.file, line: 0 }, `cannot be bundled: ${reason}`, { cause: error });
    }
  }

  /** What bundled well and would still not run as it does here. */
  #check(fn: AnyFunction, { file, exportName }: FoundExport, bundle: Bundle): void {
    if (!bundle.exportNames.has(exportName)) {
      throw captureError(fn, { file, line: 0 }, `is not an export of ${file} as it is on disk now`);
    }
    const entry = bundle.inputs.find(({ path }) => this.#entryFiles.includes(path));
    if (entry !== undefined) {
      const reason = `imports the entry script ${entry.path}, which would run again in each worker: move what it needs to a module`;
      throw captureError(fn, { file, line: 0 }, reason);
    }
    const loader = bundle.inputs.find(({ path }) => NATIVE_LOADERS.test(path));
    if (loader !== undefined)
      throw captureError(fn, { file, line: 0 }, `needs a native addon, loaded by ${loader.path}`);
    for (const { specifier, importer } of bundle.outside) {
      if (!isBuiltin(specifier)) throw outsideError(fn, specifier, importer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const pending = [...this.#bundles.values()];
    this.#bundles.clear();
    await Promise.allSettled(pending);
    if (pending.length > 0) await stopBundler();
  }
}

function outsideError(fn: AnyFunction, specifier: string, importer: string): CaptureError {
  const name = fn.name || "(anonymous)";
  const line = lineOf(specifier, importer);
  const where = line > 0 ? `${importer}:${line}` : importer;
  const reason = specifier.endsWith(".node")
    ? `needs the native addon ${specifier}, which cannot be sent`
    : `needs "${specifier}" at run time, which is not supported inside workers yet; type-only imports are fine`;
  return new CaptureError(`the function ${name} ${reason} (imported at ${where})`, {
    variable: name,
    path: specifier,
    file: importer,
    line,
  });
}

/** The first line that names the module, from 1; 0 when it cannot be told. */
function lineOf(specifier: string, importer: string): number {
  const lines = readFileSync(importer, "utf8").split("\n");
  return lines.findIndex((line) => line.includes(`"${specifier}"`) || line.includes(`'${specifier}'`)) + 1;
}
