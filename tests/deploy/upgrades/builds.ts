import { execFile } from "node:child_process";
import { copyFile, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { cached } from "../downloads.ts";

const run = promisify(execFile);

/** The last build of the protocol minor before this one's: what a fabric runs that is upgraded to this. */
const PREVIOUS = "4a99565b912fb0400de6fe5516ff676ed9ab233f";

const here = fileURLToPath(new URL("../../..", import.meta.url));

/** A tree of sources with its dependencies, of which servers and programs can be run. */
export interface Build {
  readonly name: "previous" | "current";
  readonly directory: string;
}

export const currentBuild: Build = { name: "current", directory: here };

/** Why there can be no previous build: what was cloned has no history. Undefined when there can. */
export async function previousIsMissing(): Promise<string | undefined> {
  try {
    await run("git", ["cat-file", "-e", `${PREVIOUS}^{commit}`], { cwd: here });
    return undefined;
  } catch {
    return `commit ${PREVIOUS.slice(0, 7)} is not in this clone`;
  }
}

/** Of the history of this repository, with what it depends on; made once. */
export async function previousBuild(): Promise<Build> {
  const directory = await cached(`build-${PREVIOUS.slice(0, 7)}`, async (into) => {
    const archive = join(into, "sources.tar");
    await run("git", ["archive", "--output", archive, PREVIOUS], { cwd: here });
    await run("tar", ["-xf", archive], { cwd: into });
    const env = { ...process.env, NX_DAEMON: "false" };
    await run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: into, env });
    await run("npm", ["run", "-s", "gen"], { cwd: into, env });
  });
  return { name: "previous", directory };
}

/** Puts a program of this directory where it is one of that build's. Resolves to its path there. */
export async function programOf({ directory }: Build, name: string): Promise<string> {
  const path = join(directory, "tests/deploy/upgrades", name);
  if (directory === here) return path;
  await mkdir(dirname(path), { recursive: true });
  await copyFile(fileURLToPath(new URL(name, import.meta.url)), path);
  return path;
}
