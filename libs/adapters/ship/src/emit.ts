import { isBuiltin } from "node:module";
import remapping, { type SourceMapInput } from "@jridgewell/remapping";
import MagicString, { Bundle } from "magic-string";
import type {
  CaptureGraph,
  CodeCell,
  ImportCell,
  NativeCell,
  RequireCell,
  Source,
  Specifier,
} from "./capture/graph.ts";
import { sourcePath } from "./capture/position.ts";
import { orderError } from "./capture/refusals.ts";
import { cellNames } from "./emit-names.ts";
import { type ClassOrder, classOrder } from "./emit-order.ts";
import { checkStrict } from "./emit-strict.ts";
import type { Sources } from "./sources.ts";

/** A module that a closure's module names, to be resolved from where the user wrote it. */
export interface ModuleRequest {
  readonly specifier: string;
  /** Absolute path of the file that names it; undefined for code without one. */
  readonly importer: string | undefined;
  readonly how: "import" | "dynamic-import" | "require";
}

/** A closure's module as text, before what it imports is put in. */
export interface Emitted {
  readonly text: string;
  /** Its source map, as JSON. */
  readonly map: string;
  /** Modules to be put in: `heddle-import:N` in the text is the Nth. None: the text is complete. */
  readonly requests: readonly ModuleRequest[];
}

/** Specifiers in emitted text that stand for requests. */
export const REQUEST_PREFIX = "heddle-import:";

const REQUIRE_LINE = 'var require = process.getBuiltinModule("node:module").createRequire(import.meta.url);\n';

/**
 * Writes a captured function down as a module whose default export is a FunctionMaker. Throws CaptureError where no order of definitions
 * works, and for code that no module may contain.
 */
export function emit(graph: CaptureGraph, sources: Sources): Emitted {
  for (const cell of graph.cells) if (cell.kind === "code" && !cell.source.isModule) checkStrict(cell);
  return new Emitter(graph, sources).emit();
}

class Emitter {
  readonly #graph: CaptureGraph;
  readonly #names: readonly string[];
  readonly #urls: Sources;
  readonly #bundle = new Bundle({ separator: "" });
  readonly #requests: ModuleRequest[] = [];
  readonly #sources: Source[] = [];
  #usesRequire = false;

  constructor(graph: CaptureGraph, urls: Sources) {
    this.#graph = graph;
    this.#urls = urls;
    this.#names = cellNames(graph);
  }

