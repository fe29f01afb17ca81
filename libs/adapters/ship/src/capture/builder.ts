import { dirname } from "node:path";
import { pathToFileURL } from "node:url";
import { SerializationError } from "@heddle/kernel";
import type { AnyFunction } from "@heddle/port-shipper";
import { encodeValue } from "@heddle/wire";
import type { FoundExport } from "../find-export.ts";
import type { LiveScope } from "../inspect.ts";
import type { Captured } from "./capturer.ts";
import { type Code, isReassigned, type NameUse } from "./code.ts";
import { type CodeParts, readCode } from "./code-cell.ts";
import type { Cell, CodeCell, ImportCell, Reference } from "./graph.ts";
import { importOf, requireOf } from "./imports.ts";
import { isNativeText, nativeName } from "./natives.ts";
import { ambiguousError, noTextError, type Use, unmatchedError, valueError } from "./refusals.ts";
import type { Scripts } from "./scripts.ts";
import { Variables } from "./variables.ts";

/** An export of a module that stands in for a value. */
export interface KnownMember {
  /** Absolute path. */
  readonly file: string;
  /** "*" for all of it. */
  readonly exportName: string;
}

/** What a builder asks of the program. */
export interface Program {
  readonly scripts: Scripts;
  readonly scopesOf: (fn: AnyFunction) => readonly LiveScope[];
  readonly exportOf: (fn: AnyFunction) => FoundExport | undefined;
  readonly memberOf: (value: unknown) => KnownMember | undefined;
}

/** A variable that travels by value. */
interface Value {
  readonly cell: number;
  readonly name: string;
  readonly use: Use;
  readonly read: () => unknown;
}

