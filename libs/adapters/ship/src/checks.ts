import { existsSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { CaptureError } from "@heddle/kernel";
import type { BundleInputs, OutsideModule } from "./bundle-inputs.ts";
import { isHeddle } from "./emit.ts";
import { packageOf } from "./externals.ts";

/** Packages that load native code by a path they make up at run time. */
const NATIVE_LOADERS = /[\\/]node_modules[\\/](bindings|node-gyp-build|@mapbox[\\/]node-pre-gyp|node-pre-gyp)[\\/]/;

/** The function that is being shipped, for the words of a refusal. */
export interface Shipping {
  readonly name: string;
  /** The file it is of, as far as that is known. */
  readonly file: string;
}

/** What decides whether a bundle would run elsewhere as it does here. */
export interface BundleRules {
  readonly isEntry: (file: string) => boolean;
  /** Packages that are promised to be there. */
  readonly external: readonly string[];
}

/** A CaptureError about the function itself. */
export function shipError({ name, file }: Shipping, reason: string, options?: ErrorOptions): CaptureError {
  const where = file === "" ? "" : ` (${file})`;
  const words = `the function ${name || "(anonymous)"}${where} ${reason}`;
  return new CaptureError(words, { variable: name || "(anonymous)", path: "$", file, line: 0 }, options);
}

/**
 * Throws CaptureError for what bundled well and would still not run as it does here. Modules that were not found are none of that: esbuild
 * leaves only those outside whose absence the code itself catches, as it does here.
 */
export function checkBundle(shipping: Shipping, inputs: BundleInputs, { isEntry, external }: BundleRules): void {
  const entry = inputs.files.find(({ path }) => isEntry(path));
  if (entry !== undefined) {
    const reason = `imports the entry script ${entry.path}, which would run again in each worker: move what it needs to a module`;
    throw shipError(shipping, reason);
  }
  const loader = inputs.files.find(({ path }) => NATIVE_LOADERS.test(path));
  if (loader !== undefined) throw nativeLoaderError(shipping, inputs, loader.path);
  for (const outside of inputs.outside) {
    const { specifier } = outside;
    if (isBuiltin(specifier) || isHeddle(specifier) || external.includes(packageOf(specifier))) continue;
    if (specifier.endsWith(".node")) throw addonError(shipping, inputs, outside);
    if (/^(https?|file):/.test(specifier)) throw urlError(shipping, outside);
  }
}

const NATIVE_ADVICE =
  "native code is of one machine and cannot be sent; use a package of plain JavaScript or WebAssembly";

function nativeLoaderError(shipping: Shipping, inputs: BundleInputs, loader: string): CaptureError {
  const user = inputs.importers.get(loader) ?? loader;
  const [, by = ""] = NATIVE_LOADERS.exec(loader) ?? [];
  const site = broughtBy(inputs, user, by);
  const whose = site.package === undefined ? "" : ` of the package ${site.package}`;
  return placedError(shipping, `needs the native addon${whose}, loaded by ${by}: ${NATIVE_ADVICE}`, site);
}

function addonError(shipping: Shipping, inputs: BundleInputs, { specifier, importer }: OutsideModule): CaptureError {
  const site = broughtBy(inputs, importer, specifier);
  const whose = site.package === undefined ? "" : ` of the package ${site.package}`;
  return placedError(shipping, `needs the native addon ${specifier}${whose}: ${NATIVE_ADVICE}`, site);
}

function urlError(shipping: Shipping, { specifier, importer }: OutsideModule): CaptureError {
  const reason = `imports ${specifier}, and modules are not fetched by URL: import it by its path or its package`;
  return placedError(shipping, reason, { importer, specifier, package: undefined });
}

/** Where the user's own code asks for something. */
interface Site {
  readonly importer: string;
  readonly specifier: string;
  /** The package that has what is wrong; undefined when the user's own code has it. */
  readonly package: string | undefined;
}

/** Climbs from a file inside packages to the user's import that brought them in. */
function broughtBy({ importers }: BundleInputs, file: string, specifier: string): Site {
  let at = file;
  let named = specifier;
  for (let inside = installedPackage(at); inside !== undefined; inside = installedPackage(at)) {
    named = inside;
    const next = importers.get(at);
    if (next === undefined) break;
    at = next;
  }
  return { importer: at, specifier: named, package: installedPackage(file) };
}

/** The package of a file that is installed; undefined for the user's own. */
function installedPackage(file: string): string | undefined {
  const [, inside] = /^.*[\\/]node_modules[\\/](.+)$/s.exec(file) ?? [];
  return inside === undefined ? undefined : packageOf(inside.replaceAll("\\", "/"));
}

function placedError({ name }: Shipping, reason: string, { importer, specifier }: Site): CaptureError {
  const line = lineOf(specifier, importer);
  const where = line > 0 ? `${importer}:${line}` : importer;
  return new CaptureError(`the function ${name || "(anonymous)"} ${reason} (imported at ${where})`, {
    variable: name || "(anonymous)",
    path: specifier,
    file: importer,
    line,
  });
}

/** The first line that names the module or a file of the package, from 1; 0 when it cannot be told. */
function lineOf(specifier: string, importer: string): number {
  if (!existsSync(importer)) return 0;
  const spellings = ['"', "'"].flatMap((quote) => [`${quote}${specifier}${quote}`, `${quote}${specifier}/`]);
  const lines = readFileSync(importer, "utf8").split("\n");
  return lines.findIndex((line) => spellings.some((spelling) => line.includes(spelling))) + 1;
}
