import { type AnyNode, type Program, parse, type VariableDeclarator } from "acorn";

/** A function of any spelling but a method. */
export type FunctionNode = Extract<
  AnyNode,
  { type: "FunctionDeclaration" | "FunctionExpression" | "ArrowFunctionExpression" }
>;

/** A class of any spelling. */
export type ClassNode = Extract<AnyNode, { type: "ClassDeclaration" | "ClassExpression" }>;

type CodeNode = FunctionNode | ClassNode;

/** The exports of a module, read off its text as V8 has it. */
export interface ModuleExports {
  /** Export names by the top-level function or class that they surely are. One may have several. */
  readonly functions: ReadonlyMap<CodeNode, readonly string[]>;
  readonly hasDefault: boolean;
  readonly program: Program;
}

/** What module-level names stand for: a function or class, and whether that can change later. */
interface Bindings {
  readonly functions: Map<string, CodeNode>;
  readonly constants: Set<string>;
  /** Constants that are another name, by their own. */
  readonly aliases: Map<string, string>;
  readonly reassigned: Set<string>;
}

/** Reads an ES module, or the function that vitest makes of one. Throws SyntaxError for what is no JavaScript. */
export function readModuleExports(text: string, isModule: boolean): ModuleExports {
  const sourceType = isModule ? "module" : "script";
  const program = parse(text, { ecmaVersion: "latest", sourceType, allowHashBang: true });
  const wrapped = isModule ? undefined : vitestBody(program);
  const body = wrapped ?? program.body;
  const bindings = bindingsOf(body, program);
  const named = wrapped === undefined ? standardExports(body, bindings) : vitestExports(body, bindings);
  const functions = new Map<CodeNode, string[]>();
  for (const [name, fn] of named) {
    if (fn !== undefined) functions.set(fn, [...(functions.get(fn) ?? []), name]);
  }
  return { functions, hasDefault: named.some(([name]) => name === "default"), program };
}

