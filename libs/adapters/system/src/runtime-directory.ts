import { existsSync, lstatSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PermissionError } from "@heddle/kernel";

/** Where this user keeps what lives as long as a login: sockets, tokens, caches. Only they can look inside. */
export function runtimeDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const own = environment.XDG_RUNTIME_DIR;
  const uid = process.getuid?.() ?? 0;
  return privateDirectory(own && existsSync(own) ? join(own, "heddle") : join(tmpdir(), `heddle-${uid}`));
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
  if (process.getuid !== undefined) {
    if (found.uid !== process.getuid()) throw new PermissionError(`${path} belongs to another user (uid ${found.uid})`);
    const open = found.mode & 0o077;
    if (open !== 0)
      throw new PermissionError(`${path} is open to other users (mode ${(found.mode & 0o777).toString(8)})`);
  }
  return path;
}
