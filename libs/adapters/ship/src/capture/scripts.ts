import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { AnyFunction } from "@heddle/port-shipper";
import type { AnyNode } from "acorn";
import { fileOf, offsetOf } from "../find-export.ts";
import type { FunctionInspector, Script } from "../inspect.ts";
import { isFunction, isVitestModule, isVitestWrapper } from "../module-exports.ts";
import { Code } from "./code.ts";
import type { Source } from "./graph.ts";
import { NO_LINES } from "./position.ts";
import { isSameText } from "./same-text.ts";

/** Where a function or class is in the text of its script. */
export interface FoundCode {
  readonly code: Code;
  readonly node: AnyNode;
}

/** Finds the text of functions. A script is read and parsed once. */
export class Scripts {
  readonly #inspector: FunctionInspector;
  /** One for each script, though texts may be equal: what a text imports depends on where it is. */
  readonly #codes = new WeakMap<Script, Code>();
  /** What the user wrote, by the script that vitest made of it. */
  readonly #originals = new WeakMap<Script, { readonly code: Code | undefined }>();

  constructor(inspector: FunctionInspector) {
    this.#inspector = inspector;
  }

  /** Undefined for what has no text: native and bound functions. "internal" for functions of Node.js. */
  find(fn: AnyFunction): FoundCode | "internal" | undefined {
    const place = this.#inspector.locate(fn);
    if (place === undefined) return undefined;
    const { script } = place;
    if (script.url.startsWith("node:")) return "internal";
    const code = this.#codeOf(script);
    const node = nodeAt(code, offsetOf(place), Function.prototype.toString.call(fn));
    if (node === undefined) return undefined;
    return isVitestModule(script.text) ? (this.#original(script, code, node) ?? { code, node }) : { code, node };
  }

  #codeOf(script: Script): Code {
    let code = this.#codes.get(script);
    if (code === undefined) {
      code = new Code(sourceOf(script));
      this.#codes.set(script, code);
    }
    return code;
  }

  /**
   * Vitest rewrites modules: imports become members of objects, and lines move. Its text is only used to find the function in what the
   * user wrote, where everything is as usual. Undefined when it cannot be told for sure.
   */
  #original(script: Script, made: Code, node: AnyNode): FoundCode | undefined {
    const known = this.#originals.get(script) ?? { code: originalOf(script) };
    this.#originals.set(script, known);
    const { code: original } = known;
    if (original === undefined) return undefined;
    const ofMade = made.functionsAndClasses.filter((at) => isUserCode(made, at) && isSameText(at, node));
    const ofOriginal = original.functionsAndClasses.filter((at) => isSameText(at, node));
    const found = ofOriginal[ofMade.indexOf(node)];
    return found === undefined || ofMade.length !== ofOriginal.length ? undefined : { code: original, node: found };
  }
}

/** The code that vitest itself puts around a module is nobody's. */
function isUserCode(code: Code, node: AnyNode): boolean {
  if (isFunction(node) && isVitestWrapper(node)) return false;
  return !code.around(node).some((at) => at.type === "CallExpression" && isVitestCall(at.callee));
}

function isVitestCall(callee: AnyNode): boolean {
  return callee.type === "Identifier" && callee.name === "__vite_ssr_exportName__";
}

/** The innermost function or class that begins there and has that text. */
function nodeAt(code: Code, offset: number, text: string): AnyNode | undefined {
  let found: AnyNode | undefined;
  for (const node of code.functionsAndClasses) {
    if (node.start > offset || offset > node.end) continue;
    const isHere = isFunction(node) ? offset <= node.body.start : code.source.text.slice(node.start, node.end) === text;
    if (isHere && text.endsWith(code.source.text.slice(Math.max(node.start, offset), node.end))) found = node;
  }
  return found;
}

function sourceOf(script: Script): Source {
  const file = fileOf(script);
  const map = mapOf(script, file) ?? (isVitestModule(script.text) ? NO_LINES : undefined);
  return { text: script.text, file, map, isModule: script.isModule };
}

/** The source map that a script names, when it can be read. */
function mapOf({ sourceMapUrl }: Pick<Script, "sourceMapUrl">, file: string | undefined): string | undefined {
  if (sourceMapUrl === "") return undefined;
  const inline = /^data:application\/json[^,]*?(;base64)?,(.*)$/s.exec(sourceMapUrl);
  try {
    if (inline !== null) {
      const [, base64, data = ""] = inline;
      return base64 === undefined ? decodeURIComponent(data) : Buffer.from(data, "base64").toString();
    }
    const path = sourceMapUrl.startsWith("file:") ? fileURLToPath(sourceMapUrl) : sourceMapUrl;
    return file === undefined ? undefined : readFileSync(resolve(dirname(file), path), "utf8");
  } catch {
    return undefined; // a map that is not there: lines are those of the script then
  }
}

/** What the user wrote, without its types. */
function originalOf(script: Script): Code | undefined {
  const file = fileOf(script);
  if (file === undefined) return undefined;
  try {
    const written = readFileSync(file, "utf8");
    const { text, sourceMapUrl } = /\.[cm]?ts$/.test(file) ? withoutTypes(written, file) : withMap(written);
    return new Code({ text, file, map: mapOf({ sourceMapUrl }, file), isModule: true });
  } catch {
    return undefined; // changed meanwhile, or a language of its own that only vitest understands
  }
}

type Mapped = Pick<Script, "text" | "sourceMapUrl">;

function withMap(text: string): Mapped {
  const [, sourceMapUrl = ""] = /^\/\/# sourceMappingURL=(\S+)\s*$/m.exec(text) ?? [];
  return { text, sourceMapUrl };
}

/** Taking types away leaves all else where it was. Where there is more than types (enums), the text is another, with a map. */
function withoutTypes(text: string, file: string): Mapped {
  return quietly(() => {
    try {
      return withMap(stripTypeScriptTypes(text));
    } catch {
      return withMap(stripTypeScriptTypes(text, { mode: "transform", sourceMap: true, sourceUrl: file }));
    }
  });
}

/** Node.js calls this experimental at its first use. Those who run tests did not ask for it and need not hear of it. */
function quietly<T>(run: () => T): T {
  const { emitWarning } = process;
  process.emitWarning = () => undefined;
  try {
    return run();
  } finally {
    process.emitWarning = emitWarning;
  }
}
