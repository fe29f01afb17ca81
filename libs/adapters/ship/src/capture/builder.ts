import type { AnyFunction } from "@heddle/port-shipper";
import type { AnyNode } from "acorn";
import type { Variable } from "eslint-scope";
import type { FoundExport } from "../find-export.ts";
import { type LiveScope, NO_VALUE, valueIn } from "../inspect.ts";
import { isClass } from "../module-exports.ts";
import type { Captured } from "./capturer.ts";
import { type Code, isReassigned, type NameUse } from "./code.ts";
import { type CodeParts, neededAt, readCode } from "./code-cell.ts";
import { metaOf, outerName } from "./globals.ts";
import type { Cell, CodeCell, ImportCell, Reference, RequireCell } from "./graph.ts";
import { importOf, initializerOf, isVitestMeta, requireOf } from "./imports.ts";
import { isNativeText, nativeName } from "./natives.ts";
import {
  ambiguousError,
  earlyError,
  evalError,
  noTextError,
  requireError,
  type Use,
  unmatchedError,
  unseenError,
} from "./refusals.ts";
import type { Scripts } from "./scripts.ts";
import { type CapturedValue, CapturedValues } from "./values.ts";
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

/** A function whose text is still to be read. */
interface Unread {
  readonly cell: number;
  readonly fn: AnyFunction;
  readonly code: Code;
  readonly parts: CodeParts;
}

/** Something outside of variables that the code was written for. */
interface Pin {
  readonly value: unknown;
  readonly read: () => unknown;
}

/** Follows one function to everything it needs. Used once. */
export class GraphBuilder {
  readonly #program: Program;
  readonly #cells: (Cell | undefined)[] = [];
  /** Functions, classes and stand-ins that have a cell. */
  readonly #known = new Map<unknown, number>();
  readonly #variables = new Variables();
  readonly #values = new CapturedValues();
  readonly #inValues: number[] = [];
  readonly #unread: Unread[] = [];
  readonly #nodes = new Map<AnyFunction, AnyNode>();
  readonly #scopes = new Map<AnyFunction, readonly LiveScope[]>();
  readonly #pins: Pin[] = [];
  /** Something else may be given to what travels by value. */
  #hasVariables = false;
  /** The function being captured: whom to name when a value cannot travel. */
  #root: Use | undefined;

  constructor(program: Program) {
    this.#program = program;
  }

