import type { AnyNode } from "acorn";
import { type ClassNode, isClass, isFunction, walk } from "../module-exports.ts";
import type { Code, NameUse } from "./code.ts";
import type { CodeCell, Reference, Specifier, TextRange } from "./graph.ts";
import { argumentsError, bondError, changedError, classError, requireError, type Use } from "./refusals.ts";
import { bondsOf, givesThis, hasOwnThis } from "./shape.ts";

/** What the text of a function or class tells by itself. */
export interface CodeParts {
  readonly node: AnyNode;
  readonly text: TextRange;
  readonly form: CodeCell["form"];
  readonly key: TextRange | undefined;
  /** Names that something outside gives a meaning. `exports.x` of a CommonJS module is one name. */
  readonly names: readonly NameUse[];
  /** Uses of `import.meta`. */
  readonly metas: readonly TextRange[];
  readonly specifiers: readonly Specifier[];
  /** Parts that run when the code is defined. */
  readonly definition: readonly TextRange[];
}

/** Reads a function or class. `isRoot`: it is to be called with an item. Throws CaptureError for what ties it to its place. */
export function readCode(use: Use, node: AnyNode, isRoot: boolean): CodeParts {
  const { code } = use;
  const { text, form, key } = extentOf(code, node);
  if (isRoot && form === "class") throw classError(use);
  checkBonds(use, node, form, isRoot);
  checkPrototype(use, node, form);
  const marks = marksIn(use, node);
  const isTaken = (name: NameUse): boolean =>
    marks.taken.some((range) => isInside(name, range)) || (key !== undefined && isInside(name, key));
  const names = code.freeNames(text).filter((name) => !isTaken(name));
  const stray = names.find(({ name, variable }) => name === "arguments" && variable?.defs.length === 0);
  if (stray !== undefined) throw argumentsError({ ...use, at: stray });
  return {
    node,
    text,
    form,
    key,
    names: [...names, ...marks.members].sort((one, other) => one.start - other.start),
    metas: marks.metas,
    specifiers: marks.specifiers,
    definition: isClass(node) ? definitionOf(node) : [],
  };
}

function isInside(inner: TextRange, outer: TextRange): boolean {
  return inner.start >= outer.start && inner.end <= outer.end;
}

/** A method is taken with its key, without which it is no code. */
function extentOf(code: Code, node: AnyNode): Pick<CodeParts, "text" | "form" | "key"> {
  if (isClass(node)) return { text: node, form: "class", key: undefined };
  const [parent] = code.around(node);
  const isMember = parent?.type === "MethodDefinition" || (parent?.type === "Property" && parent.value === node);
  if (!isMember || parent.value !== node || !isMethod(parent)) return { text: node, form: "function", key: undefined };
  const { text } = code.source;
  const { start, end, key, computed } = parent;
  const isStatic = parent.type === "MethodDefinition" && parent.static;
  const isAccessor = parent.kind === "get" || parent.kind === "set"; // its function is a method like any other
  const modifiers = isStatic ? (isAccessor ? /^static\s*[gs]et\s*/ : /^static\s*/) : isAccessor ? /^[gs]et\s*/ : /^/;
  const [modifier = ""] = modifiers.exec(text.slice(start)) ?? [];
  const keyRange = computed
    ? { start: text.lastIndexOf("[", key.start - 1), end: text.indexOf("]", key.end) + 1 }
    : { start: key.start, end: key.end };
  return { text: { start: start + modifier.length, end }, form: "method", key: keyRange };
}

/** `{ f() {} }`, not `{ f: function () {} }`. */
function isMethod(parent: AnyNode): boolean {
  return (
    parent.type === "MethodDefinition" || (parent.type === "Property" && (parent.method || parent.kind !== "init"))
  );
}

