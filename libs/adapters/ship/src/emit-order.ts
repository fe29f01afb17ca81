import type { CaptureGraph, CodeCell } from "./capture/graph.ts";

/** Class cells in an order in which they can be defined. */
export interface ClassOrder {
  /** Before captured values are there. */
  readonly early: readonly number[];
  /** Those that need captured values when they are defined, and what needs those. */
  readonly late: readonly number[];
}

/** Sorts classes behind all that they need when they are defined. */
export function classOrder(graph: CaptureGraph): ClassOrder {
  const { cells } = graph;
  const classes = cells.flatMap((cell, number) => (cell.kind === "code" && cell.form === "class" ? [number] : []));
  const needs = new Map(classes.map((number) => [number, neededBy(graph, number)]));
  const ordered: number[] = [];
  const visit = (number: number): void => {
    if (ordered.includes(number) || visiting.has(number)) return;
    visiting.add(number);
    for (const needed of needs.get(number) ?? []) if (needs.has(needed)) visit(needed);
    ordered.push(number);
  };
  const visiting = new Set<number>();
  for (const number of classes) visit(number);
  const isLate = (number: number): boolean =>
    [...(needs.get(number) ?? [])].some((needed) => cells[needed]?.kind === "value");
  return { early: ordered.filter((number) => !isLate(number)), late: ordered.filter(isLate) };
}

/** All cells that may be used while a class is defined: what its definition names, and all that this uses when it runs. */
function neededBy({ cells }: CaptureGraph, number: number): Set<number> {
  const needed = new Set<number>();
  const used = new Set<number>();
  const define = (at: number): void => {
    const cell = cells[at];
    if (cell?.kind !== "code") return;
    for (const next of cell.neededAtDefinition) {
      if (next === number || needed.has(next)) continue;
      if (!isOnlyExtended(cell)) use(next);
      else {
        needed.add(next);
        define(next);
      }
    }
  };
  const use = (at: number): void => {
    if (at === number || used.has(at)) return;
    used.add(at);
    needed.add(at);
    const cell = cells[at];
    if (cell !== undefined && "references" in cell) for (const reference of cell.references) use(reference.cell);
  };
  define(number);
  return needed;
}

/** `class B extends A` runs nothing of A, unlike `extends mix(A)`, static fields and blocks. */
function isOnlyExtended({ node }: CodeCell): boolean {
  if (node.type !== "ClassDeclaration" && node.type !== "ClassExpression") return false;
  const runs = node.body.body.some(
    (member) =>
      member.type === "StaticBlock" || member.computed || (member.type === "PropertyDefinition" && member.static),
  );
  return node.superClass?.type === "Identifier" && !runs;
}
