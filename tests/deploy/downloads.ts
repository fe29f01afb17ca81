import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** What tests of deployments have fetched, for the next time: `heddle-deploy` in XDG_CACHE_HOME, else in ~/.cache. */
export const cacheDirectory: string = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "heddle-deploy");

/**
 * The directory `name` of the cache. When it is not there `fill` makes what is in it; it is there only when that has succeeded, and of two who fill it at a
 * time the first one's stays.
 */
export async function cached(name: string, fill: (directory: string) => Promise<void>): Promise<string> {
  const directory = join(cacheDirectory, name);
  if (existsSync(directory)) return directory;
  await mkdir(cacheDirectory, { recursive: true });
  const partial = await mkdtemp(join(cacheDirectory, `${name}.partial-`));
  try {
    await fill(partial);
    await rename(partial, directory).catch((error: unknown) => {
      if (!existsSync(directory)) throw error;
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  return directory;
}

/** A directory of the cache with these packages of npm, NAME@VERSION each, in its node_modules. They are no dependencies of this repository. */
export function installedPackages(name: string, packages: readonly string[]): Promise<string> {
  return cached(name, async (directory) => {
    const options = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    await run("npm", ["install", "--prefix", directory, ...options, ...packages], { cwd: directory });
  });
}