/** The text is one that vitest made of a module: an async arrow function whose parameters are `__vite_ssr_...`. */
export function isVitestModule(text: string): boolean {
  return /^\s*(['"]use strict['"];?\s*)?(\(?)async\s*\(__vite_ssr_/.test(text);
}

/** The innermost function whose own code begins at the offset. */
export function functionAt(program: Program, offset: number): FunctionNode | undefined {
  let found: FunctionNode | undefined;
  walk(program, (node) => {
    if (isFunction(node) && node.start <= offset && offset <= node.body.start) found = node; // inner ones come later
    return node.start <= offset && offset <= node.end;
  });
  return found;
}

/** The class that begins at the offset. */
export function classAt(program: Program, offset: number): ClassNode | undefined {
  let found: ClassNode | undefined;
  walk(program, (node) => {
    if (isClass(node) && node.start === offset) found = node;
    return node.start <= offset && offset <= node.end;
  });
  return found;
}

type NamedExport = readonly [name: string, fn: CodeNode | undefined];

function standardExports(body: readonly AnyNode[], bindings: Bindings): NamedExport[] {
  const named: NamedExport[] = [];
  for (const node of body) {
    if (node.type === "ExportDefaultDeclaration") {
      named.push(["default", functionIn(node.declaration, bindings)]);
    } else if (node.type === "ExportNamedDeclaration" && node.source == null) {
      for (const name of node.declaration == null ? [] : declaredNames(node.declaration)) {
        named.push([name, lookUp(name, bindings)]);
      }
      for (const { local, exported } of node.specifiers) {
        named.push([nameOf(exported), lookUp(nameOf(local), bindings)]);
      }
    } else if (node.type === "ExportNamedDeclaration") {
      for (const { exported } of node.specifiers) named.push([nameOf(exported), undefined]);
    }
  }
  return named;
}

/** `__vite_ssr_exportName__("name", () => { try { return local } catch {} })`, and the older `Object.defineProperty(..., "name", { get(){ return local } })`. */
function vitestExports(body: readonly AnyNode[], bindings: Bindings): NamedExport[] {
  const named: NamedExport[] = [];
  for (const statement of body) {
    if (statement.type !== "ExpressionStatement" || statement.expression.type !== "CallExpression") continue;
    const { callee, arguments: given } = statement.expression;
    const isExport =
      (callee.type === "Identifier" && callee.name === "__vite_ssr_exportName__") ||
      (callee.type === "MemberExpression" && given[0]?.type === "Identifier" && given[0].name.startsWith("__vi"));
    const name = given.find((argument) => argument.type === "Literal" && typeof argument.value === "string");
    if (!isExport || name?.type !== "Literal") continue;
    const local = returnedName(statement);
    named.push([String(name.value), local === undefined ? undefined : lookUp(local, bindings)]);
  }
  return named;
}

function returnedName(node: AnyNode): string | undefined {
  let name: string | undefined;
  walk(node, (inner) => {
    if (inner.type === "ReturnStatement" && inner.argument?.type === "Identifier") name = inner.argument.name;
    return true;
  });
  return name;
}

function vitestBody(program: Program): readonly AnyNode[] | undefined {
  const last = program.body.findLast((node) => node.type === "ExpressionStatement");
  if (last?.type !== "ExpressionStatement" || last.expression.type !== "ArrowFunctionExpression") return undefined;
  const { body } = last.expression;
  if (!isVitestWrapper(last.expression) || body.type !== "BlockStatement") return undefined;
  const [only] = body.body;
  return body.body.length === 1 && only?.type === "BlockStatement" ? only.body : body.body;
}

/** The function that vitest makes of a module. */
export function isVitestWrapper({ params: [first] }: FunctionNode): boolean {
  return first?.type === "Identifier" && first.name.startsWith("__vite_ssr_");
}

function bindingsOf(body: readonly AnyNode[], program: Program): Bindings {
  const bindings: Bindings = { functions: new Map(), constants: new Set(), aliases: new Map(), reassigned: new Set() };
  for (const statement of body) {
    const node = declarationIn(statement);
    const isCode = node?.type === "FunctionDeclaration" || node?.type === "ClassDeclaration";
    if (isCode && node.id !== null) bindings.functions.set(node.id.name, node);
    if (node?.type !== "VariableDeclaration") continue;
    for (const [name, init] of node.declarations.flatMap(declared)) {
      const value = unwrapped(init);
      if (node.kind === "const") bindings.constants.add(name);
      if (isCodeNode(value)) bindings.functions.set(name, value);
      else if (value.type === "Identifier" && node.kind === "const") bindings.aliases.set(name, value.name);
    }
  }
  walk(program, (node) => {
    const isAssignment =
      node.type === "AssignmentExpression" || node.type === "ForOfStatement" || node.type === "ForInStatement";
    if (isAssignment) for (const name of assignedNames(node.left)) bindings.reassigned.add(name);
    return true;
  });
  return bindings;
}

/** The names of a declarator with the expressions that they surely are: `f = ...` and `{ f, g: h } = { f: ..., g() {} }`. */
function declared({ id, init }: VariableDeclarator): (readonly [name: string, value: AnyNode])[] {
  if (init == null) return [];
  if (id.type === "Identifier") return [[id.name, init]];
  if (id.type !== "ObjectPattern" || init.type !== "ObjectExpression") return [];
  const values = new Map<string, AnyNode>();
  for (const property of init.properties) {
    if (property.type !== "Property" || property.computed || property.kind !== "init") return [];
    values.set(nameOf(property.key), property.value);
  }
  return id.properties.flatMap((property) => {
    if (property.type !== "Property" || property.computed || property.value.type !== "Identifier") return [];
    const value = values.get(nameOf(property.key));
    return value === undefined ? [] : [[property.value.name, value] as const];
  });
}

/** The variables that an assignment to this target changes; of nested patterns perhaps more names than that. */
function assignedNames(target: AnyNode): string[] {
  if (target.type === "Identifier") return [target.name];
  if (target.type !== "ObjectPattern" && target.type !== "ArrayPattern") return [];
  const names: string[] = [];
  walk(target, (node) => {
    if (node.type === "Identifier") names.push(node.name);
    return true;
  });
  return names;
}

function declarationIn(statement: AnyNode): AnyNode | undefined {
  if (statement.type === "ExportNamedDeclaration") return statement.declaration ?? undefined;
  return statement.type === "ExportDefaultDeclaration" ? statement.declaration : statement;
}

function functionIn(node: AnyNode, bindings: Bindings): CodeNode | undefined {
  const value = unwrapped(node);
  if (value.type === "Identifier") return lookUp(value.name, bindings);
  return isCodeNode(value) ? value : undefined;
}

/** esbuild (and so tsx) keeps a function's name with `__name(fn, "name")`, which gives `fn` itself. */
function unwrapped(node: AnyNode): AnyNode {
  if (node.type !== "CallExpression" || node.callee.type !== "Identifier" || node.callee.name !== "__name") return node;
  return node.arguments[0] ?? node;
}

/** A name that is assigned to anywhere may stand for another function by now: it stands for none. */
function lookUp(name: string, { functions, constants, aliases, reassigned }: Bindings): CodeNode | undefined {
  let at = name;
  for (let passed = 0; passed < aliases.size; passed++) at = aliases.get(at) ?? at; // a chain ends within as many steps
  return reassigned.has(at) && !constants.has(at) ? undefined : functions.get(at);
}

function declaredNames(declaration: AnyNode): string[] {
  if (declaration.type !== "VariableDeclaration") {
    return "id" in declaration && declaration.id?.type === "Identifier" ? [declaration.id.name] : [];
  }
  return declaration.declarations.flatMap((declarator) =>
    declarator.id.type === "Identifier" ? [declarator.id.name] : declared(declarator).map(([name]) => name),
  );
}

function nameOf(node: AnyNode): string {
  return node.type === "Identifier" ? node.name : String((node as { value?: unknown }).value);
}

export function isFunction(node: AnyNode): node is FunctionNode {
  return (
    node.type === "FunctionDeclaration" || node.type === "FunctionExpression" || node.type === "ArrowFunctionExpression"
  );
}

export function isClass(node: AnyNode): node is ClassNode {
  return node.type === "ClassDeclaration" || node.type === "ClassExpression";
}

function isCodeNode(node: AnyNode): node is CodeNode {
  return isFunction(node) || isClass(node);
}

/** Visits a node and all below it, outer ones first; `visit` says whether to go deeper. */
export function walk(node: AnyNode, visit: (node: AnyNode) => boolean): void {
  if (!visit(node)) return;
  for (const child of Object.values(node)) {
    for (const one of Array.isArray(child) ? child : [child]) if (isNode(one)) walk(one, visit);
  }
}

function isNode(value: unknown): value is AnyNode {
  return typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";
}
