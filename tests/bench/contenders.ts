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
  "heddle-grpc-objects": async () => (await import("./contenders/heddle-objects.ts")).openServedObjects(),
  "heddle-embedded-objects": async () => (await import("./contenders/heddle-objects.ts")).openEmbeddedObjects(),
  redis: async () => (await import("./contenders/redis.ts")).openRedis(),
  "redis-benchmark": async () => (await import("./contenders/redis.ts")).openRedisBenchmark(),
  etcd: async () => (await import("./contenders/etcd.ts")).openEtcd(),
  "heddle-token": async () => (await import("./contenders/heddle-secured.ts")).openSecured("token"),
  "heddle-tls": async () => (await import("./contenders/heddle-secured.ts")).openSecured("tls"),
  disk: async () => (await import("./contenders/disk.ts")).openDisk(),
} as const satisfies Record<string, () => Promise<Contender>>;

export type NodeContenderId = keyof typeof openers;

export type ContenderId = NodeContenderId | "python" | "dask" | "scheduler" | "python-manager";

/** Contenders that are compared with each other, and printed together. */
export const groups = ["pools", "scheduler", "shared state", "security"] as const;

export type Group = (typeof groups)[number];

export interface Entry {
  readonly id: ContenderId;
  readonly label: string;
  readonly group: Group;
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
  group: "pools",
  isExtra: false,
  rows: everyPoolRow,
  limitMs: TIME_LIMIT_MS,
  ...more,
});

const everySharedRow: readonly RowId[] = ["h", "i", "j", "k", "l", "m"];

const shared = (id: ContenderId, label: string, rows: readonly RowId[]): Entry =>
  entry(id, label, { group: "shared state", rows });

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
  entry("scheduler", "scheduler core", { group: "scheduler", rows: ["f"] }),
  shared("heddle-grpc-objects", "Heddle over gRPC, durable", everySharedRow),
  shared("heddle-embedded-objects", "Heddle embedded, in memory", everySharedRow),
  shared("python-manager", "Python Manager, in memory", ["h", "i", "k", "l", "m"]),
  shared("redis", "redis, appendfsync always", ["h", "i", "j", "k"]),
  shared("redis-benchmark", "the same, by redis-benchmark", ["h"]),
  shared("etcd", "etcd, one node", ["i", "j", "k", "l"]),
  shared("disk", "a file and fdatasync", ["i"]),
  entry("heddle-token", "heddle up, token, in clear", { group: "security", rows: ["n"] }),
  entry("heddle-tls", "heddle up --tls, mutual TLS", { group: "security", rows: ["n"] }),
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
    case "python-manager":
      return [python, "-B", here("peers/manager_peer.py"), argument];
    case "dask":
      return [python, "-B", here("peers/dask_peer.py"), argument];
    case "scheduler":
      return [process.execPath, ...process.execArgv, here("scheduler-child.ts"), argument];
    default:
      return [process.execPath, ...process.execArgv, here("child.ts"), id, argument];
  }
}
