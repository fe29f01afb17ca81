import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { isIPv6 } from "node:net";
import { join } from "node:path";
import {
  HeddleError,
  InvalidArgumentError,
  isLocal,
  type Logger,
  PermissionError,
  parseAddress,
  silentLogger,
  UnavailableError,
} from "@heddle/kernel";
import { mustBePrivate, privateDirectory, runtimeDirectory, runtimePath, withWayOut } from "./runtime-directory.ts";

/** How often a server looks whether its token is still there: cleaners of temporary directories take away what has not changed for days. */
const LOOK_MS = 60_000;
/** How long the token of a server that was killed is there for the next one at its address. Then whichever server starts next removes it. */
const LEFT_MS = 3_600_000;
/** Whoever holds the lock of the directory for longer is dead: it takes less than a millisecond. */
const LOCK_STALE_MS = 1_000;
const LOCK_PAUSE_MS = 2;
const RECORD_BYTES_MAX = 64 * 1024;

/** What is in the file of an address. */
interface TokenRecord {
  readonly address: string;
  readonly token: string;
  /** Processes that serve there, or are about to: two that start at once have the same token, whichever of them gets the address. */
  readonly pids: readonly number[];
}

/** A token that is where this user's clients find it. Disposing takes it away, unless another server has it, too. */
export interface KeptToken extends Disposable {
  /** 32 random bytes in base64url. */
  readonly token: string;
}

/** How tokens are kept. */
export interface LocalTokensOptions {
  /** Told when a token cannot be kept any more. */
  readonly log?: Logger;
  /** For tests: default one minute. */
  readonly lookMs?: number;
}

/**
 * Keeps the secrets that servers of this user share with the user's clients, one for each address of TCP that only this machine can reach.
 * `keep` gives the token of the server before at this address, if it was not stopped politely: its clients go on. Throws
 * InvalidArgumentError for another kind of address, PermissionError when the place is not this user's alone, and UnavailableError when
 * nothing can be written there.
 */
export function localTokens(options: LocalTokensOptions = {}): { keep(address: string): KeptToken } {
  return { keep: (address) => keep(address, options) };
}

/** Where the tokens of this user's servers are. */
export function localTokenDirectory(): string {
  return join(runtimePath(), "tokens");
}

/**
 * The token of this user's server at `address`; undefined when there is none, or the address is of another kind. Throws PermissionError
 * when one is there that may be somebody else's work: a link, or what others own or can open.
 */
export function findLocalToken(address: string): string | undefined {
  const place = placeOf(address);
  if (place === undefined) return undefined;
  const directory = localTokenDirectory();
  for (const path of [runtimePath(), directory]) {
    const found = lookingAt(path, () => lstatSync(path, { throwIfNoEntry: false }));
    if (found === undefined) return undefined;
    withWayOut(path, () => {
      if (!found.isDirectory()) throw new PermissionError(`${path} is not a directory`);
      mustBePrivate(path, found);
    });
  }
  return readRecord(join(directory, fileName(place)))?.token;
}

function keep(text: string, { log = silentLogger, lookMs = LOOK_MS }: LocalTokensOptions): KeptToken {
  const place = placeOf(text);
  if (place === undefined)
    throw new InvalidArgumentError(`there are no tokens for ${text}: only for TCP addresses of this machine`);
  const token = claim(place);
  const tolerant = (what: string, act: () => void): void => {
    try {
      act();
    } catch (error) {
      log.warn(what, { address: place, error: String(error) });
    }
  };
  const timer = setInterval(() => tolerant("the token cannot be kept", () => confirm(place, token)), lookMs).unref();
  let isKept = true;
  return {
    token,
    [Symbol.dispose]: () => {
      if (!isKept) return;
      isKept = false;
      clearInterval(timer);
      tolerant("the token cannot be removed", () => release(place, token));
    },
  };
}

/** Takes the token that is there, or makes one. */
function claim(place: string): string {
  return inDirectory((directory) => {
    prune(directory, place);
    const found = readRecord(join(directory, fileName(place)));
    const token = found?.token ?? randomBytes(32).toString("base64url");
    write(directory, { address: place, token, pids: [...living(found?.pids ?? []), process.pid] });
    return token;
  });
}

/** Puts the token back when somebody took it away. */
function confirm(place: string, token: string): void {
  inDirectory((directory) => {
    const found = readRecord(join(directory, fileName(place)));
    const pids = living(found?.pids ?? []);
    const isOurs = found?.token === token;
    if (isOurs && pids.includes(process.pid)) {
      const now = new Date();
      utimesSync(join(directory, fileName(place)), now, now);
    } else if (isOurs || pids.length === 0) write(directory, { address: place, token, pids: [...pids, process.pid] });
  });
}

