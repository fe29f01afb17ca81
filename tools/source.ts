import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseSync } from "oxc-parser";

/** Any node of the syntax tree: a type, a place in the text, and whatever that type has. */
export interface SyntaxNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

/** Folders that hold nothing written by hand. */
const madeByTools = new Set(["node_modules", "dist", "gen", "coverage", ".git", ".nx"]);

/** Paths below `root` of every TypeScript source written by hand, in order; none if the folder is missing. */
export function sourcesUnder(root: string, folder: string): string[] {
  return filesUnder(root, folder).filter((file) => file.endsWith(".ts"));
}

/** Paths below `root` of every file that no tool has made, in order. */
export function filesUnder(root: string, folder: string): string[] {
  const entries = readdirSync(join(root, folder), { withFileTypes: true });
  return entries
    .filter((entry) => !madeByTools.has(entry.name))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      return entry.isDirectory() ? filesUnder(root, path) : [path];
    });
}

/** Reads and parses one file. Throws on a syntax error, naming the file: nothing can be said about what cannot be read. */
export function parseSource(root: string, path: string): { readonly text: string; readonly program: SyntaxNode } {
  const text = readFileSync(join(root, path), "utf8");
  const { program, errors } = parseSync(path, text);
  const [error] = errors;
  if (error !== undefined) throw new SyntaxError(`${path}: ${error.message}`);
  return { text, program: program as unknown as SyntaxNode };
}

/** `node` and everything below it, parents first. */
export function* nodesOf(node: SyntaxNode): Generator<SyntaxNode> {
  yield node;
  for (const field of Object.values(node)) {
    for (const child of Array.isArray(field) ? field : [field]) {
      if (isNode(child)) yield* nodesOf(child);
    }
  }
}

export function isNode(value: unknown): value is SyntaxNode {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
}

/** 1-based line of an offset in the text. */
export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}
