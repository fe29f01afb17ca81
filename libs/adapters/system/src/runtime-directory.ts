import { lstatSync, mkdirSync, type Stats, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PermissionError } from "@heddle/kernel";

/** Where this user keeps what lives as long as a login: sockets, tokens, caches. Only they can look inside. */
export function runtimeDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  return privateDirectory(runtimePath(environment));
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
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const found = lstatSync(path);
  if (!found.isDirectory()) throw new PermissionError(`${path} is not a directory`);
  mustBePrivate(path, found);
  return path;
}

/** Throws PermissionError when what was found at `path` belongs to another user, or is open to others. */
export function mustBePrivate(path: string, found: Stats): void {
  const uid = process.getuid?.();
  if (uid === undefined) return; // where users have no numbers, files have no modes
  if (found.uid !== uid) throw new PermissionError(`${path} belongs to another user (uid ${found.uid})`);
  if ((found.mode & 0o077) !== 0)
    throw new PermissionError(`${path} is open to other users (mode ${(found.mode & 0o777).toString(8)})`);
}
