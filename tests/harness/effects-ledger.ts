import type { Dict, List, Manager, SharedArray } from "heddle";
import { expect } from "vitest";

/** What items of a call write that count once: the same mark of each, in every way in which it can be left. */
export interface Ledger {
  readonly marks: Dict<number, string>;
  readonly lines: List<string>;
  readonly count: Dict<string, number>;
  readonly cells: SharedArray<"i32">;
}

/** An empty one, for so many items; or the one of this name, which outlives its program. */
export function ledgerOf(manager: Manager, items: number, name?: string): Ledger {
  const named = (part: string) => (name === undefined ? {} : { name: `${name} ${part}` });
  return {
    marks: manager.dict<number, string>(undefined, named("marks")),
    lines: manager.list<string>(undefined, named("lines")),
    count: manager.dict<string, number>(undefined, named("count")),
    cells: manager.array("i32", items, { ...named("cells"), lock: false }),
  };
}

/** Of each item that has a result (its mark) there are its writes, once and of that very run; of others there are none. */
export async function expectMarks(
  { marks, lines, count, cells }: Ledger,
  results: readonly (string | undefined)[],
): Promise<void> {
  const known = results.flatMap((mark, n) => (mark === undefined ? [] : [[n, mark] as const]));
  expect([...(await marks.entries())].sort(([a], [b]) => a - b)).toEqual(known);
  expect([...(await lines.toArray())].sort()).toEqual(known.map(([, mark]) => mark).sort());
  expect(await count.get("items", 0)).toBe(known.length);
  expect([...(await cells.slice())]).toEqual(results.map((mark) => (mark === undefined ? 0 : 1)));
}
