import { randomBytes } from "node:crypto";
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { HeddleError, Logger } from "@heddle/kernel";
import { isNoSpace } from "./no-space.ts";
import type { StorageKind } from "./storage.ts";

/** Names one process for ever: its id may be given to another, its start and the machine's may not. */
interface OwnerRecord {
  readonly pid: number;
  /** Of the machine's boot; empty where there is no /proc. */
  readonly bootId: string;
  /** In the kernel's ticks since boot; empty where there is no /proc. */
  readonly startTicks: string;
  /** Tells owners in one process apart. */
  readonly nonce: string;
}

const ownerFile = (directory: string): string => join(directory, "owner.json");

/** Throws the kind's LockedError when the process that wrote itself down as the directory's owner lives. */
export function checkOwner(directory: string, kind: StorageKind): void {
  const owner = readOwner(directory);
  if (owner !== undefined && isAlive(owner)) throw lockedBy(directory, kind, owner);
}

/** For who finds the database locked: its owner may have written itself down since `checkOwner`. */
export function lockedError(directory: string, kind: StorageKind): HeddleError {
  return lockedBy(directory, kind, readOwner(directory));
}

/**
 * Writes this process down as the owner, for whoever comes next. Call it once the database is locked. Gives what `resign` wants. On a full
 * disk nothing is written, and the lock on the database is all that keeps others out.
 */
export function becomeOwner(directory: string, { what }: StorageKind, log: Logger): string {
  const nonce = randomBytes(8).toString("hex");
  const startTicks = statOf(process.pid)?.startTicks ?? "";
  const record: OwnerRecord = { pid: process.pid, bootId: bootId(), startTicks, nonce };
  const temporary = `${ownerFile(directory)}.tmp`;
  try {
    writeFileSync(temporary, JSON.stringify(record), { mode: 0o600 });
    renameSync(temporary, ownerFile(directory));
  } catch (error) {
    rmSync(temporary, { force: true });
    if (!isNoSpace(error)) throw error;
    log.warn(`no space to write down who owns the ${what}`, { directory });
  }
  return nonce;
}

/** Nobody owns the directory any more, if it is still ours. */
export function resign(directory: string, nonce: string): void {
  if (readOwner(directory)?.nonce === nonce) rmSync(ownerFile(directory), { force: true });
}

function lockedBy(directory: string, kind: StorageKind, owner: OwnerRecord | undefined): HeddleError {
  const who = owner === undefined ? "another process" : `process ${owner.pid}`;
  const { what, LockedError } = kind;
  return new LockedError(`${who} owns the ${what} in ${directory}: stop it first, or use another directory`);
}

/** Undefined when nobody wrote itself down, or nobody can read it: then the lock on the database alone decides. */
function readOwner(directory: string): OwnerRecord | undefined {
  try {
    const { pid, bootId, startTicks, nonce } = JSON.parse(readFileSync(ownerFile(directory), "utf8"));
    const isWhole = [bootId, startTicks, nonce].every((text) => typeof text === "string");
    return isWhole && Number.isInteger(pid) && pid > 0 ? { pid, bootId, startTicks, nonce } : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(owner: OwnerRecord): boolean {
  if (owner.bootId !== bootId()) return false;
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

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined; // gone, or no /proc at all
  }
}