  emit(): Emitted {
    const { cells, root, functionsInValues } = this.#graph;
    const order = classOrder(this.#graph);
    this.#refuseUnordered(order);
    this.#write("export default (values) => {\n");
    for (const [number, cell] of cells.entries()) {
      if (cell.kind === "native" && cell.module === undefined) this.#define(number, cell.expression);
      if (cell.kind === "code" && cell.form !== "class") this.#code(number, cell);
    }
    for (const [number, cell] of cells.entries()) if (cell.kind === "require") this.#require(number, cell);
    this.#classes(order.early);
    const values = cells.flatMap((cell, number) => (cell.kind === "value" ? [this.#name(number)] : []));
    const functions = functionsInValues.map((number) => this.#name(number)).join(", ");
    this.#write(
      values.length === 0 ? `values([${functions}]);\n` : `let [${values.join(", ")}] = values([${functions}]);\n`,
    );
    this.#classes(order.late);
    for (const [number, cell] of cells.entries()) if (cell.kind === "code") this.#adorn(number, cell);
    this.#write(`return ${this.#name(root)};\n};\n`);
    return this.#finished();
  }

  #refuseUnordered({ late }: ClassOrder): void {
    const stuck = late.find((number) => this.#graph.functionsInValues.includes(number));
    if (stuck !== undefined) throw orderError(this.#graph.cells[stuck]?.name ?? "");
  }

  #finished(): Emitted {
    const imports = this.#graph.cells.map((cell, number) => this.#importLine(number, cell)).join("");
    const head = imports + (this.#usesRequire && this.#requests.length === 0 ? REQUIRE_LINE : "");
    this.#bundle.prepend(head);
    const raw = this.#bundle.generateMap({ hires: "boundary", includeContent: false });
    const map = remapping(raw as SourceMapInput, (name) => this.#mapOf(name));
    map.sources = map.sources.map((name) => this.#sourceName(name));
    return { text: this.#bundle.toString(), map: JSON.stringify(map), requests: this.#requests };
  }

  #importLine(number: number, cell: CaptureGraph["cells"][number]): string {
    const name = this.#name(number);
    if (cell.kind === "native" && cell.module !== undefined) return importLine(name, cell.expression, cell.module, {});
    if (cell.kind !== "import") return "";
    const { specifier, importer, imported, attributes } = cell;
    return importLine(name, imported, this.#specifier({ specifier, importer, how: "import" }), attributes);
  }

  #classes(numbers: readonly number[]): void {
    for (const number of numbers) {
      const cell = this.#graph.cells[number];
      if (cell?.kind === "code") this.#code(number, cell);
    }
  }

  #code(number: number, cell: CodeCell): void {
    const content = this.#content(cell);
    if (cell.form === "method" && cell.key !== undefined) {
      const key = JSON.stringify(cell.name);
      content.overwrite(cell.key.start, cell.key.end, key);
      return this.#place(number, cell, content, "({ ", ` })[${key}]`);
    }
    const name = this.#name(number);
    const hasName = "id" in cell.node && cell.node.id != null;
    if (hasName || cell.name === name) return this.#place(number, cell, content, "(", ")");
    if (cell.name === "") return this.#place(number, cell, content, "(0, ", ")");
    const key = JSON.stringify(cell.name); // a function without a name of its own is called what it is assigned to
    return this.#place(number, cell, content, `({ ${key}: `, ` })[${key}]`);
  }

  /** What was done to a function after it was made: its own fields, and another name (tools keep names that way). */
  #adorn(number: number, { node, form, name, properties }: CodeCell): void {
    if (properties !== undefined) this.#write(`Object.assign(${this.#name(number)}, ${this.#name(properties)});\n`);
    const written = "id" in node && node.id?.type === "Identifier" ? node.id.name : name;
    if (form !== "function" || written === name) return;
    const property = `{ value: ${JSON.stringify(name)}, configurable: true }`;
    this.#write(`Object.defineProperty(${this.#name(number)}, "name", ${property});\n`);
  }

  #require(number: number, cell: RequireCell): void {
    const member = cell.member === undefined ? "" : `[${JSON.stringify(cell.member)}]`;
    this.#place(number, cell, this.#content(cell), "(", `)${member}`);
  }

  /** The text of the whole source with the names changed: `#place` takes the cell's part of it. */
  #content({ source, references, specifiers }: CodeCell | RequireCell): MagicString {
    const content = new MagicString(source.text);
    for (const { start, end, cell, shorthand } of references) {
      const name = this.#name(cell);
      const written = source.text.slice(start, end);
      if (written !== name) content.overwrite(start, end, shorthand ? `${written}: ${name}` : name);
    }
    for (const at of specifiers) this.#rewriteSpecifier(content, at, source);
    return content;
  }

  #rewriteSpecifier(content: MagicString, { start, end, specifier, how }: Specifier, source: Source): void {
    if (how === "require") this.#usesRequire = true;
    const request = { specifier, importer: source.file, how: how === "import" ? "dynamic-import" : how } as const;
    content.overwrite(start, end, JSON.stringify(this.#specifier(request)));
  }

  #place(
    number: number,
    { source, text }: CodeCell | RequireCell,
    content: MagicString,
    before: string,
    after: string,
  ): void {
    let at = this.#sources.indexOf(source);
    if (at < 0) at = this.#sources.push(source) - 1;
    const part = content.snip(text.start, text.end);
    part.prepend(`const ${this.#name(number)} = ${before}`).append(`${after};\n`);
    this.#bundle.addSource({ filename: `${SOURCE_PREFIX}${at}`, content: part });
  }

  #define(number: number, expression: NativeCell["expression"]): void {
    this.#write(`const ${this.#name(number)} = ${expression};\n`);
  }

  #write(text: string): void {
    this.#bundle.addSource({ content: new MagicString(text) });
  }

  #name(cell: number): string {
    return this.#names[cell] ?? "undefined";
  }

  /** The specifier to write for a module: itself where it means the same everywhere. */
  #specifier(request: ModuleRequest): string {
    const { specifier } = request;
    if (isBuiltin(specifier)) return specifier.startsWith("node:") ? specifier : `node:${specifier}`;
    if (isHeddle(specifier)) return specifier;
    return `${REQUEST_PREFIX}${this.#requests.push(request) - 1}`;
  }

  #mapOf(name: string): SourceMapInput | null {
    const source = this.#sourceAt(name);
    if (source?.map === undefined) return null;
    try {
      const { sourceRoot = "", sourcesContent: _content, ...map } = JSON.parse(source.map);
      const root = sourceRoot === "" || sourceRoot.endsWith("/") ? sourceRoot : `${sourceRoot}/`;
      const sources = (map.sources as readonly (string | null)[]).map((at) =>
        at === null ? null : this.#urls.urlOf(sourcePath(root + at, source.file ?? "")),
      );
      return { ...map, sources } as SourceMapInput;
    } catch {
      return null; // broken maps cost lines, not calls
    }
  }

  #sourceName(name: string | null): string | null {
    const source = name === null ? undefined : this.#sourceAt(name);
    if (source === undefined) return name;
    return source.file === undefined ? "heddle:///anonymous" : this.#urls.urlOf(source.file);
  }

  #sourceAt(name: string): Source | undefined {
    return name.startsWith(SOURCE_PREFIX) ? this.#sources[Number(name.slice(SOURCE_PREFIX.length))] : undefined;
  }
}

const SOURCE_PREFIX = "heddle-source:";

/** `heddle` itself is there in every worker. */
export function isHeddle(specifier: string): boolean {
  return specifier === "heddle" || specifier.startsWith("heddle/");
}

function importLine(
  name: string,
  imported: ImportCell["imported"],
  specifier: string,
  attributes: ImportCell["attributes"],
): string {
  const given = Object.entries(attributes).map(([key, value]) => `${JSON.stringify(key)}: ${JSON.stringify(value)}`);
  const suffix = given.length === 0 ? "" : ` with { ${given.join(", ")} }`;
  const from = `from ${JSON.stringify(specifier)}${suffix};\n`;
  if (imported === "*") return `import * as ${name} ${from}`;
  const member = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(imported) ? imported : JSON.stringify(imported);
  return `import { ${member} as ${name} } ${from}`;
}
