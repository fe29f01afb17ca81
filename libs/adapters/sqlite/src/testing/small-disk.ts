import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";

/** A disk of 2 MiB, until it is disposed. */
export interface SmallDisk extends Disposable {
  readonly path: string;
}

/** Puts one at a path; undefined where this user may not mount one. */
export function smallDisk(path: string): SmallDisk | undefined {
  mkdirSync(path);
  if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", path]).status !== 0) return undefined;
  return {
    path,
    [Symbol.dispose]: () => {
      if (spawnSync("umount", [path]).status !== 0) throw new Error(`${path} is still in use`);
    },
  };
}
