import { type AnyNode, type Program, parse } from "acorn";
import { analyze, type ScopeManager, type Reference as ScopeReference, type Variable } from "eslint-scope";
import { isFunction, isVitestWrapper, walk } from "../module-exports.ts";
import type { Source, TextRange } from "./graph.ts";

/** A name in code that stands for something. */
export interface NameUse extends TextRange {
  readonly name: string;
  /** Its declaration; undefined for names that the script does not declare. */
  readonly variable: Variable | undefined;
}

/** A script, parsed, with all its names resolved. */
export class Code {
  readonly source: Source;
  readonly program: Program;
  /** Every use of a name, in order of the text. */
  readonly #uses: readonly NameUse[];
  /** Starts of names that are a whole property: `{ name }`. */
  readonly #shorthands = new Set<number>();
  /** Starts of `eval` where it is called by its name, and so sees all variables around it. */
  readonly #evals = new Set<number>();
  readonly #members: AnyNode[] = [];
  /** What is around a node, by the node. */
  readonly #parents = new Map<AnyNode, AnyNode>();
  readonly #scopes: ScopeManager;

  /** Throws SyntaxError for text that is no JavaScript. */
  constructor(source: Source) {
    this.source = source;
    const { text, isModule } = source;
    this.program = parse(text, {
      ecmaVersion: "latest",
      sourceType: isModule ? "module" : "script",
      allowHashBang: true,
      allowReturnOutsideFunction: !isModule,
      allowAwaitOutsideFunction: true,
      ranges: true,
    });
    // an eval somewhere could change what names stand for: one inside of what is sent is refused, others are taken not to
    const options = { ecmaVersion: 2024, ignoreEval: true } as const;
    this.#scopes = analyze(this.program as never, { ...options, sourceType: isModule ? "module" : "commonjs" });
    this.#uses = this.#scopes.scopes
      .flatMap((scope) => scope.references.map(nameUse))
      .sort((one, other) => one.start - other.start);
    walk(this.program, (node) => this.#note(node));
  }

  /** The functions and classes of the script, outer ones first. */
  get functionsAndClasses(): readonly AnyNode[] {
    return this.#members;
  }

  /** Names used in the range that nothing in it declares, in order. */
  freeNames(range: TextRange): NameUse[] {
    return this.#uses.filter(
      ({ start, end, variable }) => start >= range.start && end <= range.end && !isDeclaredIn(variable, range),
    );
  }

  /** The name is a whole property, as in `{ name }`. */
  isShorthand({ start }: TextRange): boolean {
    return this.#shorthands.has(start);
  }

  /** The name is an `eval` that sees all variables around it. */
  isDirectEval({ start }: TextRange): boolean {
    return this.#evals.has(start);
  }

  /** What is around a node, innermost first. */
  around(node: AnyNode): AnyNode[] {
    const nodes: AnyNode[] = [];
    for (let at = this.#parents.get(node); at !== undefined; at = this.#parents.get(at)) nodes.push(at);
    return nodes;
  }

  /** The variable is one of the module itself, of which there is one. */
  isOfModule(variable: Variable): boolean {
    const block = variable.scope.block as unknown as AnyNode;
    if (block === this.program) return true;
    const around = [block, ...this.around(block)];
    const inner = around.slice(
      0,
      around.findIndex((node) => isFunction(node) && isVitestWrapper(node)),
    );
    return around.some((node) => isFunction(node) && isVitestWrapper(node)) && inner.every(isBlock);
  }

  #note(node: AnyNode): boolean {
    for (const child of childrenOf(node)) this.#parents.set(child, node);
    if (isFunction(node) || node.type === "ClassDeclaration" || node.type === "ClassExpression")
      this.#members.push(node);
    if (node.type === "CallExpression" && node.callee.type === "Identifier" && node.callee.name === "eval")
      this.#evals.add(node.callee.start);
    if (node.type !== "Property" || !node.shorthand) return true;
    this.#shorthands.add(node.value.start);
    return true;
  }
}

function isBlock({ type }: AnyNode): boolean {
  return type === "BlockStatement";
}

/** Something assigns to it after its declaration, so that it may change while others look. */
export function isReassigned(variable: Variable): boolean {
  if (variable.defs.length > 1) return true;
  return variable.references.some((reference) => reference.isWrite() && reference.init !== true);
}

/** The nodes right below a node. */
export function childrenOf(node: AnyNode): AnyNode[] {
  return Object.values(node)
    .flat()
    .filter((child): child is AnyNode => typeof child === "object" && child !== null && typeof child.type === "string");
}

function nameUse({ identifier, resolved }: ScopeReference): NameUse {
  const { start, end, name } = identifier as unknown as { start: number; end: number; name: string };
  return { start, end, name, variable: resolved ?? undefined };
}

function isDeclaredIn(variable: Variable | undefined, { start, end }: TextRange): boolean {
  if (variable === undefined) return false;
  const block = variable.scope.block as unknown as TextRange;
  return block.start >= start && block.end <= end;
}
