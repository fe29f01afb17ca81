import { HeddleError, LimitError } from "@heddle/kernel";
import type { AnyFunction, Artifact, ShippedFunction, Shipper } from "@heddle/port-shipper";
import { withoutMap } from "./bundle.ts";
import { Bundles } from "./bundles.ts";
import { type Captured, Capturer } from "./capture/capturer.ts";
import { type BundleRules, checkBundle, type Shipping, shipError } from "./checks.ts";
import { emit } from "./emit.ts";
import { entryTest } from "./entry-files.ts";
import { checkPackageNames } from "./externals.ts";
import { ExportFinder, type FoundExport } from "./find-export.ts";
import { HandleRegistry } from "./handles.ts";
import { FunctionInspector } from "./inspect.ts";
import { moduleAt } from "./module-file.ts";
import { Sources } from "./sources.ts";
import { packBytes, packValues } from "./values-pack.ts";

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
  return new FunctionShipper(options);
}

/** A closure as it was last shipped. */
interface ShippedClosure {
  readonly captured: Captured;
  readonly shipped: ShippedFunction;
}

class FunctionShipper implements Shipper {
  readonly #rules: BundleRules;
  readonly #handles: HandleRegistry;
  readonly #sources = new Sources();
  readonly #finder: ExportFinder;
  readonly #capturer: Capturer;
  readonly #bundles: Bundles;
  /** Exports of modules stay what they are: the function object in this process does not change either. */
  readonly #modules = new WeakMap<AnyFunction, Promise<ShippedFunction>>();
  readonly #closures = new WeakMap<AnyFunction, ShippedClosure>();

  constructor({ entryFiles, external = [], handles = new HandleRegistry() }: ShipperOptions) {
    const [, script] = process.argv;
    const isEntry = entryTest(entryFiles ?? (script === undefined ? [] : [script]));
    this.#rules = { isEntry, external };
    this.#handles = handles;
    const inspector = new FunctionInspector();
    this.#finder = new ExportFinder(inspector);
    this.#capturer = new Capturer({ inspector, isEntry, memberOf: (value) => handles.memberOf(value) });
    this.#bundles = new Bundles({ sources: this.#sources, external });
  }

  /** What is captured is read before the first wait: whatever the caller changes next is of the next call. */
  async ship(fn: AnyFunction): Promise<ShippedFunction> {
    const closure = this.#closures.get(fn);
    if (closure !== undefined) return this.#again(fn, closure);
    const known = this.#modules.get(fn);
    if (known !== undefined) return known;
    const found = this.#moduleOf(fn);
    if (found === undefined) return this.#shipClosure(fn);
    const shipped = this.#shipModule(fn, found);
    this.#modules.set(fn, shipped);
    shipped.catch(() => this.#modules.delete(fn)); // what was wrong may be mended before the next try
    return shipped;
  }

  handle(module: URL, exportName: string): AnyFunction {
    const file = moduleAt(module, exportName, this.#rules.isEntry);
    return exportName === "*" ? this.#handles.makeNamespace(file) : this.#handles.make({ file, exportName });
  }

  pack(bytes: Uint8Array): Artifact {
    return packBytes(bytes);
  }

  sha256Hex(bytes: Uint8Array): string {
    return packBytes(bytes).hash;
  }

  codeHash({ bytes }: Artifact): string {
    return packBytes(withoutMap(bytes)).hash;
  }

  localStack(stack: string): string {
    return this.#sources.localStack(stack);
  }

  #moduleOf(fn: AnyFunction): FoundExport | undefined {
    const member = this.#handles.memberOf(fn);
    if (member === undefined) return this.#finder.find(fn, this.#rules.isEntry);
    return { ...member, hasDefault: member.exportName === "default", commonJsNames: undefined };
  }

  async #shipModule(fn: AnyFunction, found: FoundExport): Promise<ShippedFunction> {
    const { file, exportName } = found;
    const shipping = { name: fn.name, file };
    if (exportName === "*") throw shipError(shipping, "is a module, which cannot be called: pass one of its exports");
    const bundle = await bundling(shipping, this.#bundles.ofModule(found));
    if (bundle.exportNames?.has(exportName) === false)
      throw shipError(shipping, `is not an export of ${file} as it is on disk now`);
    checkBundle(shipping, bundle.inputs, this.#rules);
    return { artifact: bundle.artifact, exportName, displayName: displayName(fn), captured: undefined };
  }

  async #shipClosure(fn: AnyFunction): Promise<ShippedFunction> {
    const captured = this.#capturer.capture(fn);
    const { graph } = captured;
    const root = graph.cells[graph.root];
    const file = root?.kind === "code" ? (root.source.file ?? "") : "";
    const shipping = { name: fn.name, file };
    const handles = made(captured);
    const bundle = await bundling(shipping, this.#bundles.ofClosure(emit(graph, this.#sources)));
    checkBundle(shipping, bundle.inputs, this.#rules);
    await handles;
    const shipped = {
      artifact: bundle.artifact,
      exportName: "default",
      displayName: displayName(fn),
      captured: packValues(graph.values, graph),
      unnamed: captured.unnamed(),
    };
    this.#closures.set(fn, { captured, shipped });
    return shipped;
  }

  async #again(fn: AnyFunction, { captured, shipped }: ShippedClosure): Promise<ShippedFunction> {
    const fresh = captured.refresh();
    if (fresh === undefined) return this.#shipClosure(fn);
    const unnamed = captured.unnamed();
    await made(captured);
    return fresh === "same" ? shipped : { ...shipped, captured: packValues(fresh, captured.graph), unnamed };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bundles[Symbol.asyncDispose]();
  }
}

/** Resolves when the shared objects whose handles are captured are there; rejects when one cannot be made. */
function made(captured: Captured): Promise<unknown> {
  const all = Promise.all(captured.unmade().map(({ pending }) => pending));
  all.catch(() => undefined); // whoever waits for it is told, later
  return all;
}

/** A function without a name is called so. */
function displayName(fn: AnyFunction): string {
  return String(fn.name) || "anonymous";
}

async function bundling<T>(shipping: Shipping, bundle: Promise<T>): Promise<T> {
  try {
    return await bundle;
  } catch (error) {
    if (error instanceof LimitError) throw tooLarge(shipping, error);
    if (error instanceof HeddleError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw shipError(shipping, `cannot be bundled: ${reason}`, { cause: error });
  }
}

function tooLarge({ name }: Shipping, { limitName, limit, actual, message }: LimitError): LimitError {
  return new LimitError(limitName, limit, actual, `the function ${name || "(anonymous)"} is too large: ${message}`);
}
