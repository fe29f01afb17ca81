import type { AnyNode } from "acorn";
import { isFunction } from "../module-exports.ts";
import { childrenOf } from "./code.ts";
import type { TextRange } from "./graph.ts";

/** Something in a function's text that belongs to what is around it and cannot be taken along. */
export interface Bond extends TextRange {
  readonly what: string;
  readonly kind: "this" | "super" | "new.target" | "private";
}

/** A function with a `this` of its own. */
export function hasOwnThis({ type }: AnyNode): boolean {
  return type === "FunctionDeclaration" || type === "FunctionExpression";
}

/** What makes a `this` for what is in it: a function that is no arrow, a class's field or static block. */
export function givesThis(node: AnyNode): boolean {
  return hasOwnThis(node) || node.type === "StaticBlock" || node.type === "PropertyDefinition";
}

/** The `this`, `super` and `new.target` in a node that belong to whatever is around it, and private names of classes around it. */
export function bondsOf(node: AnyNode): Bond[] {
  const bonds: Bond[] = [];
  visit(node, { inThis: false, names: new Set() }, bonds);
  return bonds;
}

interface Around {
  /** Something between here and the node gives a `this`. */
  readonly inThis: boolean;
  /** Private names of the classes between. */
  readonly names: ReadonlySet<string>;
}

function visit(node: AnyNode, around: Around, bonds: Bond[]): void {
  const bond = bondAt(node, around);
  if (bond !== undefined) bonds.push({ start: node.start, end: node.end, ...bond });
  if (node.type === "ClassDeclaration" || node.type === "ClassExpression") {
    const names = new Set([...around.names, ...privateNamesOf(node)]);
    if (node.superClass != null) visit(node.superClass, around, bonds);
    for (const member of node.body.body) visitMember(member, { ...around, names }, bonds);
    return;
  }
  if (isLoweredAsync(node)) return visitAll(node.arguments.slice(1), around, bonds);
  const within = hasOwnThis(node) ? { ...around, inThis: true } : around;
  for (const child of childrenOf(node)) visit(child, within, bonds);
}

/** `__awaiter(this, void 0, void 0, function* () { ... })`, which compilers make of an async function that need not use `this`. */
function isLoweredAsync(node: AnyNode): node is Extract<AnyNode, { type: "CallExpression" }> {
  if (
    node.type !== "CallExpression" ||
    node.callee.type !== "Identifier" ||
    node.arguments[0]?.type !== "ThisExpression"
  )
    return false;
  if (!/^__(awaiter|async|asyncGenerator)$/.test(node.callee.name)) return false;
  return node.arguments.every((at) => !isFunction(at) || bondsOf(at.body).every(({ kind }) => kind !== "this"));
}

function visitMember(member: AnyNode, around: Around, bonds: Bond[]): void {
  if (member.type !== "MethodDefinition" && member.type !== "PropertyDefinition")
    return visitAll(childrenOf(member), { ...around, inThis: true }, bonds);
  if (member.computed) visit(member.key, around, bonds);
  if (member.value != null) visit(member.value, { ...around, inThis: true }, bonds);
}

function visitAll(nodes: readonly AnyNode[], around: Around, bonds: Bond[]): void {
  for (const node of nodes) visit(node, around, bonds);
}

function bondAt(node: AnyNode, { inThis, names }: Around): Pick<Bond, "what" | "kind"> | undefined {
  if (node.type === "PrivateIdentifier")
    return names.has(node.name) ? undefined : { what: `#${node.name}`, kind: "private" };
  if (inThis) return undefined;
  if (node.type === "ThisExpression") return { what: "this", kind: "this" };
  if (node.type === "Super") return { what: "super", kind: "super" };
  if (node.type === "MetaProperty" && node.meta.name === "new") return { what: "new.target", kind: "new.target" };
  return undefined;
}

function privateNamesOf(node: Extract<AnyNode, { type: "ClassDeclaration" | "ClassExpression" }>): string[] {
  return node.body.body.flatMap((member) =>
    "key" in member && member.key.type === "PrivateIdentifier" ? [member.key.name] : [],
  );
}
