import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { eventually } from "../harness/waiting.ts";

export interface ServerOptions {
  readonly app: "coordinator" | "manager" | "agent";
  /** Of the party. */
  readonly name: string;
  /** What runs the rest as a command on its host. */
  readonly within: readonly [string, ...string[]];
  readonly flags: readonly string[];
  /** Written by the server when it serves; an agent's when it has a worker's reaper. */
  readonly addressFile: string;
  readonly log: string;
  readonly env: NodeJS.ProcessEnv;
  /** Whose processes can be counted; none unless given. */
  readonly cgroup?: string | undefined;
  /** Called when it ends though nobody ended it. */
  readonly died: (how: string) => void;
}

/** A server as a process of its own, killed and started again on the same data. */
export class ServerProgram {
  readonly name: string;
  readonly #options: ServerOptions;
  #child: ChildProcess | undefined;
  #isWanted = false;

  constructor(options: ServerOptions) {
    this.name = options.name;
    this.#options = options;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get isRunning(): boolean {
    const child = this.#child;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** It runs, and has said so: signals find it prepared. */
  get isServing(): boolean {
    return this.isRunning && existsSync(this.#options.addressFile);
  }

  /** Resolves when it serves. */
  async start(): Promise<void> {
    const { addressFile, name, died } = this.#options;
    rmSync(addressFile, { force: true });
    const child = this.#spawn();
    this.#child = child;
    this.#isWanted = true;
    child.once("exit", (code, signal) => {
      if (this.#isWanted && this.#child === child) died(`${name} ended with ${signal ?? code}`);
    });
    await eventually(
      `${name} serves`,
      () => (existsSync(addressFile) || !this.isRunning || !this.#isWanted ? true : undefined),
      60_000,
    );
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Kills it (-9). Resolves when it is gone. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Resolves with its exit code or signal. */
  async stop(): Promise<number | string | null> {
    return await this.#end("SIGTERM");
  }

  /** The end of what it has written. */
  lastWords(lines = 12): string {
    const { log } = this.#options;
    return existsSync(log) ? readFileSync(log, "utf8").trimEnd().split("\n").slice(-lines).join("\n") : "";
  }

  async #end(signal: NodeJS.Signals): Promise<number | string | null> {
    this.#isWanted = false;
    const child = this.#child;
    if (child === undefined) return null;
    if (this.isRunning) {
      const over = once(child, "exit");
      child.kill(signal);
      await over;
    }
    return child.signalCode ?? child.exitCode;
  }

  #spawn(): ChildProcess {
    const { app, within, flags, addressFile, log, env, cgroup } = this.#options;
    const main = fileURLToPath(new URL(`../../apps/${app}/src/main.ts`, import.meta.url));
    const vitals = new URL("vitals.ts", import.meta.url).href;
    const node = [process.execPath, "--expose-gc", `--import=${vitals}`, "--conditions=@heddle/source", main];
    const joining = cgroup === undefined ? [] : ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', cgroup];
    const [program = "", ...args] = [...joining, ...within, ...node, "--address-file", addressFile, ...flags];
    const file = openSync(log, "a");
    // a session of its own: the scheduler shares the processor between sessions, as it would between hosts
    const child = spawn(program, args, { env, stdio: ["ignore", file, file], detached: true });
    closeSync(file);
    return child;
  }
}
