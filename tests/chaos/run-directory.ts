import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Begins the name of whatever a run leaves in the system's directories; its process id follows. */
const PREFIX = "heddle-chaos-";
/** Where cgroups of version 1 are. */
const CGROUPS = "/sys/fs/cgroup";
const controllers = ["pids", "memory"] as const;

/** Files of a run: logs, certificates, data, and what its programs take for the system's temporary directory. */
export class RunDirectory implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));

  constructor() {
    for (const name of ["tmp", "logs", "vitals", "data", "tls", "addresses"]) mkdirSync(this.in(name));
  }

  in(...names: readonly string[]): string {
    return join(this.path, ...names);
  }

  /** Files that its programs have left in their temporary directory. */
  leftTemporary(): string[] {
    const entries = readdirSync(this.in("tmp"), { recursive: true, withFileTypes: true });
    return entries.filter((entry) => !entry.isDirectory()).map(({ parentPath, name }) => join(parentPath, name));
  }

  /** Keeps the logs of a run that failed. */
  keepLogs(directory: string): void {
    rmSync(directory, { recursive: true, force: true });
    cpSync(this.in("logs"), directory, { recursive: true });
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Why a controller of cgroups cannot be used here; undefined where it can. */
export function whyNoCgroup(controller: (typeof controllers)[number]): string | undefined {
  const directory = join(CGROUPS, controller, `${PREFIX}${process.pid}-try`);
  try {
    mkdirSync(directory);
    const isThere = existsSync(join(directory, controller === "pids" ? "pids.max" : "memory.limit_in_bytes"));
    rmdirSync(directory);
    return isThere ? undefined : `${CGROUPS}/${controller} is no cgroup of version 1`;
  } catch (error) {
    return `no cgroup can be made in ${CGROUPS}/${controller}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** A new cgroup of this run, by its directory. */
export function makeCgroup(controller: (typeof controllers)[number], name: string): string {
  const directory = join(CGROUPS, controller, `${PREFIX}${process.pid}-${name}`);
  mkdirSync(directory);
  return directory;
}

/** Removes cgroups of this run, which nobody may be in any more. */
export function removeCgroups(): void {
  for (const directory of cgroupsOf((pid) => pid === process.pid)) rmdirSync(directory);
}

/** Removes what runs that are over have left because they were killed. */
export function removeLeftovers(): void {
  const isOver = (pid: number): boolean => !existsSync(`/proc/${pid}`);
  for (const name of readdirSync(tmpdir()))
    if (isOver(pidIn(name) ?? process.pid)) rmSync(join(tmpdir(), name), { recursive: true, force: true });
  for (const directory of cgroupsOf(isOver)) rmdirSync(directory);
}

/** What there is in the system of a run that is over: its directory, mounts in it, processes in its namespaces, cgroups. */
export function leftInSystem(directory: string, namespaces: readonly string[]): string[] {
  const ours = new Set(namespaces);
  const holders = readdirSync("/proc").filter(
    (pid) => /^\d+$/.test(pid) && namespacesOf(pid).some((of) => ours.has(of)),
  );
  const mounts = readFileSync("/proc/self/mounts", "utf8").split("\n");
  return [
    ...holders.map((pid) => `a namespace of process ${pid}`),
    ...mounts.filter((line) => line.includes(directory)).map((line) => `mount ${line}`),
    ...cgroupsOf((pid) => pid === process.pid).map((cgroup) => `cgroup ${cgroup}`),
    ...(existsSync(directory) ? [directory] : []),
  ];
}

/** None for a process that has ended meanwhile. */
function namespacesOf(pid: string): string[] {
  try {
    return ["net", "mnt"].map((kind) => readlinkSync(`/proc/${pid}/ns/${kind}`));
  } catch {
    return [];
  }
}

function cgroupsOf(isWanted: (pid: number) => boolean): string[] {
  return controllers.flatMap((controller) => {
    const parent = join(CGROUPS, controller);
    if (!existsSync(parent)) return [];
    const names = readdirSync(parent).filter((name) => {
      const pid = pidIn(name);
      return pid !== undefined && isWanted(pid);
    });
    return names.map((name) => join(parent, name));
  });
}

function pidIn(name: string): number | undefined {
  if (!name.startsWith(PREFIX)) return undefined;
  const pid = Number.parseInt(name.slice(PREFIX.length), 10);
  return Number.isInteger(pid) ? pid : undefined;
}
