import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { unaryRoute } from "@heddle/port-rpc";
import { adminGetStatus, GetStatusResponse } from "@heddle/wire";
import { localServer } from "./local-rpc.ts";
import { eventually } from "./waiting.ts";
import { Wire } from "./wire.ts";

/** How a manager is run. */
export interface ServedManagerOptions {
  /** More flags of the command. */
  readonly flags?: readonly string[];
  /** More flags of Node. */
  readonly nodeFlags?: readonly string[];
  /** The program and its first arguments that run the rest as a command, for a manager in a place of its own; none unless given. */
  readonly within?: (directory: string) => readonly string[];
}

/** The real manager as a process, with its journal on disk, to be killed and started again; no coordinator and no agents. */
export class ServedManager implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), "heddle-manager-test-"));
  readonly #options: ServedManagerOptions;
  readonly #scope = new AsyncDisposableStack();
  #process: ChildProcess | undefined;
  #complaints = "";

  private constructor(options: ServedManagerOptions) {
    this.#options = options;
    this.#scope.defer(() => rmSync(this.directory, { recursive: true, force: true }));
  }

  /** Resolves when it serves. */
  static async start(options: ServedManagerOptions = {}): Promise<ServedManager> {
    const manager = new ServedManager(options);
    try {
      await manager.start();
      return manager;
    } catch (error) {
      await manager[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Where it listens itself. */
  get socket(): string {
    return `unix:${join(this.directory, "manager.sock")}`;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** What it has written to standard error so far. */
  get complaints(): string {
    return this.#complaints;
  }

  /** An address for `connect`: whoever asks there is told that the manager is at `manager`, itself unless given. */
  async coordinates(manager: string = this.socket): Promise<string> {
    const server = localServer();
    const status = unaryRoute(adminGetStatus, async () => GetStatusResponse.fromPartial({ manager }));
    return this.#scope.use(await server.listen("127.0.0.1:0", [status])).address;
  }

  /** An address for `connect` to it through a wire of its own. */
  async behindWire(): Promise<{ readonly wire: Wire; readonly address: string }> {
    const wire = await Wire.open(this.socket);
    this.#scope.defer(() => wire.cut());
    return { wire, address: await this.coordinates(wire.address) };
  }

  /** Starts it on what the one before kept. Resolves when it serves. */
  async start(): Promise<void> {
    const file = join(this.directory, "manager.json");
    rmSync(file, { force: true });
    const child = this.spawn(["--listen", this.socket, "--address-file", file]);
    this.#process = child;
    await eventually("the manager's address file", () => {
      if (isOver(child)) throw new Error(`the manager ended: ${this.#complaints}`);
      return existsSync(file) && readFileSync(file, "utf8") !== "" ? true : undefined;
    });
  }

  /** Runs the command once more on the same directory, with these flags. */
  spawn(flags: readonly string[]): ChildProcess {
    const { nodeFlags = [], flags: more = [], within } = this.#options;
    const main = fileURLToPath(new URL("../../apps/manager/src/main.ts", import.meta.url));
    const data = join(this.directory, "data");
    const [command = "", ...args] = [
      ...(within?.(data) ?? []),
      process.execPath,
      "--conditions=@heddle/source",
      ...nodeFlags,
      ...[main, "--data-dir", data, "--drain-ms", "500", "--log-level", "error", ...more, ...flags],
    ];
    const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#complaints += text;
    });
    this.#scope.defer(() => end(child, "SIGKILL"));
    return child;
  }

  /** Kills it (-9). Nobody is told. */
  async kill(): Promise<void> {
    if (this.#process !== undefined) await end(this.#process, "SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope.disposeAsync();
  }
}

function isOver({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (isOver(child)) return;
  const gone = once(child, "exit");
  child.kill(signal);
  await gone;
}
