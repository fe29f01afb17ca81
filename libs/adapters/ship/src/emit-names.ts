import type { CaptureGraph, Cell } from "./capture/graph.ts";

/** An identifier for each cell: what the user calls it where that can be no other thing, else with a number behind. */
export function cellNames({ cells }: CaptureGraph): string[] {
  const spellings = spellingsOf(cells);
  const words = new Set(cells.flatMap((cell) => ("text" in cell ? wordsOf(cell) : [])));
  const taken = new Set(RESERVED);
  return cells.map((cell, number) => {
    const base = identifierOf(cell.name);
    const isFree = !taken.has(base) && !(base in globalThis) && isSpelt(spellings[number], base, words);
    let name = base;
    for (let suffix = 1; !isFree && (name === base || taken.has(name) || words.has(name)); suffix++)
      name = `${base}$${suffix}`;
    taken.add(name);
    return name;
  });
}

/** Names of the emitted module itself, words that are no names, and names by which code finds out where it runs. */
const RESERVED = (
  "values require arguments eval await yield let static undefined " +
  "module exports define __filename __dirname window document self importScripts Deno Bun"
).split(" ");

const KEYWORDS = new Set(
  (
    "break case catch class const continue debugger default delete do else enum export extends false finally for function if implements " +
    "import in instanceof interface new null package private protected public return super switch this throw true try typeof var void while with"
  ).split(" "),
);

function identifierOf(name: unknown): string {
  if (typeof name !== "string" || name === "") return "anonymous"; // `static name = 5` is nobody's name
  const cleaned = name.replace(/[^\p{ID_Continue}$]/gu, "_");
  if (!/^[\p{ID_Start}$_]/u.test(cleaned)) return `_${cleaned}`;
  return KEYWORDS.has(cleaned) ? `${cleaned}_` : cleaned;
}

/** How each cell is spelt where it is meant. */
function spellingsOf(cells: readonly Cell[]): (Set<string> | undefined)[] {
  const spellings: (Set<string> | undefined)[] = cells.map(() => undefined);
  for (const cell of cells) {
    if (!("references" in cell)) continue;
    for (const { cell: meant, start, end } of cell.references) {
      const known = spellings[meant] ?? new Set();
      known.add(cell.source.text.slice(start, end));
      spellings[meant] = known;
    }
  }
  return spellings;
}

/** All that mean the cell spell it so; or nobody means it, and nothing else is spelt so. */
function isSpelt(spellings: ReadonlySet<string> | undefined, name: string, words: ReadonlySet<string>): boolean {
  if (spellings === undefined) return !words.has(name);
  return spellings.size === 1 && spellings.has(name);
}

function wordsOf({ source, text }: Extract<Cell, { text: unknown }>): string[] {
  return source.text.slice(text.start, text.end).match(/[\p{ID_Start}$_][\p{ID_Continue}$]*/gu) ?? [];
}
