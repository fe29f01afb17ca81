import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

/** What bounds the cores of this process. Undefined: no such bound. */
export interface CoreFacts {
  /** Cores that the scheduler may put this process on. */
  readonly parallelism: number;
  /** CPU time per time of its cgroup, in cores; may be a fraction. */
  readonly cgroupQuota?: number | undefined;
  /** SLURM_CPUS_ON_NODE as set. */
  readonly slurmCpus?: string | undefined;
}

/** Reads a small text file; undefined when it cannot be read. */
export type ReadText = (path: string) => string | undefined;

/** Cores that this process may use: a whole number, at least 1. */
export function availableSlots(): number {
  return slotsFrom({
    parallelism: availableParallelism(),
    cgroupQuota: readCgroupQuota(readText),
    slurmCpus: process.env.SLURM_CPUS_ON_NODE,
  });
}

/** The smallest of the bounds, part of a core counting as one. */
export function slotsFrom(facts: CoreFacts): number {
  const slurm = /^[1-9][0-9]*$/.test(facts.slurmCpus ?? "") ? Number(facts.slurmCpus) : Number.POSITIVE_INFINITY;
  const quota = facts.cgroupQuota ?? Number.POSITIVE_INFINITY;
  return Math.max(1, Math.min(facts.parallelism, Math.ceil(quota), slurm));
}

/** The tightest CPU quota of this process's cgroup and those above it, in cores (cgroup v1 and v2); undefined when there is none. */
export function readCgroupQuota(read: ReadText): number | undefined {
  const groups = parseCgroups(read("/proc/self/cgroup") ?? "");
  const mounts = parseMounts(read("/proc/self/mountinfo") ?? "");
  const quotas: number[] = [];
  for (const mount of mounts) {
    const group = groups.get(mount.version === 2 ? "" : "cpu");
    if (group === undefined) continue;
    for (const folder of foldersUp(mount, group)) {
      const quota = mount.version === 2 ? quotaV2(read(`${folder}/cpu.max`)) : quotaV1(read, folder);
      if (quota !== undefined) quotas.push(quota);
    }
  }
  return quotas.length === 0 ? undefined : Math.min(...quotas);
}

interface CgroupMount {
  readonly version: 1 | 2;
  readonly point: string;
  /** Which part of the hierarchy is visible there. */
  readonly root: string;
}

/** Path of this process in each hierarchy: by controller for v1, under "" for v2. */
function parseCgroups(text: string): ReadonlyMap<string, string> {
  const paths = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    for (const controller of controllers.split(",")) paths.set(controller, path);
  }
  return paths;
}

function parseMounts(text: string): readonly CgroupMount[] {
  const mounts: CgroupMount[] = [];
  for (const line of text.split("\n")) {
    const [left, right] = line.split(" - ");
    const [, , , root, point] = left?.split(" ") ?? [];
    const [type, , options] = right?.split(" ") ?? [];
    if (root === undefined || point === undefined) continue;
    if (type === "cgroup2") mounts.push({ version: 2, point, root });
    else if (type === "cgroup" && options?.split(",").includes("cpu")) mounts.push({ version: 1, point, root });
  }
  return mounts;
}

/** The group's folder and those above it, as far as they are visible. */
function foldersUp(mount: CgroupMount, group: string): readonly string[] {
  const inside = mount.root === "/" ? group : group.startsWith(mount.root) ? group.slice(mount.root.length) : "";
  const parts = inside.split("/").filter((part) => part !== "" && part !== "..");
  return Array.from({ length: parts.length + 1 }, (_, up) =>
    [mount.point, ...parts.slice(0, parts.length - up)].join("/"),
  );
}

function quotaV2(max: string | undefined): number | undefined {
  const [quota, period] = (max ?? "").trim().split(" ").map(Number);
  return ratio(quota, period);
}

function quotaV1(read: ReadText, folder: string): number | undefined {
  const quota = read(`${folder}/cpu.cfs_quota_us`);
  return quota === undefined ? undefined : ratio(Number(quota), Number(read(`${folder}/cpu.cfs_period_us`)));
}

/** "max" and -1 are no quota. */
function ratio(quota: number | undefined, period: number | undefined): number | undefined {
  if (quota === undefined || period === undefined) return undefined;
  return quota > 0 && period > 0 ? quota / period : undefined;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // no such bound on this machine
  }
}
