import { createHash } from "node:crypto";
import { ARTIFACT_BYTES_MAX, CAPTURED_INLINE_BYTES_MAX, HeddleError, LimitError } from "@heddle/kernel";
import type { AnyFunction, Artifact, ShippedFunction, Shipper } from "@heddle/port-shipper";
import { Bundles } from "./bundles.ts";
import { type Captured, Capturer } from "./capture/capturer.ts";
import { checkBundle, type Shipping, shipError } from "./checks.ts";
import { emit } from "./emit.ts";
import { ExportFinder, type FoundExport } from "./find-export.ts";
import type { Handles } from "./handles.ts";
import { FunctionInspector } from "./inspect.ts";

/** A closure as it was last shipped. */
interface ShippedClosure {
  readonly captured: Captured;
  readonly shipped: ShippedFunction;
}

/** Does the work of a shipper. Loaded when something is shipped for the first time: it brings a parser and a bundler. */
export class FunctionShipper implements Pick<Shipper, "ship">, AsyncDisposable {
  readonly #isEntry: (file: string) => boolean;
  readonly #handles: Handles;
  readonly #finder: ExportFinder;
  readonly #capturer: Capturer;
  readonly #bundles = new Bundles();
  /** Exports of modules stay what they are: the function object in this process does not change either. */
  readonly #modules = new WeakMap<AnyFunction, Promise<ShippedFunction>>();
  readonly #closures = new WeakMap<AnyFunction, ShippedClosure>();

  constructor(isEntry: (file: string) => boolean, handles: Handles) {
    this.#isEntry = isEntry;
    this.#handles = handles;
    const inspector = new FunctionInspector();
    this.#finder = new ExportFinder(inspector);
    this.#capturer = new Capturer({ inspector, isEntry, memberOf: (value) => handles.memberOf(value) });
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
    const member = this.#handles.memberOf(fn);
    if (member === undefined) return this.#finder.find(fn, this.#isEntry);
    return { ...member, hasDefault: member.exportName === "default", commonJsNames: undefined };
  }

  async #shipModule(fn: AnyFunction, found: FoundExport): Promise<ShippedFunction> {
    const { file, exportName } = found;
    const shipping = { name: fn.name, file };
    const bundle = await bundling(shipping, this.#bundles.ofModule(found));
    if (!bundle.exportNames.has(exportName))
      throw shipError(shipping, `is not an export of ${file} as it is on disk now`);
    checkBundle(shipping, bundle, this.#isEntry);
    return { artifact: bundle.artifact, exportName, displayName: displayName(fn), captured: undefined };
  }

  async #shipClosure(fn: AnyFunction): Promise<ShippedFunction> {
    const captured = this.#capturer.capture(fn);
    const { graph } = captured;
    const root = graph.cells[graph.root];
    const file = root?.kind === "code" ? (root.source.file ?? "") : "";
    const shipping = { name: fn.name, file };
    const bundle = await bundling(shipping, this.#bundles.ofClosure(emit(graph)));
    checkBundle(shipping, bundle, this.#isEntry);
    const shipped = {
      artifact: bundle.artifact,
      exportName: "default",
      displayName: displayName(fn),
      captured: packed(graph.values),
    };
    this.#closures.set(fn, { captured, shipped });
    return shipped;
  }

  async #again(fn: AnyFunction, { captured, shipped }: ShippedClosure): Promise<ShippedFunction> {
    const fresh = captured.refresh();
    if (fresh === undefined) return this.#shipClosure(fn);
    return fresh === "same" ? shipped : { ...shipped, captured: packed(fresh) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#bundles[Symbol.asyncDispose]();
  }
}

/** A function without a name is called so. */
function displayName(fn: AnyFunction): string {
  return fn.name || "anonymous";
}

async function bundling<T>(shipping: Shipping, bundle: Promise<T>): Promise<T> {
  try {
    return await bundle;
  } catch (error) {
    if (error instanceof HeddleError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw shipError(shipping, `cannot be bundled: ${reason}`, { cause: error });
  }
}

/** Large captured values are an artifact of their own, which is sent once. */
function packed(bytes: Uint8Array): Uint8Array | Artifact {
  if (bytes.length <= CAPTURED_INLINE_BYTES_MAX) return bytes;
  if (bytes.length > ARTIFACT_BYTES_MAX)
    throw new LimitError("ARTIFACT_BYTES_MAX", ARTIFACT_BYTES_MAX, bytes.length, tooLarge(bytes.length));
  return { hash: createHash("sha256").update(bytes).digest("hex"), bytes };
}

function tooLarge(size: number): string {
  return `the values that the function captures have ${size} bytes, ARTIFACT_BYTES_MAX is ${ARTIFACT_BYTES_MAX}: pass them as arguments, or make them inside`;
}
