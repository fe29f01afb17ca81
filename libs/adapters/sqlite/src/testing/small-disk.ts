import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { expect, onTestFinished } from "vitest";

/** Puts a disk of 2 MiB at a path for the test that runs; undefined where this user may not mount one. */
export function smallDisk(path: string): string | undefined {
  mkdirSync(path);
  if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", path]).status !== 0) return undefined;
  onTestFinished(() => {
    expect(spawnSync("umount", [path]).status).toBe(0);
  });
  return path;
}
