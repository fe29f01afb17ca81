import { existsSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { isAbsolute } from "node:path";
import { fileURLToPath } from "node:url";
import type { AnyFunction } from "@heddle/port-shipper";
import type { FunctionInspector, FunctionPlace, Script } from "./inspect.ts";
import { classAt, functionAt, isVitestModule, type ModuleExports, readModuleExports } from "./module-exports.ts";

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

/** Finds the export that a function object is, exactly or not at all. Modules are read, never imported or run again. */
export class ExportFinder {
  readonly #inspector: FunctionInspector;
  /** Exports by the script's text, which the inspector keeps as one string. */
  readonly #read = new Map<string, ModuleExports>();

  constructor(inspector: FunctionInspector) {
    this.#inspector = inspector;
  }

  /** As `findAny`, and undefined for classes, which are no functions to call. */
  find(fn: AnyFunction, isEntry: (file: string) => boolean): FoundExport | undefined {
    return isClass(fn) ? undefined : this.findAny(fn, isEntry);
  }

  /** Undefined for what is no export of a module with a file. `isEntry`: the file is the running program itself, whose exports are not imported. */
  findAny(fn: AnyFunction, isEntry: (file: string) => boolean): FoundExport | undefined {
    const place = this.#inspector.locate(fn);
    const file = place === undefined ? undefined : fileOf(place.script);
    if (place === undefined || file === undefined || isEntry(file)) return undefined;
    const commonJs = commonJsExports(place.script, file);
    return commonJs === undefined ? this.#findInModule(fn, place, file) : findInCommonJs(fn, commonJs, file);
  }

  #findInModule(fn: AnyFunction, place: FunctionPlace, file: string): FoundExport | undefined {
    const { functions, hasDefault, program } = this.#exportsOf(place.script);
    const node = isClass(fn) ? classAt(program, offsetOf(place)) : functionAt(program, offsetOf(place));
    const names = node === undefined ? undefined : functions.get(node);
    const [first] = names ?? [];
    if (first === undefined) return undefined;
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

function isClass(fn: AnyFunction): boolean {
  return /^class\b/.test(Function.prototype.toString.call(fn));
}

/** The file of a script, without symbolic links; undefined for code without one. */
export function fileOf({ url }: Script): string | undefined {
  const path = url.startsWith("file:") ? fileURLToPath(withoutQuery(url)) : url;
  return isAbsolute(path) && existsSync(path) ? realpathSync(path) : undefined;
}

/** Loaders tell reloaded copies of a module apart by a query; the file is the same. */
function withoutQuery(url: string): string {
  return url.replace(/[?#].*$/s, "");
}

/** Where it begins in the script's text. */
export function offsetOf({ script, line, column }: FunctionPlace): number {
  if (line === 0) return column;
  const ends = /\r\n?|[\n\u2028\u2029]/g; // what V8 counts as lines
  for (let passed = 0; passed < line; passed++) ends.exec(script.text);
  return ends.lastIndex + column;
}

/** The live `module.exports` of a CommonJS module; undefined for other scripts. */
function commonJsExports(script: Script, file: string): { readonly value: unknown } | undefined {
  if (script.isModule || isVitestModule(script.text)) return undefined;
  const loaded = createRequire(import.meta.url).cache[file];
  return loaded === undefined ? undefined : { value: loaded.exports };
}

function findInCommonJs(fn: AnyFunction, { value }: { value: unknown }, file: string): FoundExport | undefined {
  const isBag = (typeof value === "object" && value !== null) || typeof value === "function";
  const names = isBag ? Object.keys(value).filter((name) => name !== "default") : [];
  const exportName = value === fn ? "default" : names.find((name) => Reflect.get(value as object, name) === fn);
  if (exportName === undefined) return undefined;
  return { file, exportName, hasDefault: true, commonJsNames: names };
}
