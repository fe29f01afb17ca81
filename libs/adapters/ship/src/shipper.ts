import type { AnyFunction, ShippedFunction, Shipper } from "@heddle/port-shipper";
import { entryTest } from "./entry-files.ts";
import { checkPackageNames } from "./externals.ts";
import type { FunctionShipper } from "./function-shipper.ts";
import { HandleRegistry } from "./handles.ts";
import { moduleAt } from "./module-file.ts";
import { Sources } from "./sources.ts";

/** What a shipper must know of the program that it works in. */
export interface ShipperOptions {
  /** Files whose top level is the program itself and must not run in a worker. Default: the script that Node was started with. */
  readonly entryFiles?: readonly string[];
  /** Packages that are not sent but found on the worker's machine, from the worker's current directory: those with native code. */
  readonly external?: readonly string[];
  /** Stand-ins that are known besides those of `handle`. */
  readonly handles?: HandleRegistry;
}

/** Ships functions: those that a module exports with their module, all others with what they close over. Throws TypeError. */
export function createShipper(options: ShipperOptions = {}): Shipper {
  checkPackageNames(options.external ?? []);
  return new LazyShipper(options);
}

/** Who imports the package and ships nothing pays for no parser and no bundler. */
class LazyShipper implements Shipper {
  readonly #isEntry: (file: string) => boolean;
  readonly #external: readonly string[];
  readonly #handles: HandleRegistry;
  readonly #sources = new Sources();
  #shipper: FunctionShipper | undefined;
  #loading: Promise<FunctionShipper> | undefined;

  constructor({ entryFiles, external = [], handles = new HandleRegistry() }: ShipperOptions) {
    const [, script] = process.argv;
    this.#isEntry = entryTest(entryFiles ?? (script === undefined ? [] : [script]));
    this.#external = external;
    this.#handles = handles;
  }

  async ship(fn: AnyFunction): Promise<ShippedFunction> {
    if (this.#shipper !== undefined) return this.#shipper.ship(fn);
    this.#loading ??= this.#load();
    return (await this.#loading).ship(fn);
  }

  handle(module: URL, exportName: string): AnyFunction {
    const file = moduleAt(module, exportName, this.#isEntry);
    return exportName === "*" ? this.#handles.makeNamespace(file) : this.#handles.make({ file, exportName });
  }

  localStack(stack: string): string {
    return this.#sources.localStack(stack);
  }

  async #load(): Promise<FunctionShipper> {
    const { FunctionShipper } = await import("./function-shipper.ts");
    this.#shipper = new FunctionShipper({
      isEntry: this.#isEntry,
      external: this.#external,
      handles: this.#handles,
      sources: this.#sources,
    });
    return this.#shipper;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const shipper = await this.#loading;
    await shipper?.[Symbol.asyncDispose]();
  }
}