/** Throws for a function that uses what only its place gives: `this`, `super`, `new.target`, private names. */
function checkBonds(use: Use, node: AnyNode, form: CodeCell["form"], isRoot: boolean): void {
  const isAtTop = !use.code.around(node).some(givesThis) && use.code.source.isModule;
  const own = form === "method" || (isRoot && hasOwnThis(node)) ? ownBonds(node) : [];
  for (const bond of [...bondsOf(node), ...own]) {
    const isUndefinedAnyway = bond.kind === "this" && isAtTop && !hasOwnThis(node);
    if (!isUndefinedAnyway) throw bondError(use, bond, form === "method" || own.includes(bond));
  }
}

/** What it uses of the `this` that a call gives it. */
function ownBonds(node: AnyNode) {
  if (!isFunction(node)) return [];
  return [...node.params, node.body].flatMap(bondsOf);
}

/** `function Point() {}` with `Point.prototype.norm = ...`, or with the prototype of another. */
function checkPrototype(use: Use, node: AnyNode, form: CodeCell["form"]): void {
  const prototype: unknown = form === "function" ? use.fn.prototype : undefined;
  if (typeof prototype !== "object" || prototype === null) return;
  const added = Reflect.ownKeys(prototype).find((name) => name !== "constructor");
  if (added !== undefined) throw changedError(use, `has a member put on its prototype later (${String(added)})`);
  const isGenerator = isFunction(node) && node.generator;
  const base: unknown = Object.getPrototypeOf(prototype);
  if (isGenerator || base === null || Object.getPrototypeOf(base) === null) return;
  throw changedError(use, "was given the prototype of another");
}

interface Marks {
  readonly metas: TextRange[];
  readonly specifiers: Specifier[];
  readonly members: NameUse[];
  /** Names in here are accounted for. */
  readonly taken: TextRange[];
}

function marksIn(use: Use, node: AnyNode): Marks {
  const marks: Marks = { metas: [], specifiers: [], members: [], taken: [] };
  const { isModule } = use.code.source;
  walk(node, (at) => {
    if (at.type === "MetaProperty" && at.meta.name === "import") marks.metas.push({ start: at.start, end: at.end });
    else if (at.type === "ImportExpression") noteSpecifier(marks, at.source, "import");
    else if (!isModule && at.type === "CallExpression" && isName(at.callee, "require")) {
      if (!noteSpecifier(marks, at.arguments[0], "require")) throw requireError({ ...use, at });
      marks.taken.push({ start: at.callee.start, end: at.callee.end });
    } else if (!isModule && at.type === "MemberExpression" && !at.computed && isName(at.object, "exports")) {
      const range = { start: at.start, end: at.end };
      const member = at.property.type === "Identifier" ? at.property.name : "";
      marks.members.push({ ...range, name: `exports.${member}`, variable: undefined });
      marks.taken.push(range);
    }
    return true;
  });
  return marks;
}

function isName(node: AnyNode, name: string): boolean {
  return node.type === "Identifier" && node.name === name;
}

function noteSpecifier(marks: Marks, node: AnyNode | undefined, how: Specifier["how"]): boolean {
  if (node?.type !== "Literal" || typeof node.value !== "string") return false;
  marks.specifiers.push({ start: node.start, end: node.end, specifier: node.value, how });
  return true;
}

/** What a class extends, its computed keys, static fields and static blocks. */
function definitionOf({ superClass, body }: ClassNode): TextRange[] {
  const ranges: TextRange[] = superClass == null ? [] : [superClass];
  for (const member of body.body) {
    if (member.type === "StaticBlock") ranges.push(member);
    else {
      if (member.computed) ranges.push(member.key);
      if (member.type === "PropertyDefinition" && member.static && member.value != null) ranges.push(member.value);
    }
  }
  return ranges;
}

/** Cells that the parts which run at definition refer to. */
export function neededAt({ definition }: CodeParts, references: readonly Reference[]): number[] {
  const needed = references.filter((at) => definition.some(({ start, end }) => at.start >= start && at.end <= end));
  return [...new Set(needed.map(({ cell }) => cell))];
}
