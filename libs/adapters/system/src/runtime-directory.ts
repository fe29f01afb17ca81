import { lstatSync, mkdirSync, type Stats, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PermissionError } from "@heddle/kernel";

/** Where this user keeps what lives as long as a login: sockets, tokens, caches. Only they can look inside. Throws PermissionError that says where else it can be. */
export function runtimeDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const path = runtimePath(environment);
  return withWayOut(path, () => privateDirectory(path));
}

/** Adds to a PermissionError what to do where anybody of this machine may have made the path first, to stop this user or by mistake. */
export function withWayOut<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof PermissionError) || path !== runtimePath({})) throw error;
    const wayOut = "set XDG_RUNTIME_DIR, or TMPDIR, to a directory of your own, the same for servers and clients";
    throw new PermissionError(`${error.message}, and is where Heddle keeps sockets and tokens: ${wayOut}`, {
      cause: error,
    });
  }
}

/** Where that is, though it need not be there yet. A login directory of another user, inherited through `su`, is none of ours. */
export function runtimePath(environment: NodeJS.ProcessEnv = process.env): string {
  const login = environment.XDG_RUNTIME_DIR ?? "";
  const uid = process.getuid?.();
  const found = login === "" ? undefined : statSync(login, { throwIfNoEntry: false });
  const isOurs = found !== undefined && (uid === undefined || found.uid === uid);
  return isOurs ? join(login, "heddle") : join(tmpdir(), `heddle-${uid ?? 0}`);
}

/** Where this user's processes keep compiled code, so that later ones start faster; undefined where there is no safe place for it. */
export function compileCacheDirectory(): string | undefined {
  try {
    return privateDirectory(join(runtimeDirectory(), "compile-cache"));
  } catch {
    return undefined; // a cache is worth no error
  }
}

/**
 * Makes a directory that only this user can enter (0700) and gives its path back. Throws PermissionError when it is somebody else's,
 * a link, or open to others: in a shared temporary directory anybody may have made it first.
 */
export function privateDirectory(path: string): string {
  const found = made(path);
  if (!found.isDirectory()) throw new PermissionError(`${path} is not a directory`);
  mustBePrivate(path, found);
  return path;
}

/** What is there afterwards: it need not be a directory. */
function made(path: string): Stats {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined) throw error;
    return found;
  }
  return lstatSync(path);
}

/** Throws PermissionError when what was found at `path` belongs to another user, or is open to others. */
export function mustBePrivate(path: string, found: Stats): void {
  const uid = process.getuid?.();
  if (uid === undefined) return; // where users have no numbers, files have no modes
  if (found.uid !== uid) throw new PermissionError(`${path} belongs to another user (uid ${found.uid})`);
  if ((found.mode & 0o077) !== 0)
    throw new PermissionError(`${path} is open to other users (mode ${(found.mode & 0o777).toString(8)})`);
}
