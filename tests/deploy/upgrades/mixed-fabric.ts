import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { eventually } from "../../harness/waiting.ts";
import { type Build, currentBuild, programOf } from "./builds.ts";

const run = promisify(execFile);

export type Server = "manager" | "coordinator" | "agent-1" | "agent-2";

/** How long what an agent runs may go on before it is stopped. */
const DRAIN = "30s";
/** A busy machine takes its time. */
const START_MS = 120_000;
/** Longer than it takes to replace one server there: what is held then outlives it. */
const LEASE = ["--lease-ms", "60000"];

/** A fabric of this machine whose servers may be of different builds; each is started and replaced with the commands of the page on upgrades. */
export class MixedFabric implements AsyncDisposable {
  readonly #directory: string;
  readonly #servers = new Map<Server, ChildProcess>();
  readonly #scope = new AsyncDisposableStack();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Resolves when it serves. */
  async start(server: Server, build: Build): Promise<void> {
    const file = this.#path(`${server}.json`);
    rmSync(file, { force: true });
    const child = this.#spawn(build, ["--address-file", file, ...this.#flags(server)]);
    this.#servers.set(server, child);
    await eventually(
      `${server} of the ${build.name} build`,
      () => {
        if (child.exitCode !== null)
          throw new Error(`${server} of the ${build.name} build ended with ${child.exitCode}`);
        return existsSync(file) || undefined;
      },
      START_MS,
    );
    if (server.startsWith("agent")) await this.#comes(server);
  }

  async #comes(node: string): Promise<void> {
    await eventually(`node ${node}`, async () => (await this.nodes()).has(node) || undefined, START_MS);
  }

  /** Ends one as its operator would, and starts it again of another build. Resolves when that serves. */
  async replace(server: Server, build: Build): Promise<void> {
    const child = this.#servers.get(server);
    if (child === undefined) throw new RangeError(`no ${server} runs`);
    const known = [...(await this.nodes()).keys()];
    if (server.startsWith("agent")) await this.#heddle("drain", server, "--deadline", DRAIN);
    child.kill("SIGTERM");
    await ending(child);
    await this.start(server, build);
    for (const node of known) await this.#comes(node);
    if (server.startsWith("agent")) await this.#heddle("uncordon", server);
  }

  /** Starts a program of this directory that is of that build. Resolves when it says that it runs. */
  async run(build: Build, name: string, ...args: readonly string[]): Promise<RunningProgram> {
    const program = new RunningProgram(this.#node(build, [await programOf(build, name), ...args]));
    await program.said();
    return program;
  }

  /** What nodes there are, and which take work. */
  async nodes(): Promise<ReadonlyMap<string, string>> {
    const { stdout } = await this.#heddle("get", "nodes", "-o", "json");
    const nodes = JSON.parse(stdout) as readonly { readonly name: string; readonly state: string }[];
    return new Map(nodes.map(({ name, state }) => [name, state]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope.disposeAsync();
  }

  #flags(server: Server): readonly string[] {
    const common = ["--data-dir", this.#path(`data-${server}`), "--drain-ms", "5000"];
    const manager = `unix:${this.#path("manager.sock")}`;
    if (server === "manager") return ["manager", "--listen", manager, ...LEASE, ...common];
    const address = `unix:${this.#path("coordinator.sock")}`;
    if (server === "coordinator")
      return ["coordinator", "--listen", address, "--manager", manager, ...LEASE, ...common];
    return ["agent", "--coordinator", address, "--name", server, "--processes", "2", ...common];
  }

  #heddle(...args: readonly string[]): Promise<{ readonly stdout: string }> {
    const bin = join(currentBuild.directory, "libs/sdk/bin/heddle.mjs");
    return run(process.execPath, [bin, ...args], { env: this.#env });
  }

  #spawn(build: Build, [flag = "", file = "", command = "", ...flags]: readonly string[]): ChildProcess {
    const bin = join(build.directory, "libs/sdk/bin/heddle.mjs");
    return this.#node(build, [bin, command, flag, file, ...flags], "ignore");
  }

  #node(build: Build, args: readonly string[], stdout: "pipe" | "ignore" = "pipe"): ChildProcess {
    const all = ["--conditions=@heddle/source", ...args];
    const child = spawn(process.execPath, all, {
      cwd: build.directory,
      env: this.#env,
      stdio: ["ignore", stdout, "inherit"],
    });
    this.#scope.defer(async () => {
      if (child.exitCode === null) child.kill("SIGKILL");
      await ending(child);
    });
    return child;
  }

  get #env(): NodeJS.ProcessEnv {
    const others = Object.entries(process.env).filter(([name]) => !name.startsWith("HEDDLE_"));
    return { ...Object.fromEntries(others), HEDDLE_ADDRESS: `unix:${this.#path("coordinator.sock")}` };
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }
}

/** A program that says on its output when it runs, and at its end what came of it: a line of JSON each. */
export class RunningProgram {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(child: ChildProcess) {
    if (child.stdout === null) throw new TypeError("nobody can read what the program says");
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  get isOver(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** The next that it says; rejects when it ends before. */
  async said(): Promise<unknown> {
    const line = await this.#lines.next();
    if (line.done === true) throw new Error(`the program ended with ${(await ending(this.#child)) ?? "a signal"}`);
    return JSON.parse(line.value);
  }
}

/** Resolves to its exit code when it has ended; null for a signal. */
async function ending(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return child.exitCode;
}
