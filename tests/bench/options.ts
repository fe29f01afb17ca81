import { parseArgs } from "node:util";
import { type RowId, rowIds } from "./rows.ts";

export interface BenchOptions {
  /** Rounds: each measures every contender once; medians of all are printed. */
  readonly runs: number;
  readonly rows: readonly RowId[];
  /** A twentieth of everything, for trying the benchmark and not for figures. */
  readonly quick: boolean;
  /** Also the contenders that are slow or need to be installed. */
  readonly all: boolean;
}

export const usage = `npm run bench -- [options]
  --runs N       rounds, of which the medians are printed (3)
  --only a,b     some rows of ${rowIds.join(", ")}
  --quick        a twentieth of everything: to try it, not for figures
  --all          tinypool, workerpool and Dask, too`;

/** Somebody asked for what there is not. */
export class OptionsError extends Error {}

/** Throws OptionsError for options that there are not and for values that cannot be. */
export function parseOptions(args: readonly string[]): BenchOptions {
  const values = valuesOf(args);
  const runs = Number(values.runs);
  if (!Number.isInteger(runs) || runs < 1)
    throw new OptionsError(`--runs must be a whole number from 1, got ${values.runs}`);
  const named = values.only.split(",").map((name) => name.trim());
  const unknown = named.filter((name) => !rowIds.some((id) => id === name));
  if (unknown.length > 0) throw new OptionsError(`--only knows ${rowIds.join(", ")}, not ${unknown.join(", ")}`);
  return { runs, rows: rowIds.filter((id) => named.includes(id)), quick: values.quick, all: values.all };
}

function valuesOf(args: readonly string[]): { runs: string; only: string; quick: boolean; all: boolean } {
  const options = {
    runs: { type: "string", default: "3" },
    only: { type: "string", default: rowIds.join(",") },
    quick: { type: "boolean", default: false },
    all: { type: "boolean", default: false },
  } as const;
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (cause) {
    throw new OptionsError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
