import { join } from "node:path";
import type { Contender } from "./contender.ts";
import { operationRows, type PlannedOperation, type RowId } from "./rows.ts";

/** Contenders written for Node: how each is made ready, in a process of its own (child.ts). */
export const openers = {
  "heddle-grpc": async () => (await import("./contenders/heddle.ts")).openServed(),
  "heddle-embedded": async () => (await import("./contenders/heddle.ts")).openEmbedded(),
  plain: async () => (await import("./contenders/plain.ts")).openPlain(),
  piscina: async () => (await import("./contenders/piscina.ts")).openPiscina(),
  "piscina-tuned": async () => (await import("./contenders/piscina.ts")).openPiscina(8),
  poolifier: async () => (await import("./contenders/poolifier.ts")).openPoolifier(),
  tinypool: async () => (await import("./contenders/tinypool.ts")).openTinypool(),
  workerpool: async () => (await import("./contenders/workerpool.ts")).openWorkerpool(),
} as const satisfies Record<string, () => Promise<Contender>>;

export type NodeContenderId = keyof typeof openers;

export type ContenderId = NodeContenderId | "python" | "dask" | "scheduler";

export interface Entry {
  readonly id: ContenderId;
  readonly label: string;
  /** Measured with `--all` only. */
  readonly isExtra: boolean;
  /** Rows it has something to say about. */
  readonly rows: readonly RowId[];
  /** From here on it is killed and has failed. */
  readonly limitMs: number;
}

/** Of one contender's process, warm-up included. */
const TIME_LIMIT_MS = 180_000;
const everyPoolRow: readonly RowId[] = ["a", "b", "c", "d", "e", "g"];

const entry = (id: ContenderId, label: string, more: Partial<Entry> = {}): Entry => ({
  id,
  label,
  isExtra: false,
  rows: everyPoolRow,
  limitMs: TIME_LIMIT_MS,
  ...more,
});

/** In the order in which they are measured and printed. */
export const entries: readonly Entry[] = [
  entry("heddle-grpc", "Heddle over gRPC"),
  entry("heddle-embedded", "Heddle embedded"),
  entry("python", "Python Pool(2)"),
  entry("piscina", "piscina, default"),
  entry("piscina-tuned", "piscina, 8 tasks a worker"),
  entry("poolifier", "poolifier FixedClusterPool"),
  entry("tinypool", "tinypool, processes", { isExtra: true }),
  entry("workerpool", "workerpool, processes", { isExtra: true }),
  entry("dask", "Dask LocalCluster", { isExtra: true, rows: ["a", "b", "d"] }),
  entry("plain", "plain loop, one thread", { rows: ["a", "c", "d", "e", "g"] }),
  entry("scheduler", "scheduler core", { rows: ["f"] }),
];

/** Calls cost Dask 50 to 100 times what they cost the others: it makes fewer of them, which the output says. */
export const DASK_SHARE = 0.05;

/** The plan as this contender carries it out. */
export function planFor({ id, rows }: Entry, plan: readonly PlannedOperation[]): PlannedOperation[] {
  return plan
    .filter((planned) => rows.includes(operationRows[planned.id]))
    .map((planned) => (id === "dask" && planned.id !== "sampleChunks" ? fewer(planned) : planned));
}

function fewer(planned: PlannedOperation): PlannedOperation {
  const less = (count: number): number => Math.max(1, Math.round(count * DASK_SHARE));
  return { ...planned, count: less(planned.count), warmUpCount: less(planned.warmUpCount), laps: less(planned.laps) };
}

/** The program that measures it. `python` is the interpreter of contenders in Python, which leaves no compiled files in the sources (-B). */
export function commandOf(id: ContenderId, plan: unknown, python: string): readonly string[] {
  const here = (path: string): string => join(import.meta.dirname, path);
  const argument = JSON.stringify(plan);
  switch (id) {
    case "python":
      return [python, "-B", here("peers/multiprocessing_peer.py"), argument];
    case "dask":
      return [python, "-B", here("peers/dask_peer.py"), argument];
    case "scheduler":
      return [process.execPath, ...process.execArgv, here("scheduler-child.ts"), argument];
    default:
      return [process.execPath, ...process.execArgv, here("child.ts"), id, argument];
  }
}
