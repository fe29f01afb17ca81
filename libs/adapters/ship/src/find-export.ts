import { existsSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { isAbsolute } from "node:path";
import { fileURLToPath } from "node:url";
import { CaptureError } from "@heddle/kernel";
import type { AnyFunction } from "@heddle/port-shipper";
import type { FunctionInspector, FunctionPlace, Script } from "./inspect.ts";
import { functionAt, isVitestModule, type ModuleExports, readModuleExports } from "./module-exports.ts";
import { notExported, refusal } from "./refusal.ts";

/** Which export of which file a function is. */
export interface FoundExport {
  /** Absolute, without symbolic links. */
  readonly file: string;
  readonly exportName: string;
  /** Of an ES module: it has a default export, too. */
  readonly hasDefault: boolean;
  /** Of a CommonJS module: its export names, "default" for all of it left out. Undefined for ES modules. */
  readonly commonJsNames: readonly string[] | undefined;
}

/** What a CaptureError says of where the function is. */
interface Position {
  readonly file: string;
  /** From 1; 0 unknown. */
  readonly line: number;
}

/** Finds the export that a function object is, exactly or not at all. Modules are read, never imported or run again. */
export class ExportFinder {
  readonly #inspector: FunctionInspector;
  /** Exports by the script's text, which the inspector keeps as one string. */
  readonly #read = new Map<string, ModuleExports>();

  constructor(inspector: FunctionInspector) {
    this.#inspector = inspector;
  }

  /** Throws CaptureError for what is no export of a module with a file. `entryFiles` are the files of the running program itself. */
  find(fn: AnyFunction, entryFiles: readonly string[]): FoundExport {
    const place = this.#inspector.locate(fn);
    if (place === undefined || isNative(fn)) throw captureError(fn, { file: "", line: 0 }, nativeReason(fn));
    const { script } = place;
    const at: Position = { file: script.url, line: isVitestModule(script.text) ? 0 : place.line + 1 };
    const file = fileOf(script);
    if (file === undefined) {
      throw captureError(
        fn,
        at,
        "comes from code without a file (eval, new Function, the REPL): put it in a module and export it",
      );
    }
    if (entryFiles.some((entry) => sameFile(entry, file))) {
      throw captureError(
        fn,
        at,
        "belongs to the entry script, which would run again in each worker: move it to a module of its own and import it from there",
      );
    }
    const commonJs = commonJsExports(script, file);
    return commonJs === undefined ? this.#findInModule(fn, place, file, at) : findInCommonJs(fn, commonJs, file, at);
  }

  #findInModule(fn: AnyFunction, place: FunctionPlace, file: string, at: Position): FoundExport {
    const exports = this.#exportsOf(place.script);
    const { functions, hasDefault } = exports;
    const node = functionAt(exports.program, offsetOf(place));
    const names = node === undefined ? undefined : functions.get(node);
    const [first] = names ?? [];
    if (first === undefined) throw captureError(fn, at, refusal(fn, node, exports));
    return { file, exportName: names?.find((name) => name === fn.name) ?? first, hasDefault, commonJsNames: undefined };
  }

  #exportsOf({ text, isModule }: Script): ModuleExports {
    let exports = this.#read.get(text);
    if (exports === undefined) {
      exports = readModuleExports(text, isModule);
      this.#read.set(text, exports);
    }
    return exports;
  }
}

/** A CaptureError about the function itself. */
export function captureError(fn: AnyFunction, at: Position, reason: string, options?: ErrorOptions): CaptureError {
  const name = fn.name || "(anonymous)";
  const where = at.file === "" ? "" : ` (${shownPath(at.file)}${at.line > 0 ? `:${at.line}` : ""})`;
  return new CaptureError(`the function ${name}${where} ${reason}`, { variable: name, path: "$", ...at }, options);
}

function shownPath(file: string): string {
  return file.startsWith("file:") ? fileURLToPath(withoutQuery(file)) : file;
}

function isNative(fn: AnyFunction): boolean {
  return /\{\s*\[native code\]\s*\}$/.test(Function.prototype.toString.call(fn));
}

function nativeReason(fn: AnyFunction): string {
  const kind = fn.name.startsWith("bound ") ? "bound" : "native";
  return `is ${kind}, so there is no code to send: export a function from a module that calls it`;
}

function fileOf({ url }: Script): string | undefined {
  const path = url.startsWith("file:") ? fileURLToPath(withoutQuery(url)) : url;
  return isAbsolute(path) && existsSync(path) ? realpathSync(path) : undefined;
}

/** Loaders tell reloaded copies of a module apart by a query; the file is the same. */
function withoutQuery(url: string): string {
  return url.replace(/[?#].*$/s, "");
}

function sameFile(entry: string, file: string): boolean {
  return ["", ".js", ".ts", ".cjs", ".mjs"].some((suffix) => {
    const path = entry + suffix;
    return path === file || (existsSync(path) && realpathSync(path) === file);
  });
}

function offsetOf({ script, line, column }: FunctionPlace): number {
  let start = 0;
  for (let passed = 0; passed < line; passed++) start = script.text.indexOf("\n", start) + 1;
  return start + column;
}

/** The live `module.exports` of a CommonJS module; undefined for other scripts. */
function commonJsExports(script: Script, file: string): { readonly value: unknown } | undefined {
  if (script.isModule || isVitestModule(script.text)) return undefined;
  const loaded = createRequire(import.meta.url).cache[file];
  return loaded === undefined ? undefined : { value: loaded.exports };
}

function findInCommonJs(fn: AnyFunction, { value }: { value: unknown }, file: string, at: Position): FoundExport {
  const isBag = (typeof value === "object" && value !== null) || typeof value === "function";
  const names = isBag ? Object.keys(value).filter((name) => name !== "default") : [];
  const exportName = value === fn ? "default" : names.find((name) => Reflect.get(value as object, name) === fn);
  if (exportName === undefined) throw captureError(fn, at, notExported(fn));
  return { file, exportName, hasDefault: true, commonJsNames: names };
}
