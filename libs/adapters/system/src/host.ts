import { mkdtempSync, rmSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { basename, join } from "node:path";

/** What this process can say of itself. */
export interface HostFacts {
  readonly pid: number;
  /** Name of the machine. */
  readonly host: string;
  /** File name of the script that runs. */
  readonly program: string;
  /** Major version of Node.js. */
  readonly nodeMajor: number;
}

/** Reads them. */
export function hostFacts(): HostFacts {
  const program = basename(process.argv[1] ?? "node");
  return { pid: process.pid, host: hostname(), program, nodeMajor: Number(process.versions.node.split(".")[0]) };
}

/** A variable of the environment; undefined when unset or empty. */
export function environmentVariable(name: string): string | undefined {
  const value = process.env[name];
  return value === "" ? undefined : value;
}

/** Writes a line to standard output or error. */
export function printLine(stderr: boolean, line: string): void {
  (stderr ? process.stderr : process.stdout).write(`${line}\n`);
}

/** Keeps the process alive while at least one hold is not disposed: everything else of ours lets it go. */
export function processHolds(): () => Disposable {
  let count = 0;
  let timer: NodeJS.Timeout | undefined;
  return () => {
    let held = true;
    if (count++ === 0) timer = setInterval(() => undefined, 0x7fff_ffff);
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        if (--count === 0) clearInterval(timer);
      },
    };
  };
}

/** A new directory that only this user can enter; disposing removes it, and so does the end of the process. */
export function temporaryDirectory(prefix: string): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), prefix));
  const remove = (): void => rmSync(path, { recursive: true, force: true });
  process.once("exit", remove);
  return {
    path,
    [Symbol.dispose]: () => {
      process.removeListener("exit", remove);
      remove();
    },
  };
}
