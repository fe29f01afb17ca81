import { randomBytes } from "node:crypto";
import { readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import type { HeddleError, Logger } from "@heddle/kernel";
import { isNoSpace } from "./no-space.ts";
import type { StorageKind } from "./storage.ts";

/** One run of a job that a batch system runs again, on whichever machine: each of its runs begins when the one before is over. */
export interface BatchRun {
  /** What the batch system calls the job; the same in all its runs. */
  readonly job: string;
  /** Larger in each run than in the one before. */
  readonly run: number;
}

/** What tells this machine from others that may see the same files. */
export interface Machine {
  readonly host: string;
  /** Of the machine's boot; empty where there is no /proc. */
  readonly bootId: string;
  /** Of the processes that can be seen from here, as containers have each their own; empty where there is no /proc, and in records of before it was written down. */
  readonly pidNamespace: string;
}

/** Names one process for ever: its id may be given to another, its start and the machine's may not. */
export interface OwnerRecord extends Machine {
  readonly pid: number;
  /** In the kernel's ticks since boot; empty where there is no /proc. */
  readonly startTicks: string;
  /** Tells owners apart, of one process too: who finds another one's has lost the directory. */
  readonly nonce: string;
  /** Only of a batch job's run: its owner beats. */
  readonly batch?: BatchRun;
}

/**
 * What is known of an owner from here. gone: its process has ended. alive: it runs on this machine. hidden: it was on this machine, in another namespace of processes, and cannot be
 * seen: the kernel is one, and its lock on the database is sure. away: it is on another machine, and cannot be seen.
 */
export type OwnerState = "gone" | "alive" | "hidden" | "away";

/** This process as an owner. `machine` is found out unless given. */
export function ownRecord(batch: BatchRun | undefined, machine: Partial<Machine> | undefined): OwnerRecord {
  return {
    pid: process.pid,
    host: machine?.host ?? hostname(),
    bootId: machine?.bootId ?? bootId(),
    pidNamespace: machine?.pidNamespace ?? pidNamespace(),
    startTicks: statOf(process.pid)?.startTicks ?? "",
    nonce: randomBytes(8).toString("hex"),
    ...(batch === undefined ? {} : { batch }),
  };
}

/**
 * What is known of an owner from this machine, now. A host of the same name and of another boot counts as this machine before it was started anew: of names that move between machines, as those of
 * pods, that is not sure, and their volumes have to keep two of them apart.
 */
export function stateOf(owner: OwnerRecord, here: Machine): OwnerState {
  if (owner.bootId === here.bootId) {
    const isKnown = owner.pidNamespace !== "" && here.pidNamespace !== "";
    if (isKnown && owner.pidNamespace !== here.pidNamespace) return "hidden";
    return isAlive(owner) ? "alive" : "gone";
  }
  // Before there were hosts in records only its own machine was thought of.
  return owner.host === here.host || owner.host === "" ? "gone" : "away";
}

/** For who finds the database locked: its owner may have written itself down since it was looked for. */
export function lockedError(directory: string, kind: StorageKind): HeddleError {
  return lockedBy(directory, kind, readOwner(directory));
}

/** Of an owner that lives. */
export function lockedBy(
  directory: string,
  { what, LockedError }: StorageKind,
  owner: OwnerRecord | undefined,
): HeddleError {
  return new LockedError(`${nameOf(owner)} owns the ${what} in ${directory}: stop it first, or use another directory`);
}

/** Of an owner that may live, on another machine, and whose directory is not this one's to take. */
export function awayError(directory: string, { what, LockedError }: StorageKind, owner: OwnerRecord): HeddleError {
  const whose = owner.batch === undefined ? "" : `, or let a later run of job ${owner.batch.job} take it over`;
  return new LockedError(
    `${nameOf(owner, true)} owns the ${what} in ${directory}, and whether it runs cannot be seen from here: stop it in order there${whose}; when it is sure ` +
      `that it is over, remove ${ownerFile(directory)}`,
  );
}

function nameOf(owner: OwnerRecord | undefined, isElsewhere = owner?.batch !== undefined): string {
  if (owner === undefined) return "another process";
  const host = isElsewhere ? ` on ${owner.host}` : "";
  const batch = owner.batch === undefined ? "" : ` (run ${owner.batch.run} of job ${owner.batch.job})`;
  return `process ${owner.pid}${host}${batch}`;
}

/**
 * Writes an owner down, for whoever comes next, in the place of one that is over. On a full disk nothing is written, and the lock on the database is all that keeps others out; a batch job's run needs the
 * record, and throws the kind's FullError.
 */
export function writeOwner(
  directory: string,
  record: OwnerRecord,
  { what, FullError }: StorageKind,
  log: Logger,
): void {
  const temporary = `${ownerFile(directory)}.tmp`;
  const before = readOwner(directory);
  try {
    writeFileSync(temporary, JSON.stringify(record), { mode: 0o600 });
    renameSync(temporary, ownerFile(directory));
    if (before !== undefined) rmSync(beatFile(directory, before.nonce), { force: true });
  } catch (error) {
    rmSync(temporary, { force: true });
    if (!isNoSpace(error)) throw error;
    const words = `no space to write down who owns the ${what}`;
    if (record.batch !== undefined) throw new FullError(`${words} in ${directory}`, { cause: error });
    log.warn(words, { directory });
  }
}

/** Nobody owns the directory any more, if it is still this one's. */
export function resign(directory: string, nonce: string): void {
  rmSync(beatFile(directory, nonce), { force: true });
  if (readOwner(directory)?.nonce === nonce) rmSync(ownerFile(directory), { force: true });
}

/** Undefined when nobody wrote itself down, or nobody can read it: then the lock on the database alone decides. */
export function readOwner(directory: string): OwnerRecord | undefined {
  try {
    return recordIn(readFileSync(ownerFile(directory), "utf8"));
  } catch {
    return undefined;
  }
}

/** The same for who must know: undefined when there is no record, and nothing else. Throws when it cannot be read, or is none. */
export function ownerOf(directory: string): OwnerRecord | undefined {
  let text: string;
  try {
    text = readFileSync(ownerFile(directory), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  const record = recordIn(text);
  if (record === undefined) throw new Error(`${ownerFile(directory)} is not an owner's record`);
  return record;
}

/** Undefined when it is no owner's record. Throws SyntaxError when it is no JSON. */
function recordIn(text: string): OwnerRecord | undefined {
  const { pid, host = "", bootId, pidNamespace = "", startTicks, nonce, batch } = JSON.parse(text) ?? {};
  const isWhole = [host, bootId, pidNamespace, startTicks, nonce].every((field) => typeof field === "string");
  if (!isWhole || !Number.isInteger(pid) || pid <= 0) return undefined;
  const record = { pid, host, bootId, pidNamespace, startTicks, nonce };
  const isBatch = typeof batch?.job === "string" && Number.isInteger(batch.run);
  return isBatch ? { ...record, batch: { job: batch.job, run: batch.run } } : record;
}

/** Each owner that beats has a file of its own for it: one that comes back late does not beat for another. */
export function beatFile(directory: string, nonce: string): string {
  return join(directory, `beat-${nonce}`);
}

function ownerFile(directory: string): string {
  return join(directory, "owner.json");
}

function isAlive(owner: OwnerRecord): boolean {
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  if (owner.startTicks === "") return true;
  const found = statOf(owner.pid);
  return found !== undefined && !found.isZombie && found.startTicks === owner.startTicks;
}

/** Undefined when there is no such process, or no /proc. */
function statOf(pid: number): { readonly isZombie: boolean; readonly startTicks: string } | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { isZombie: /[ZX]/.test(fields[0] ?? ""), startTicks: fields[19] ?? "" };
}

function bootId(): string {
  return readIfThere("/proc/sys/kernel/random/boot_id")?.trim() ?? "";
}

function pidNamespace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return ""; // no /proc at all
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined; // gone, or no /proc at all
  }
}
