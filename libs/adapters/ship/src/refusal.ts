import type { AnyFunction } from "@heddle/port-shipper";
import type { AnyNode } from "acorn";
import {
  type FunctionNode,
  isFunction,
  isVitestWrapper,
  type ModuleExports,
  pathTo,
  unwrapped,
} from "./module-exports.ts";

/** Why a function of an ES module cannot be shipped, and what to do, as far as its text tells. `node` is the function in that text. */
export function refusal(fn: AnyFunction, node: FunctionNode | undefined, exports: ModuleExports): string {
  if (/^class\b/.test(Function.prototype.toString.call(fn))) {
    return "is a class: export a function that makes one and does its work";
  }
  if (node === undefined) return notExported(fn);
  const path = pathTo(exports.program, node).slice(0, -1);
  const outer = path.findLastIndex((at) => isFunction(at) && !isVitestWrapper(at));
  if (outer !== -1) return madeInside(fn, nameAt(path, outer));
  const parent = path.findLast((at) => unwrapped(at) !== node);
  const name = parent === undefined ? undefined : nameOf(parent, node);
  if (name !== undefined && exports.reassigned.has(name)) return reassigned(name);
  if (isMember(parent)) return memberOf(fn, ownerAt(path));
  if (parent?.type === "CallExpression") return givenTo(fn, parent.callee);
  return name === undefined ? partOfExpression(fn) : notExported(fn);
}

/** What can be said of a function that no export is. */
export function notExported(fn: AnyFunction): string {
  const what = isName(fn.name) ? `export ${fn.name}` : "name it, export it";
  return `is not an export of its module: ${what} and import it; inline functions are not supported yet`;
}

function madeInside(fn: AnyFunction, outer: string | undefined): string {
  const maker = outer ?? "another function";
  return `is made inside ${maker} when that runs, so it may use values of that call, which do not travel: ${advice(fn)}`;
}

function reassigned(name: string): string {
  return `was given to ${name}, which is assigned again elsewhere in the module and may be another function there: export it as a const`;
}

function memberOf(fn: AnyFunction, owner: string | undefined): string {
  const object = owner ?? "an object or a class";
  const call = owner === undefined ? "to call it" : `to call it on ${owner}`;
  return `is a member of ${object}, and members are not shipped without it: ${advice(fn)}, ${call}`;
}

function givenTo(fn: AnyFunction, callee: AnyNode): string {
  const taker = callee.type === "Identifier" ? callee.name : "another function";
  return `is an argument of a call of ${taker}, which does not make it an export by itself: ${advice(fn)}`;
}

function partOfExpression(fn: AnyFunction): string {
  return `is part of a larger expression, so the module's text does not tell whether it is an export: ${advice(fn)}`;
}

function advice(fn: AnyFunction): string {
  if (!isName(fn.name))
    return 'name it and export it, as in "export function task(...) { ... }" at the top of a module';
  return `write "export function ${fn.name}(...) { ... }" at the top of a module`;
}

function isName(name: string): boolean {
  return name !== "default" && /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name);
}

function isMember(parent: AnyNode | undefined): boolean {
  return parent?.type === "MethodDefinition" || parent?.type === "PropertyDefinition" || parent?.type === "Property";
}

/** The name of the class or the constant that the innermost member on the path belongs to. */
function ownerAt(path: readonly AnyNode[]): string | undefined {
  for (const at of path.toReversed()) {
    if (at.type === "ClassDeclaration" || at.type === "ClassExpression") {
      if (at.id != null) return at.id.name;
    } else if (at.type === "VariableDeclarator") {
      return at.id.type === "Identifier" && !at.id.name.startsWith("__vite_ssr_") ? at.id.name : undefined;
    }
  }
  return undefined;
}

/** The name that the function at this place of the path has, or was given. */
function nameAt(path: readonly AnyNode[], index: number): string | undefined {
  const node = path[index];
  if (node === undefined) return undefined;
  if ("id" in node && node.id?.type === "Identifier") return node.id.name;
  const parent = path.slice(0, index).findLast((at) => unwrapped(at) !== node);
  return parent === undefined ? undefined : nameOf(parent, node);
}

/** The name that `parent` gives to the function in it. */
function nameOf(parent: AnyNode, node: AnyNode): string | undefined {
  if ("id" in node && node.type === "FunctionDeclaration") return node.id?.name;
  if (parent.type === "VariableDeclarator") return parent.id.type === "Identifier" ? parent.id.name : undefined;
  if (parent.type === "AssignmentExpression") return parent.left.type === "Identifier" ? parent.left.name : undefined;
  if (parent.type === "MethodDefinition" || parent.type === "PropertyDefinition" || parent.type === "Property") {
    return parent.key.type === "Identifier" && !parent.computed ? parent.key.name : undefined;
  }
  return undefined;
}
