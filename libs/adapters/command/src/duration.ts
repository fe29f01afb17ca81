import { InvalidArgumentError } from "@heddle/kernel";

const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1_000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);

/** The milliseconds of a duration as people write it: `90s`, `1h30m`, `0`. Throws InvalidArgumentError. */
export function durationOf(text: string): number {
  const parts = [...text.matchAll(/(\d{1,9}(?:\.\d{1,9})?)(ms|[smhd])/gy)];
  const isWhole = parts.length > 0 && parts.reduce((length, [part]) => length + part.length, 0) === text.length;
  if (!isWhole && text !== "0")
    throw new InvalidArgumentError(`${JSON.stringify(text)} is not a time: say 90s, 10m, 1h30m or 0`);
  return Math.round(parts.reduce((sum, [, count, unit = ""]) => sum + Number(count) * (UNIT_MS.get(unit) ?? 0), 0));
}
