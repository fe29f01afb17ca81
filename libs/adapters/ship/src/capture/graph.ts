import type { AnyNode } from "acorn";

/**
 * All that a function needs to run elsewhere, found but not yet written down. Cells are numbered by discovery, which depends on the code
 * alone: the same code gives the same cells, whatever the values are.
 */
export interface CaptureGraph {
  readonly cells: readonly Cell[];
  /** Number of the cell of the function that was asked for. */
  readonly root: number;
  /** Numbers of the code cells whose functions are inside captured values: index in this list is what the values have in their place. */
  readonly functionsInValues: readonly number[];
  /** The values of all value cells in order of cells, as one array, encoded. */
  readonly values: Uint8Array;
}

/** One variable, or one function or class without a name of its own, of the captured code. */
export type Cell = CodeCell | ImportCell | RequireCell | ValueCell | NativeCell;

/** A script whose code is captured. */
export interface Source {
  /** The text that V8 sees. */
  readonly text: string;
  /** Absolute path of the script's file; undefined for code without one (eval). */
  readonly file: string | undefined;
  /** Its source map as JSON text, when it has one: from `text` to what the user wrote. */
  readonly map: string | undefined;
  readonly isModule: boolean;
}

/** A range of a source's text, in UTF-16 units. */
export interface TextRange {
  readonly start: number;
  readonly end: number;
}

/** A function or a class, by its text. */
export interface CodeCell {
  readonly kind: "code";
  /** What the user calls it; may be empty, may be no identifier, is not unique. */
  readonly name: string;
  readonly source: Source;
  readonly node: AnyNode;
  /** What to take of the text. Of a method: without `static`, from `async`, `*`, `get` or its key on. */
  readonly text: TextRange;
  /** "method": `text` is a member of an object literal; `key` is the text range of its key, brackets included. */
  readonly form: "function" | "class" | "method";
  readonly key: TextRange | undefined;
  /** Free names in `text`, in order: each is to become the name of that cell. */
  readonly references: readonly Reference[];
  /** Modules named by `import("x")` and `require("x")` in `text`, in order; the range is that of the string literal, quotes included. */
  readonly specifiers: readonly Specifier[];
  /** Cells whose values are used while the code is defined: what a class extends, static fields and blocks, computed keys. */
  readonly neededAtDefinition: readonly number[];
  /** Own enumerable properties that the user put on the function: number of the value cell with an object of them. */
  readonly properties: number | undefined;
}

/** A place in the text where a cell is meant. */
export interface Reference extends TextRange {
  readonly cell: number;
  /** `{ name }` in an object literal: becomes `name: cell`. */
  readonly shorthand: boolean;
}

/** A module that is named inside code. */
export interface Specifier extends TextRange {
  readonly specifier: string;
  readonly how: "import" | "require";
}

/** A variable that an import declaration of its module gave. */
export interface ImportCell {
  readonly kind: "import";
  readonly name: string;
  /** As in the source, or an absolute path. */
  readonly specifier: string;
  /** The module that has the declaration: what the specifier is relative to. */
  readonly importer: string;
  /** Name of the export, "default", or "*" for the namespace. */
  readonly imported: string;
  /** `with { type: "json" }`. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** A variable of a CommonJS module that `require` gave: the declaration's own initializer, e.g. `__toESM(require("./x"), 1)`. */
export interface RequireCell {
  readonly kind: "require";
  readonly name: string;
  readonly source: Source;
  /** The initializer's text. */
  readonly text: TextRange;
  readonly references: readonly Reference[];
  readonly specifiers: readonly Specifier[];
  /** `const { member } = require(...)`: which member; undefined for the whole. */
  readonly member: string | undefined;
}

/** A variable that travels by value. */
export interface ValueCell {
  readonly kind: "value";
  readonly name: string;
}

/** A function or class of the language or of Node.js that is at hand everywhere. */
export interface NativeCell {
  readonly kind: "native";
  readonly name: string;
  /** `Math.sqrt`; or, with `module`, the export's name. */
  readonly expression: string;
  /** "node:path" when it is an export of that. */
  readonly module: string | undefined;
}

/** Where something of the user's is, in the user's own file. */
export interface Position {
  /** Absolute path, or the script's name when there is no file. */
  readonly file: string;
  /** From 1; 0 unknown. */
  readonly line: number;
}
