import { spawn } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { findPackageJSON } from "node:module";
import { resolve as absolute } from "node:path";
import { isatty } from "node:tty";
import { pathToFileURL } from "node:url";
import { ParentLink, signalExitCode, type TlsValues } from "@heddle/adapter-command";
import { InvalidArgumentError } from "@heddle/kernel";
import { nodeOptions } from "./config.ts";
import { environmentOf } from "./targets.ts";

/** What `heddle run` was told. */
export interface RunOptions {
  readonly file: string;
  readonly args: readonly string[];
  /** Undefined: the script gets a fabric of its own, embedded in its process. */
  readonly address: string | undefined;
  /** Files of TLS by which the script says who it is, instead of those in the environment. */
  readonly tls: Partial<TlsValues>;
  /** Set when this process has a parent that it must not outlive. */
  readonly parentFd: number | undefined;
}

/** Becomes the script, where the system can do that; else starts it and ends as it ends. */
export function runScript(options: RunOptions): Promise<never> {
  const { file, args, address, tls, parentFd } = options;
  mustBeScript(file);
  adviseOnPlace(file);
  const environment = environmentOf(tls);
  if (address !== undefined) environment.HEDDLE_ADDRESS = address;
  const argv = [...nodeOptions, file, ...args];
  if (parentFd === undefined && process.platform !== "win32")
    process.execve?.(process.execPath, [process.execPath, ...argv], environment);
  return runBeside(argv, environment, parentFd);
}

/** Node would say it with a stack. Throws InvalidArgumentError. */
function mustBeScript(file: string): void {
  const found = statSync(file, { throwIfNoEntry: false });
  if (found === undefined) throw new InvalidArgumentError(`there is no script ${JSON.stringify(file)}`);
  if (found.isDirectory())
    throw new InvalidArgumentError(`${JSON.stringify(file)} is a directory: name the script in it to run`);
}

/** Says where scripts live when this one will not find the package. Node says the rest, with the line that imports it. */
function adviseOnPlace(file: string): void {
  if (!statSync(file).isFile() || !IMPORTS_HEDDLE.test(readFileSync(file, "utf8")) || findsHeddle(file)) return;
  console.error(
    `heddle: ${JSON.stringify(file)} will not find the package "heddle": a script lives inside the checkout, or in a project that has the package installed`,
  );
}

/** A static import, or a dynamic one of the name itself. */
const IMPORTS_HEDDLE = /^\s*(?:import|export)\s(?!\s*type\b)[^;]*?["']heddle["']|\bimport\(\s*["']heddle["']/m;

function findsHeddle(file: string): boolean {
  try {
    return findPackageJSON("heddle", pathToFileURL(absolute(file))) !== undefined;
  } catch {
    return false;
  }
}

async function runBeside(argv: string[], env: NodeJS.ProcessEnv, parentFd: number | undefined): Promise<never> {
  const child = spawn(process.execPath, argv, { stdio: "inherit", env });
  const isAtTerminal = [0, 1, 2].some((fd) => isatty(fd));
  process.on("SIGINT", () => {
    if (!isAtTerminal) child.kill("SIGINT"); // a terminal's Ctrl-C reaches the script by itself, and a second one would end it at once
  });
  for (const signal of ["SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
  if (parentFd !== undefined) void new ParentLink(parentFd).gone.then(() => child.kill("SIGKILL"));
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  child.once("error", reject);
  child.once("exit", (code, signal) => resolve(signal === null ? (code ?? 1) : signalExitCode(signal)));
  return process.exit(await promise);
}
