import type { AnyFunction, ShippedFunction, Shipper } from "@heddle/port-shipper";
import { sameFile } from "./entry-files.ts";
import type { FunctionShipper } from "./function-shipper.ts";
import { Handles } from "./handles.ts";
import { moduleAt } from "./module-file.ts";
import { localStack } from "./sources.ts";

/** What a shipper must know of the program that it works in. */
export interface ShipperOptions {
  /** Files whose top level is the program itself and must not run in a worker. Default: the script that Node was started with. */
  readonly entryFiles?: readonly string[];
}

/** Ships functions: those that a module exports with their module, all others with what they close over. */
export function createShipper(options: ShipperOptions = {}): Shipper {
  const [, script] = process.argv;
  return new LazyShipper(options.entryFiles ?? (script === undefined ? [] : [script]));
}

/** Who imports the package and ships nothing pays for no parser and no bundler. */
class LazyShipper implements Shipper {
  readonly #isEntry: (file: string) => boolean;
  readonly #handles = new Handles();
  #shipper: FunctionShipper | undefined;
  #loading: Promise<FunctionShipper> | undefined;

  constructor(entryFiles: readonly string[]) {
    this.#isEntry = (file) => entryFiles.some((entry) => sameFile(entry, file));
  }

  async ship(fn: AnyFunction): Promise<ShippedFunction> {
    if (this.#shipper !== undefined) return this.#shipper.ship(fn);
    this.#loading ??= this.#load();
    return (await this.#loading).ship(fn);
  }

  handle(module: URL, exportName: string): AnyFunction {
    return this.#handles.make({ file: moduleAt(module, exportName, this.#isEntry), exportName });
  }

  localStack(stack: string): string {
    return localStack(stack);
  }

  async #load(): Promise<FunctionShipper> {
    const { FunctionShipper } = await import("./function-shipper.ts");
    this.#shipper = new FunctionShipper(this.#isEntry, this.#handles);
    return this.#shipper;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const shipper = await this.#loading;
    await shipper?.[Symbol.asyncDispose]();
  }
}
