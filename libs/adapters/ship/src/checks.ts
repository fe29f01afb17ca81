import { existsSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { CaptureError } from "@heddle/kernel";
import type { Bundle } from "./bundle.ts";
import { isHeddle } from "./emit.ts";

/** Packages that load native code by a path they make up at run time. */
const NATIVE_LOADERS = /[\\/]node_modules[\\/](bindings|node-gyp-build|@mapbox[\\/]node-pre-gyp|node-pre-gyp)[\\/]/;

/** The function that is being shipped, for the words of a refusal. */
export interface Shipping {
  readonly name: string;
  /** The file it is of, as far as that is known. */
  readonly file: string;
}

/** A CaptureError about the function itself. */
export function shipError({ name, file }: Shipping, reason: string, options?: ErrorOptions): CaptureError {
  const where = file === "" ? "" : ` (${file})`;
  const words = `the function ${name || "(anonymous)"}${where} ${reason}`;
  return new CaptureError(words, { variable: name || "(anonymous)", path: "$", file, line: 0 }, options);
}

/** Throws CaptureError for what bundled well and would still not run as it does here. */
export function checkBundle(shipping: Shipping, bundle: Bundle, isEntry: (file: string) => boolean): void {
  const entry = bundle.inputs.find(({ path }) => isEntry(path));
  if (entry !== undefined) {
    const reason = `imports the entry script ${entry.path}, which would run again in each worker: move what it needs to a module`;
    throw shipError(shipping, reason);
  }
  const loader = bundle.inputs.find(({ path }) => NATIVE_LOADERS.test(path));
  if (loader !== undefined)
    throw shipError(shipping, `needs a native addon, loaded by ${loader.path}: ${NATIVE_ADVICE}`);
  for (const { specifier, importer } of bundle.outside) {
    if (!isBuiltin(specifier) && !isHeddle(specifier)) throw outsideError(shipping, specifier, importer);
  }
}

const NATIVE_ADVICE =
  "native code is of one machine and cannot be sent; use a package of plain JavaScript or WebAssembly";

function outsideError({ name }: Shipping, specifier: string, importer: string): CaptureError {
  const line = lineOf(specifier, importer);
  const where = line > 0 ? `${importer}:${line}` : importer;
  const reason = specifier.endsWith(".node")
    ? `needs the native addon ${specifier}: ${NATIVE_ADVICE}`
    : `needs "${specifier}" at run time, which cannot be found`;
  return new CaptureError(`the function ${name || "(anonymous)"} ${reason} (imported at ${where})`, {
    variable: name || "(anonymous)",
    path: specifier,
    file: importer,
    line,
  });
}

/** The first line that names the module, from 1; 0 when it cannot be told. */
function lineOf(specifier: string, importer: string): number {
  if (!existsSync(importer)) return 0;
  const lines = readFileSync(importer, "utf8").split("\n");
  return lines.findIndex((line) => line.includes(`"${specifier}"`) || line.includes(`'${specifier}'`)) + 1;
}
