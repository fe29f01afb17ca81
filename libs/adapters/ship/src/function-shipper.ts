import { HeddleError, LimitError } from "@heddle/kernel";
import type { AnyFunction, ShippedFunction, Shipper } from "@heddle/port-shipper";
import { Bundles } from "./bundles.ts";
import { type Captured, Capturer } from "./capture/capturer.ts";
import { type BundleRules, checkBundle, type Shipping, shipError } from "./checks.ts";
import { emit } from "./emit.ts";
import { ExportFinder, type FoundExport } from "./find-export.ts";
import type { HandleRegistry } from "./handles.ts";
import { FunctionInspector } from "./inspect.ts";
import type { Sources } from "./sources.ts";
import { packValues } from "./values-pack.ts";

/** A closure as it was last shipped. */
interface ShippedClosure {
  readonly captured: Captured;
  readonly shipped: ShippedFunction;
}

/** What a shipper shares with the one that works for it. */
export interface FunctionShipperOptions extends BundleRules {
  readonly handles: HandleRegistry;
  readonly sources: Sources;
}

/** Does the work of a shipper. Loaded when something is shipped for the first time: it brings a parser and a bundler. */
export class FunctionShipper implements Pick<Shipper, "ship">, AsyncDisposable {
  readonly #options: FunctionShipperOptions;
  readonly #finder: ExportFinder;
  readonly #capturer: Capturer;
  readonly #bundles: Bundles;
  /** Exports of modules stay what they are: the function object in this process does not change either. */
  readonly #modules = new WeakMap<AnyFunction, Promise<ShippedFunction>>();
  readonly #closures = new WeakMap<AnyFunction, ShippedClosure>();

  constructor(options: FunctionShipperOptions) {
    this.#options = options;
    const { isEntry, handles, sources, external } = options;
    const inspector = new FunctionInspector();
    this.#finder = new ExportFinder(inspector);
    this.#capturer = new Capturer({ inspector, isEntry, memberOf: (value) => handles.memberOf(value) });
    this.#bundles = new Bundles({ sources, external });
  }

  /** As Shipper.ship. */
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

  #moduleOf(fn: AnyFunction): FoundExport | undefined {
    const { handles, isEntry } = this.#options;
    const member = handles.memberOf(fn);
    if (member === undefined) return this.#finder.find(fn, isEntry);
    return { ...member, hasDefault: member.exportName === "default", commonJsNames: undefined };
  }

  async #shipModule(fn: AnyFunction, found: FoundExport): Promise<ShippedFunction> {
    const { file, exportName } = found;
    const shipping = { name: fn.name, file };
    if (exportName === "*") throw shipError(shipping, "is a module, which cannot be called: pass one of its exports");
    const bundle = await bundling(shipping, this.#bundles.ofModule(found));
    if (!bundle.exportNames.has(exportName))
      throw shipError(shipping, `is not an export of ${file} as it is on disk now`);
    checkBundle(shipping, bundle.inputs, this.#options);
    return { artifact: bundle.artifact, exportName, displayName: displayName(fn), captured: undefined };
  }

  async #shipClosure(fn: AnyFunction): Promise<ShippedFunction> {
    const captured = this.#capturer.capture(fn);
    const { graph } = captured;
    const root = graph.cells[graph.root];
    const file = root?.kind === "code" ? (root.source.file ?? "") : "";
    const shipping = { name: fn.name, file };
    const bundle = await bundling(shipping, this.#bundles.ofClosure(emit(graph, this.#options.sources)));
    checkBundle(shipping, bundle.inputs, this.#options);
    const shipped = {
      artifact: bundle.artifact,
      exportName: "default",
      displayName: displayName(fn),
      captured: packValues(graph.values, graph),
    };
    this.#closures.set(fn, { captured, shipped });
    return shipped;
  }

  async #again(fn: AnyFunction, { captured, shipped }: ShippedClosure): Promise<ShippedFunction> {
    const fresh = captured.refresh();
    if (fresh === undefined) return this.#shipClosure(fn);
    return fresh === "same" ? shipped : { ...shipped, captured: packValues(fresh, captured.graph) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bundles[Symbol.asyncDispose]();
  }
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
