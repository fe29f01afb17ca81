import { type Entry, groups } from "./contenders.ts";
import type { FigureId, Figures, FiguresByContender } from "./figures.ts";
import type { Target } from "./targets.ts";
import { verdictOf } from "./targets.ts";

const whole = (value: number): string => Math.round(value).toLocaleString("en-US");
const seconds = (value: number): string => `${value.toFixed(3)} s`;
const percent = (value: number): string => `${(value * 100).toFixed(0)} %`;
const microseconds = (value: number): string => `${whole(value)} us`;

/** Columns of the first table; one without any value is left out. */
const columns: readonly { readonly id: FigureId; readonly head: string; readonly format: (value: number) => string }[] =
  [
    { id: "noopsPerSecond", head: "a no-op/s", format: whole },
    { id: "unpackedPerSecond", head: "a unpacked/s", format: whole },
    { id: "callsPerSecond", head: "a calls/s", format: whole },
    { id: "applyP50Us", head: "b p50", format: microseconds },
    { id: "applyP99Us", head: "b p99", format: microseconds },
    { id: "cubesS", head: "c cubes", format: seconds },
    { id: "typedCubesS", head: "c typed", format: seconds },
    { id: "samplesS", head: "d samples", format: seconds },
    { id: "sampleChunksS", head: "d 16 chunks", format: seconds },
    { id: "serialPrimesS", head: "e serial", format: seconds },
    { id: "primesS", head: "e primes", format: seconds },
    { id: "efficiency", head: "e parallel", format: percent },
    { id: "objectsS", head: "g objects", format: seconds },
    { id: "decisionsPerSecond", head: "f decisions/s", format: whole },
    { id: "firstTenth", head: "f first tenth", format: whole },
    { id: "lastTenth", head: "f last tenth", format: whole },
    { id: "appendsPerSecond", head: "h appends/s", format: whole },
    { id: "unawaitedPerSecond", head: "h unawaited/s", format: whole },
    { id: "setP50Us", head: "i set p50", format: microseconds },
    { id: "setsPerSecond", head: "i sets/s", format: whole },
    { id: "syncP50Us", head: "i sync p50", format: microseconds },
    { id: "manySetsPerSecond", head: "j sets/s", format: whole },
    { id: "getsPerSecond", head: "k gets/s", format: whole },
    { id: "lockPairsPerSecond", head: "l pairs/s", format: whole },
    { id: "manyLockPairsPerSecond", head: "l 64 clients", format: whole },
    { id: "flowLockPairsPerSecond", head: "l 64 flows", format: whole },
    { id: "collectedPrimesS", head: "m primes", format: seconds },
    { id: "securedNoopsPerSecond", head: "n no-op/s", format: whole },
    { id: "securedApplyP50Us", head: "n p50", format: microseconds },
    { id: "securedApplyP99Us", head: "n p99", format: microseconds },
  ];

/** Contenders as lines, figures as columns; "-" where a contender has none. Each group, having nothing in common with the others, has lines of its own. */
export function figuresTable(entries: readonly Entry[], figures: FiguresByContender): string[] {
  const measured = entries.filter(({ id }) => figures.has(id));
  return groups
    .map((group) =>
      tableOf(
        measured.filter((entry) => entry.group === group),
        figures,
      ),
    )
    .filter((lines) => lines.length > 0)
    .flatMap((lines, at) => (at === 0 ? lines : ["", ...lines]));
}

function tableOf(entries: readonly Entry[], figures: FiguresByContender): string[] {
  const of = (entry: Entry): Figures => figures.get(entry.id) ?? {};
  const shown = columns.filter(({ id }) => entries.some((entry) => of(entry)[id] !== undefined));
  if (shown.length === 0) return [];
  const cell = (value: number | undefined, format: (value: number) => string): string =>
    value === undefined ? "-" : format(value);
  return aligned([
    ["", ...shown.map(({ head }) => head)],
    ...entries.map((entry) => [entry.label, ...shown.map(({ id, format }) => cell(of(entry)[id], format))]),
  ]);
}

/** Targets as lines: what was measured, what it is compared with, and how far it is from it. */
export function targetsTable(targets: readonly Target[]): string[] {
  const formats = { "/s": whole, us: microseconds, s: seconds, share: percent } as const;
  const lines = targets.map((target) => {
    const format = formats[target.unit];
    const limit = (value: number | undefined): string => (value === undefined ? "-" : bound(target, format(value)));
    const { verdict, ratio } = verdictOf(target);
    return [
      target.row,
      target.what,
      target.value === undefined ? "-" : format(target.value),
      limit(target.target),
      ratio === undefined ? "-" : `${ratio.toFixed(2)}x`,
      limit(target.stretch),
      verdict,
      target.from,
    ];
  });
  return aligned([["", "target", "measured", "target is", "of target", "stretch", "verdict", "because"], ...lines]);
}

const signs = { "at-least": ">=", "at-most": "<=", below: "<" } as const;
const bound = ({ kind }: Target, value: string): string => `${signs[kind]} ${value}`;

/** Columns as wide as their widest cell, two blanks apart. */
function aligned(lines: readonly (readonly string[])[]): string[] {
  const widths = lines[0]?.map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0))) ?? [];
  return lines.map((line) =>
    line
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
