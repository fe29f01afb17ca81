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

/** Throws TypeError for options that there are not, RangeError for values that cannot be. */
export function parseOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      runs: { type: "string", default: "3" },
      only: { type: "string", default: rowIds.join(",") },
      quick: { type: "boolean", default: false },
      all: { type: "boolean", default: false },
    },
  });
  const runs = Number(values.runs);
  if (!Number.isInteger(runs) || runs < 1)
    throw new RangeError(`--runs must be a whole number from 1, got ${values.runs}`);
  const named = values.only.split(",").map((name) => name.trim());
  const unknown = named.filter((name) => !rowIds.some((id) => id === name));
  if (unknown.length > 0) throw new RangeError(`--only knows ${rowIds.join(", ")}, not ${unknown.join(", ")}`);
  return { runs, rows: rowIds.filter((id) => named.includes(id)), quick: values.quick, all: values.all };
}