  build(fn: AnyFunction): Captured {
    const root = this.#functionCell(fn, undefined, true);
    const values = this.#encodeAll();
    const cells = this.#cells.filter((cell) => cell !== undefined);
    const graph = { cells, root, functionsInValues: this.#inValues, values };
    return {
      graph,
      refresh: () => this.#refresh(),
      unmade: () => this.#values.unmade,
      unnamed: () => this.#values.unnamed,
    };
  }

  #refresh(): "same" | Uint8Array | undefined {
    if (this.#pins.some(({ read, value }) => read() !== value)) return undefined;
    if (!this.#hasVariables && this.#values.arePrimitive) return "same";
    this.#scopes.clear();
    if (!this.#variables.areStillOne((fn, name) => this.#valueFor(fn, name))) return undefined;
    return this.#values.encodeAgain();
  }

  /** Encoding finds functions inside values, whose variables are further values. */
  #encodeAll(): Uint8Array {
    for (;;) {
      this.#readAll();
      const known = this.#cells.length;
      const values = this.#values.encode((fn) => this.#inValues.push(this.#functionCell(fn, this.#root, false)));
      if (this.#cells.length === known) return values;
    }
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
    this.#nodes.set(fn, node);
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
    const base = this.#baseClass(fn, code, parts);
    if (base !== undefined) references.push(base);
    for (const use of parts.names) {
      if (base !== undefined && use.start >= base.start && use.end <= base.end) continue;
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

  /** What a class extends, when variables tell it: V8 shows those only to code that runs later, but the class knows. */
  #baseClass(fn: AnyFunction, code: Code, { node, names }: CodeParts): Reference | undefined {
    const at = isClass(node) ? node.superClass : undefined;
    const base: unknown = Object.getPrototypeOf(fn);
    if (at == null || typeof base !== "function") return undefined;
    const isTold = names.some(
      ({ start, end, variable }) => start >= at.start && end <= at.end && !isImported(variable, code),
    );
    if (!isTold) return undefined;
    const cell = this.#functionCell(base as AnyFunction, { fn, code, at }, false);
    return { start: at.start, end: at.end, cell, shorthand: false };
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
    if (variable === undefined && use.code.isDirectEval(name)) throw evalError(use);
    if (variable === undefined) return this.#outerCell(use, name.name);
    const known = this.#variables.sole(variable);
    if (known !== undefined) return known;
    const imported = importOf(variable, use.code);
    if (imported !== undefined) return this.#variables.keep(variable, this.#add(imported));
    const required = requireOf(variable, use.code);
    if (required !== undefined) return this.#initializedCell(use, variable, required);
    if (isVitestMeta(variable)) return this.#metaCell(use);
    return this.#variableCell(use, variable);
  }

  /** A variable by its initializer. What that needs gets its cell first: it was there first, too. */
  #initializedCell(use: Use, variable: Variable, made: Omit<RequireCell, "references">): number {
    const references = use.code.freeNames(made.text).flatMap((at) => {
      const cell = at.name === "require" ? undefined : this.#helperFor({ ...use, at }, at);
      return cell === undefined ? [] : [{ start: at.start, end: at.end, cell, shorthand: use.code.isShorthand(at) }];
    });
    return this.#variables.keep(variable, this.#add({ ...made, references }));
  }

  /** V8 does not show variables that only the top level of their script uses, as helpers of compilers. */
  #helperFor(use: Use, at: NameUse): number | undefined {
    const { variable } = at;
    const isShown = variable === undefined || this.#variables.sole(variable) !== undefined;
    if (isShown || this.#scopeWith(use.fn, at.name) !== undefined) return this.#cellFor(use, at);
    const helper = initializerOf(variable, use.code);
    return helper === undefined ? this.#cellFor(use, at) : this.#initializedCell(use, variable, helper);
  }

  #variableCell(use: Use, variable: Variable): number {
    const { name } = variable;
    if (name.startsWith("__vite_ssr_")) throw unmatchedError(use, name);
    const { scope, value } = this.#seen(use, name);
    const isFixed = !isReassigned(variable);
    const isSole = use.code.isOfModule(variable);
    if (isFixed && this.#isCode(value)) {
      const cell = this.#functionCell(value, use, false);
      return isSole ? this.#variables.keep(variable, cell) : cell;
    }
    const user = { fn: use.fn, node: this.#nodes.get(use.fn) ?? use.code.program };
    const known = isFixed
      ? this.#variables.withValue(variable, value)
      : this.#variables.ofScope(variable, { scope, user });
    if (known === "ambiguous") throw ambiguousError(use, name);
    if (known !== undefined) return known;
    if (!isFixed) this.#hasVariables = true;
    const read = isFixed ? () => value : () => this.#valueFor(use.fn, name);
    const cell = this.#addValue({ name, use, read });
    this.#variables.note(variable, { cell, value, scope, user }, isSole);
    return cell;
  }

  /** Throws CaptureError for a variable that V8 does not show, or that has no value yet. */
  #seen(use: Use, name: string): { readonly scope: LiveScope; readonly value: unknown } {
    const scope = this.#scopeWith(use.fn, name);
    if (scope === undefined) throw unseenError(use, name);
    const value = valueIn(scope, name);
    if (value === NO_VALUE) throw earlyError(use, name);
    return { scope, value };
  }

  #valueFor(fn: AnyFunction, name: string): unknown {
    return valueIn(this.#scopeWith(fn, name) ?? {}, name);
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
  #outerCell(use: Use, name: string): number | undefined {
    const outer = outerName(name, use.code, (of) => this.#scopeWith(use.fn, of));
    if (outer === undefined) return undefined;
    if (name === "require") throw requireError(use);
    const value = outer.read();
    if (value === NO_VALUE) throw earlyError(use, name);
    if (this.#isCode(value)) {
      this.#pins.push({ value, read: outer.read });
      const isOfNode = typeof value === "function" && this.#program.scripts.find(value) === "internal";
      return isOfNode ? undefined : this.#functionCell(value, use, false);
    }
    if (!outer.isConstant) this.#hasVariables = true;
    return this.#keyed(outer.key, { name: outer.name, use, read: outer.read });
  }

  /** `import.meta` of the file that the user wrote. */
  #metaCell(use: Use): number {
    const { file } = use.code.source;
    const meta = metaOf(file);
    return this.#keyed(`meta ${file}`, { name: "import.meta", use, read: () => meta });
  }

  /** The cell of a value that there is one of. */
  #keyed(key: string | undefined, value: CapturedValue): number {
    const known = key === undefined ? undefined : this.#known.get(key);
    if (known !== undefined) return known;
    const cell = this.#addValue(value);
    if (key !== undefined) this.#known.set(key, cell);
    return cell;
  }

  #addValue(value: CapturedValue): number {
    this.#values.add(value);
    return this.#add({ kind: "value", name: value.name });
  }

  #add(cell: Cell): number {
    return this.#cells.push(cell) - 1;
  }
}

/** What is imported has the same meaning there; so have names of the language. */
function isImported(variable: Variable | undefined, code: Code): boolean {
  return variable === undefined || (importOf(variable, code) ?? requireOf(variable, code)) !== undefined;
}
