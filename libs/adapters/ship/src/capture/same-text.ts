import type { AnyNode } from "acorn";
import { childrenOf } from "./code.ts";

/** Two functions or classes of two versions of a module that read the same but for how imports are called. */
export function isSameText(one: AnyNode, other: AnyNode): boolean {
  return one.type === other.type && fingerprint(one) === fingerprint(other);
}

const known = new WeakMap<AnyNode, string>();

/** All that tools leave alone when they rewrite imports: literals, names of members, parameters and operators, in order. */
function fingerprint(node: AnyNode): string {
  let print = known.get(node);
  if (print === undefined) {
    const parts: string[] = [];
    collect(node, parts);
    print = parts.join(" ");
    known.set(node, print);
  }
  return print;
}

function collect(node: AnyNode, parts: string[]): void {
  if (isImportCall(node)) return; // how modules are called is rewritten
  const imported = importedMember(node);
  if (imported !== undefined) return collect(imported, parts);
  switch (node.type) {
    case "Literal":
      parts.push(JSON.stringify(String(node.value)));
      break;
    case "TemplateElement":
      parts.push(JSON.stringify(node.value.raw));
      break;
    case "BinaryExpression":
    case "LogicalExpression":
    case "AssignmentExpression":
    case "UnaryExpression":
    case "UpdateExpression":
      parts.push(node.operator);
      break;
    case "FunctionExpression":
    case "FunctionDeclaration":
    case "ArrowFunctionExpression":
      parts.push(`${node.async ? "async " : ""}${node.generator ? "*" : ""}${node.params.length}`);
      break;
    case "VariableDeclarator":
    case "PropertyDefinition":
    case "MethodDefinition":
    case "ReturnStatement":
    case "IfStatement":
    case "ForStatement":
    case "ForOfStatement":
    case "WhileStatement":
    case "TryStatement":
    case "AwaitExpression":
    case "NewExpression":
      parts.push(node.type);
      break;
    default:
  }
  for (const child of childrenOf(node)) collect(child, parts);
}

function isImportCall(node: AnyNode): boolean {
  if (node.type === "ImportExpression") return true;
  return (
    node.type === "CallExpression" &&
    node.callee.type === "Identifier" &&
    node.callee.name === "__vite_ssr_dynamic_import__"
  );
}

/** `(0, module.member)`, which calls an import without making the module its `this`. */
function importedMember(node: AnyNode): AnyNode | undefined {
  if (node.type !== "SequenceExpression" || node.expressions.length !== 2) return undefined;
  const [first, second] = node.expressions;
  return first?.type === "Literal" && first.value === 0 && second?.type === "MemberExpression" ? second : undefined;
}
