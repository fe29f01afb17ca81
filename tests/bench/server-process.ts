import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";

/** How long a server may take to serve, and to end once it is told to. */
const START_MS = 30_000;
const STOP_MS = 15_000;
/** Lines of its output that an error quotes. */
const LAST_LINES = 5;

export interface ServerProgram<T> {
  readonly program: string;
  /** Its arguments, `directory` being an empty one of its own. */
  readonly args: (directory: string) => readonly string[];
  /** What clients need to know, from the line of its output that says that it serves; undefined for every other line. */
  readonly served: (line: string) => T | undefined;
}

export interface RunningProgram<T> extends AsyncDisposable {
  readonly facts: T;
  readonly directory: string;
}

/**
 * Starts a server with an empty directory for its data and waits until it serves. Rejects, with its last lines, when it does not. Disposing it ends it, by its id, and removes
 * the directory. Whoever is killed before that leaves both to `runChild`.
 */
export async function startServer<T>({ program, args, served }: ServerProgram<T>): Promise<RunningProgram<T>> {
  await using scope = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), "heddle-bench-server-"));
  scope.defer(() => rmSync(directory, { recursive: true, force: true }));
  const child = spawn(program, args(directory), { stdio: ["ignore", "pipe", "pipe"] });
  scope.defer(() => ended(child));
  const facts = await said(child, program, served);
  const owned = scope.move();
  return { facts, directory, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** The first program of this name in PATH; undefined when there is none. */
export function programInPath(name: string): string | undefined {
  const paths = (process.env.PATH ?? "").split(delimiter).map((directory) => join(directory, name));
  return paths.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false; // nothing to run there
    }
  });
}

/** Its name and the first version that it prints when it is asked for that. */
export function versionOf(program: string): string {
  const { stdout } = spawnSync(program, ["--version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  return `${program} ${/\d+(\.\d+)+/.exec(stdout)?.[0] ?? "?"}`;
}

const TMPFS_MAGIC = 0x01021994;

/** What to say when directories for data are in memory; nothing when they are on a disk. */
export function memoryDiskLines(): string[] {
  const directory = tmpdir();
  if (statfsSync(directory).type !== TMPFS_MAGIC) return [];
  return [
    `IN MEMORY: ${directory} is no disk, so that "durable" costs nothing here. Set TMPDIR to a directory on one.`,
  ];
}

/** What it says when it serves. Its output is read for as long as it lives: a full pipe would stop it. */
async function said<T>(child: ChildProcess, program: string, served: (line: string) => T | undefined): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const last: string[] = [];
  const fail = (what: string): void => reject(new Error(`${program} ${what}: ${last.join(" | ")}`));
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on("line", (line) => {
      last.push(line);
      if (last.length > LAST_LINES) last.shift();
      const facts = served(line);
      if (facts !== undefined) resolve(facts);
    });
  }
  child.once("error", reject);
  child.once("exit", (code, signal) => fail(`ended (${code ?? signal}) before it served`));
  const timer = setTimeout(() => fail(`does not serve after ${START_MS} ms`), START_MS);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await gone;
  clearTimeout(timer);
}
