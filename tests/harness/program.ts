import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { eventually } from "./waiting.ts";

/** The command as users have it. */
const bin = fileURLToPath(new URL("../../libs/sdk/bin/heddle.mjs", import.meta.url));

/** How a program is run. */
export interface ProgramOptions {
  /** The program and its first arguments that run the rest as a command; none unless given. */
  readonly within?: readonly string[];
  /** Variables of its environment, beside those of the test that mean nothing to heddle. */
  readonly env?: Readonly<Record<string, string>>;
}

/** `heddle` as a process of its own, with all that it says. */
export class Program implements AsyncDisposable {
  readonly child: ChildProcess;
  /** What it has written so far, to either stream. */
  said = "";
  readonly #complete: Promise<unknown>;

  /** Runs `heddle ARGS...`. */
  constructor(args: readonly string[], options: ProgramOptions = {}) {
    const [program = "", ...all] = [...(options.within ?? []), process.execPath, bin, ...args];
    const clean = Object.entries(process.env).filter(([name]) => !name.startsWith("HEDDLE_"));
    const env = { ...Object.fromEntries(clean), ...options.env };
    this.child = spawn(program, all, { env, stdio: ["ignore", "pipe", "pipe"] });
    this.#complete = once(this.child, "close");
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.said += text;
      });
  }

  /** The address file of a server that has started, once it is there; it says the process id of the server, too. */
  async address(file: string): Promise<{ readonly address: string; readonly pid: number }> {
    return await eventually(`the address file ${file}`, () => {
      if (this.isOver) throw new Error(`it ended: ${this.said}`);
      try {
        return JSON.parse(readFileSync(file, "utf8")) as { address: string; pid: number };
      } catch {
        return undefined; // not there yet
      }
    });
  }

  /** Its exit code, once it has ended and all that it said is here. */
  async code(): Promise<number | null> {
    await this.#complete;
    return this.child.exitCode;
  }

  /** The lines of its log with this message so far, as people read them. */
  logged(message: string): string[] {
    const after = / (?:debug|info |warn |error) (.*)$/;
    return this.said.split("\n").filter((line) => after.exec(line)?.[1]?.startsWith(message) === true);
  }

  get isOver(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** In order; by force when that takes long. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.isOver) this.child.kill("SIGTERM");
    const timer = setTimeout(() => this.child.kill("SIGKILL"), 10_000);
    await this.#complete;
    clearTimeout(timer);
  }
}

/** Memory of a process that is in RAM now, in bytes. */
export function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  if (kilobytes === undefined) throw new Error(`process ${pid} has no memory`);
  return Number(kilobytes) * 1_024;
}

/** How many files and sockets it has open. */
export function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}