function release(place: string, token: string): void {
  inDirectory((directory) => {
    const found = readRecord(join(directory, fileName(place)));
    if (found === undefined || found.token !== token) return;
    const own = found.pids.indexOf(process.pid);
    const pids = living(found.pids.toSpliced(own, own < 0 ? 0 : 1));
    if (pids.length > 0) write(directory, { ...found, pids });
    else rmSync(join(directory, fileName(place)), { force: true });
  });
}

/** Removes what servers left that have been dead for long, but for what the next one at `place` goes on with. */
function prune(directory: string, place: string): void {
  for (const name of readdirSync(directory)) {
    const isDead = name.endsWith(".json") && name !== fileName(place) && isLeft(directory, name);
    const isTorn = name.endsWith(".tmp"); // whoever wrote it had the lock, and is dead
    if (isDead || isTorn) rmSync(join(directory, name), { force: true });
  }
}

/** A server touches its file for as long as it lives. */
function isLeft(directory: string, name: string): boolean {
  const path = join(directory, name);
  try {
    const found = readRecord(path);
    if (found !== undefined && living(found.pids).length > 0) return false;
    return Date.now() - statSync(path).mtimeMs > LEFT_MS;
  } catch {
    return false; // whoever wants that address is told
  }
}

function living(pids: readonly number[]): readonly number[] {
  return pids.filter((pid) => {
    try {
      process.kill(pid, 0);
      return true;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "EPERM";
    }
  });
}

/** Only its owner can ever read it: it has that mode from its first byte on. Readers see all of it or what was there before. */
function write(directory: string, record: TokenRecord): void {
  const temporary = join(directory, `${randomBytes(8).toString("hex")}.tmp`);
  writeFileSync(temporary, `${JSON.stringify(record)}\n`, { flag: "wx", mode: 0o600 });
  renameSync(temporary, join(directory, fileName(record.address)));
}

/** Undefined when there is no file, or nothing that makes sense is in it. Throws PermissionError when it is not to be believed. */
function readRecord(path: string): TokenRecord | undefined {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const fd = lookingAt(path, () => openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  if (fd === undefined) return undefined;
  try {
    const found = fstatSync(fd);
    if (!found.isFile()) throw new PermissionError(`${path} is not a file`);
    mustBePrivate(path, found);
    return found.size > RECORD_BYTES_MAX ? undefined : recordIn(readFileSync(fd, "utf8"));
  } finally {
    closeSync(fd);
  }
}

function recordIn(text: string): TokenRecord | undefined {
  try {
    const { address, token, pids } = JSON.parse(text) as Partial<TokenRecord>;
    const isWhole = typeof address === "string" && typeof token === "string" && /^[A-Za-z0-9_-]{43}$/.test(token);
    const isServed = Array.isArray(pids) && pids.every((pid) => Number.isInteger(pid) && pid > 0);
    return isWhole && isServed ? { address, token, pids } : undefined;
  } catch {
    return undefined; // a full disk may have cut it off
  }
}

/** Undefined when nothing is there. */
function lookingAt<T>(path: string, look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    if (code === "ELOOP") throw new PermissionError(`${path} is a link`, { cause: error });
    throw new PermissionError(`cannot look for a token: ${message}`, { cause: error });
  }
}

/** One process at a time changes what is there. */
function inDirectory<T>(act: (directory: string) => T): T {
  try {
    runtimeDirectory();
    const directory = privateDirectory(localTokenDirectory());
    const lock = join(directory, "lock");
    while (!tryLock(lock)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOCK_PAUSE_MS);
    try {
      return act(directory);
    } finally {
      rmSync(lock, { force: true });
    }
  } catch (error) {
    if (error instanceof HeddleError) throw error;
    const { message } = error as Error;
    throw new UnavailableError(`cannot keep a token in ${localTokenDirectory()}: ${message}`, { cause: error });
  }
}

function tryLock(path: string): boolean {
  try {
    closeSync(openSync(path, "wx", 0o600));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    const found = statSync(path, { throwIfNoEntry: false });
    if (found !== undefined && Math.abs(Date.now() - found.mtimeMs) > LOCK_STALE_MS) rmSync(path, { force: true });
    return false;
  }
}

/** The address in one way of writing it, where there are several; undefined for one that has no tokens. */
function placeOf(text: string): string | undefined {
  const address = parseAddress(text);
  if (address.kind === "unix" || !isLocal(address)) return undefined;
  if (isIPv6(address.host)) return `[::1]:${address.port}`;
  const host = address.host.toLowerCase();
  return `${host === "localhost" ? "127.0.0.1" : host}:${address.port}`;
}

function fileName(place: string): string {
  return `${place.replaceAll(/[[\]]/g, "").replaceAll(":", "_")}.json`;
}
