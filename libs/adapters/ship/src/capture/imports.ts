import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { AnyNode, ImportDeclaration, VariableDeclarator } from "acorn";
import type { Variable } from "eslint-scope";
import { walk } from "../module-exports.ts";
import { type Code, isReassigned } from "./code.ts";
import type { ImportCell, RequireCell, Specifier } from "./graph.ts";

/** The import that gave the variable; undefined when none did. */
export function importOf(variable: Variable, code: Code): ImportCell | undefined {
  return vitestImportOf(variable, code) ?? declaredImport(variable, code);
}

/** In modules that vitest rewrote: what `import.meta` is called. */
export function isVitestMeta({ name, defs: [definition] }: Variable): boolean {
  return name === "__vite_ssr_import_meta__" && definition?.type === "Parameter";
}

/** `const __vite_ssr_import_0__ = await __vite_ssr_import__("/src/help.ts", ...)`: the namespace of that module. */
function vitestImportOf({ name, defs: [definition] }: Variable, { source }: Code): ImportCell | undefined {
  if (!name.startsWith("__vite_ssr_import_") || definition?.type !== "Variable" || source.file === undefined)
    return undefined;
  const { init } = definition.node as unknown as VariableDeclarator;
  const call = init?.type === "AwaitExpression" ? init.argument : init;
  const [named] = call?.type === "CallExpression" ? call.arguments : [];
  if (named?.type !== "Literal" || typeof named.value !== "string") return undefined;
  const specifier = vitestFile(named.value, source.file);
  return { kind: "import", name, specifier, importer: source.file, imported: "*", attributes: {} };
}

/** A module as vitest names it: below the root of its project, which is some directory above the importer. */
function vitestFile(named: string, importer: string): string {
  if (named.startsWith("file:")) return fileURLToPath(named);
  const path = named.replace(/^\/@fs\//, "/").replace(/[?#].*$/, "");
  if (!path.startsWith("/")) return named;
  for (let root = dirname(importer); ; root = dirname(root)) {
    if (existsSync(join(root, path))) return join(root, path);
    if (root === dirname(root)) return named;
  }
}

function declaredImport(variable: Variable, { source }: Code): ImportCell | undefined {
  const [definition] = variable.defs;
  if (definition?.type !== "ImportBinding" || source.file === undefined) return undefined;
  const specifier = definition.node as unknown as AnyNode;
  const declaration = definition.parent as unknown as ImportDeclaration;
  const attributes = declaration.attributes.map((at) => [textOf(at.key), String(at.value.value)] as const);
  return {
    kind: "import",
    name: variable.name,
    specifier: String(declaration.source.value),
    importer: source.file,
    imported: importedName(specifier),
    attributes: Object.fromEntries(attributes),
  };
}

function importedName(node: AnyNode): string {
  if (node.type === "ImportNamespaceSpecifier") return "*";
  return node.type === "ImportSpecifier" ? textOf(node.imported) : "default";
}

function textOf(node: AnyNode): string {
  return node.type === "Identifier" ? node.name : String((node as { value?: unknown }).value);
}

/** The `require` that gave a variable of a CommonJS module; undefined when none did, or others assign to it, too. */
export function requireOf(variable: Variable, code: Code): Omit<RequireCell, "references"> | undefined {
  const made = initializerOf(variable, code);
  return made === undefined || made.specifiers.length === 0 ? undefined : made;
}

/** What gave a variable of a CommonJS module its value; undefined when that is not clear, or others assign to it, too. */
export function initializerOf(variable: Variable, code: Code): Omit<RequireCell, "references"> | undefined {
  const [definition] = variable.defs;
  if (code.source.isModule || definition?.type !== "Variable" || isReassigned(variable)) return undefined;
  const { id, init } = definition.node as unknown as VariableDeclarator;
  const member = memberOf(id, variable.name);
  if (init == null || !code.isOfModule(variable) || member === "unclear") return undefined;
  return {
    kind: "require",
    name: variable.name,
    source: code.source,
    text: { start: init.start, end: init.end },
    specifiers: requiresIn(init),
    member,
  };
}

function requiresIn(init: AnyNode): Specifier[] {
  const specifiers: Specifier[] = [];
  walk(init, (node) => {
    if (node.type === "FunctionExpression" || node.type === "ArrowFunctionExpression") return false;
    const [named] = node.type === "CallExpression" ? node.arguments : [];
    const isRequire =
      node.type === "CallExpression" && node.callee.type === "Identifier" && node.callee.name === "require";
    if (isRequire && named?.type === "Literal" && typeof named.value === "string")
      specifiers.push({ start: named.start, end: named.end, specifier: named.value, how: "require" });
    return true;
  });
  return specifiers;
}

/** `const { member: name } = require(...)`; undefined for `const name = require(...)`. */
function memberOf(id: AnyNode, name: string): string | undefined {
  if (id.type === "Identifier") return undefined;
  if (id.type !== "ObjectPattern") return "unclear";
  for (const property of id.properties) {
    if (property.type === "Property" && !property.computed && isName(property.value, name)) return textOf(property.key);
  }
  return "unclear";
}

function isName(node: AnyNode, name: string): boolean {
  return node.type === "Identifier" && node.name === name;
}