/** Follows one function to everything it needs. Used once. */
export class GraphBuilder {
  readonly #program: Program;
  readonly #cells: (Cell | undefined)[] = [];
  /** Functions, classes and stand-ins that have a cell. */
  readonly #known = new Map<unknown, number>();
  readonly #variables = new Variables();
  readonly #values: Value[] = [];
  readonly #inValues: number[] = [];
  readonly #inValuesAt = new Map<AnyFunction, number>();
  /** Functions whose text is still to be read. */
  readonly #unread: {
    readonly cell: number;
    readonly fn: AnyFunction;
    readonly code: Code;
    readonly parts: CodeParts;
  }[] = [];
  readonly #scopes = new Map<AnyFunction, readonly LiveScope[]>();
  /** Something may become another thing without any captured object changing. */
  #isVolatile = false;
  /** Something is assigned to variables among the values. */
  #hasVariables = false;
  /** The function being read: whom to name when a value cannot travel. */
  #root: Use | undefined;

  constructor(program: Program) {
    this.#program = program;
  }

  build(fn: AnyFunction): Captured {
    const root = this.#functionCell(fn, undefined, true);
    const values = this.#encodeAll();
    const cells = this.#cells.filter((cell) => cell !== undefined);
    const graph = { cells, root, functionsInValues: this.#inValues, values };
    return { graph, refresh: () => this.#refresh() };
  }

  #refresh(): "same" | Uint8Array | undefined {
    if (this.#isVolatile) return undefined;
    this.#scopes.clear();
    if (!this.#hasVariables && this.#values.every(({ read }) => isPrimitive(read()))) return "same";
    const known = this.#cells.length;
    const values = this.#encode();
    return this.#cells.length === known ? values : undefined;
  }

  /** Encoding finds functions inside values, whose variables are further values. */
  #encodeAll(): Uint8Array {
    for (;;) {
      this.#readAll();
      const known = this.#cells.length;
      const values = this.#encode();
      if (this.#cells.length === known) return values;
    }
  }

  #encode(): Uint8Array {
    const values = this.#values.map(({ read }) => read());
    try {
      return encodeValue(values, "value", { reduceFunction: (fn) => this.#indexInValues(fn as AnyFunction) });
    } catch (error) {
      throw this.#placed(error);
    }
  }

  #indexInValues(fn: AnyFunction): number {
    let index = this.#inValuesAt.get(fn);
    if (index === undefined) {
      index = this.#inValues.push(this.#functionCell(fn, this.#root, false)) - 1;
      this.#inValuesAt.set(fn, index);
    }
    return index;
  }

  /** Says of a value that cannot travel which variable it is of. */
  #placed(error: unknown): unknown {
    if (!(error instanceof SerializationError)) return error;
    const [, index = "", rest = ""] = /^\$\[(\d+)\](.*)$/s.exec(error.path) ?? [];
    const value = this.#values[Number(index)];
    return value === undefined ? error : valueError(value.use, value.name, `$${rest}`, error);
  }

  #functionCell(fn: AnyFunction, user: Use | undefined, isRoot: boolean): number {
    const known = this.#known.get(fn);
    if (known !== undefined) return known;
    const member = this.#program.memberOf(fn);
    if (member !== undefined) return this.#memberCell(fn, fn.name, member);
    const found = isNativeText(fn) ? undefined : this.#program.scripts.find(fn);
    if (found === undefined || found === "internal") return this.#nativeCell(fn, user);
    const exported = isRoot ? undefined : this.#program.exportOf(fn);
    if (exported !== undefined) return this.#memberCell(fn, fn.name, exported);
    const { code, node } = found;
    const cell = this.#reserve(fn);
    const use: Use = { fn, code, at: node };
    this.#root ??= use;
    this.#unread.push({ cell, fn, code, parts: readCode(use, node, isRoot) });
    return cell;
  }

  #nativeCell(fn: AnyFunction, user: Use | undefined): number {
    const native = nativeName(fn);
    if (native === undefined) throw noTextError(fn, user);
    const cell = this.#reserve(fn);
    this.#cells[cell] = { kind: "native", name: fn.name, ...native };
    return cell;
  }

  #memberCell(value: unknown, name: string, { file, exportName }: KnownMember): number {
    const cell = this.#reserve(value);
    this.#cells[cell] = {
      kind: "import",
      name,
      specifier: file,
      importer: file,
      imported: exportName,
      attributes: {},
    } satisfies ImportCell;
    return cell;
  }

  #reserve(value: unknown): number {
    const cell = this.#cells.push(undefined) - 1;
    if (value !== undefined) this.#known.set(value, cell);
    return cell;
  }

  #readAll(): void {
    for (let next = this.#unread.shift(); next !== undefined; next = this.#unread.shift()) {
      const { cell, fn, code, parts } = next;
      const references = this.#references(fn, code, parts);
      this.#cells[cell] = {
        kind: "code",
        name: fn.name,
        source: code.source,
        node: parts.node,
        text: parts.text,
        form: parts.form,
        key: parts.key,
        references,
        specifiers: parts.specifiers,
        neededAtDefinition: neededAt(parts, references),
        properties: this.#properties(fn, code, parts),
      } satisfies CodeCell;
    }
  }

  #references(fn: AnyFunction, code: Code, parts: CodeParts): Reference[] {
    const references: Reference[] = [];
    for (const use of parts.names) {
      const cell = this.#cellFor({ fn, code, at: use }, use);
      if (cell !== undefined) {
        references.push({ start: use.start, end: use.end, cell, shorthand: code.isShorthand(use) });
      }
    }
    for (const at of parts.metas) {
      references.push({ ...at, cell: this.#metaCell({ fn, code, at }), shorthand: false });
    }
    return references.sort((one, other) => one.start - other.start);
  }

  /** Own enumerable properties that the user gave the function. Those of classes are in their text. */
  #properties(fn: AnyFunction, code: Code, { node, form }: CodeParts): number | undefined {
    if (form === "class" || Object.keys(fn).length === 0) return undefined;
    const use: Use = { fn, code, at: node };
    return this.#addValue({ name: `${fn.name || "(anonymous)"}'s own fields`, use, read: () => ({ ...fn }) });
  }

  /** Undefined for names that mean the same everywhere. */
  #cellFor(use: Use, name: NameUse): number | undefined {
    const { variable } = name;
    if (variable === undefined) return this.#globalCell(use, name.name);
    const known = this.#variables.sole(variable);
    if (known !== undefined) return known;
    const imported = importOf(variable, use.code);
    if (imported !== undefined) return this.#variables.keep(variable, this.#add(imported));
    const required = requireOf(variable, use.code);
    if (required !== undefined) return this.#requireCell(use, name, required);
    return this.#variableCell(use, name);
  }

  #requireCell(use: Use, { variable }: NameUse, required: ReturnType<typeof requireOf> & object): number {
    const cell = this.#reserve(undefined);
    if (variable !== undefined) this.#variables.keep(variable, cell);
    const names = use.code.freeNames(required.text);
    const references = names.flatMap((at) => {
      const of = at.name === "require" ? undefined : this.#cellFor({ ...use, at }, at);
      return of === undefined ? [] : [{ start: at.start, end: at.end, cell: of, shorthand: use.code.isShorthand(at) }];
    });
    this.#cells[cell] = { ...required, references };
    return cell;
  }

  #variableCell(use: Use, { variable, name }: NameUse): number {
    if (variable === undefined || name.startsWith("__vite_ssr_")) throw unmatchedError(use);
    const scope = this.#scopeWith(use.fn, name);
    const value = scope?.[name];
    const isFixed = !isReassigned(variable);
    const isSole = use.code.isOfModule(variable);
    if (isFixed && this.#isCode(value)) {
      const cell = this.#functionCell(value, use, false);
      return isSole ? this.#variables.keep(variable, cell) : cell;
    }
    const known = isFixed
      ? this.#variables.withValue(variable, value)
      : this.#variables.ofScope(variable, { scope: scope ?? {}, fn: use.fn });
    if (known === "ambiguous") throw ambiguousError(use, name);
    if (known !== undefined) return known;
    if (!isFixed) this.#hasVariables = true;
    const read = isFixed ? () => value : () => this.#scopeWith(use.fn, name)?.[name];
    const cell = this.#addValue({ name, use, read });
    this.#variables.note(variable, { cell, value, scope: scope ?? {}, fn: use.fn }, isSole);
    return cell;
  }

  #isCode(value: unknown): value is AnyFunction {
    return typeof value === "function" || this.#program.memberOf(value) !== undefined;
  }

  #scopeWith(fn: AnyFunction, name: string): LiveScope | undefined {
    let scopes = this.#scopes.get(fn);
    if (scopes === undefined) {
      scopes = this.#program.scopesOf(fn);
      this.#scopes.set(fn, scopes);
    }
    return scopes.find((scope) => Object.hasOwn(scope, name));
  }

  /** A name that no script declares: of the language, of Node.js, of a CommonJS module, or the user's own global. */
  #globalCell(use: Use, name: string): number | undefined {
    const { source } = use.code;
    if (!source.isModule && (name === "__filename" || name === "__dirname"))
      return this.#named(`${source.file} ${name}`, () => this.#scopeWith(use.fn, name)?.[name], name, use);
    const exported = /^exports\.(.+)$/.exec(name)?.[1];
    if (exported !== undefined) {
      const exports = this.#scopeWith(use.fn, "exports")?.exports as Record<string, unknown> | undefined;
      return this.#named(`${source.file} ${name}`, () => exports?.[exported], exported, use);
    }
    const property = Object.getOwnPropertyDescriptor(globalThis, name);
    if (property === undefined || !isUserGlobal(property)) return undefined;
    return this.#named(`global ${name}`, () => Reflect.get(globalThis, name), name, use);
  }

  /** A value that has one place in the program, which is read anew each time. */
  #named(key: string, read: () => unknown, name: string, use: Use): number {
    const value = read();
    if (this.#isCode(value)) {
      this.#isVolatile = true;
      return this.#functionCell(value, use, false);
    }
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (!isPrimitive(value)) this.#isVolatile = true;
    const cell = this.#addValue({ name, use, read });
    this.#known.set(key, cell);
    return cell;
  }

  /** `import.meta` of the file that the user wrote. */
  #metaCell(use: Use): number {
    const { file } = use.code.source;
    const key = `meta ${file}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const meta = metaOf(file);
    const cell = this.#addValue({ name: "import.meta", use, read: () => meta });
    this.#known.set(key, cell);
    return cell;
  }

  #addValue(value: Omit<Value, "cell">): number {
    const cell = this.#add({ kind: "value", name: value.name });
    this.#values.push({ ...value, cell });
    return cell;
  }

  #add(cell: Cell): number {
    return this.#cells.push(cell) - 1;
  }
}

/** Cells that the parts which run at definition refer to. */
function neededAt({ definition }: CodeParts, references: readonly Reference[]): number[] {
  const needed = references.filter((at) => definition.some(({ start, end }) => at.start >= start && at.end <= end));
  return [...new Set(needed.map(({ cell }) => cell))];
}

function isPrimitive(value: unknown): boolean {
  return (typeof value !== "object" || value === null) && typeof value !== "function";
}

/** Somebody assigned it: what comes with Node.js is hidden, an accessor, or code of its own. */
function isUserGlobal({ value, enumerable, writable }: PropertyDescriptor): boolean {
  return enumerable === true && writable === true && value !== globalThis && !isNativeText(value);
}

/** What `import.meta` says of a file, for the machine that it is on. */
function metaOf(file: string | undefined): Readonly<Record<string, string>> {
  if (file === undefined) return {};
  return { url: pathToFileURL(file).href, filename: file, dirname: dirname(file) };
}
