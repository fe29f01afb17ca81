import { chmodSync, mkdirSync, statSync } from "node:fs";
import { PermissionError } from "@heddle/kernel";

/**
 * Makes the directory (0700) unless it is there. One of ours that others may enter is closed to them; one of root's, as volumes are
 * mounted, is taken as it is. Throws PermissionError when it is somebody else's, or no directory.
 */
export function privateDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const found = statSync(path);
  if (!found.isDirectory()) throw new PermissionError(`${path} is not a directory`);
  const uid = process.getuid?.();
  if (uid === undefined) return;
  if (found.uid === uid && (found.mode & 0o077) !== 0) chmodSync(path, 0o700);
  if (found.uid !== uid && found.uid !== 0)
    throw new PermissionError(`${path} belongs to another user (uid ${found.uid})`);
}
