import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import type { TestAuthority } from "@heddle/adapter-grpc/testing";
import { PrivateNetwork } from "../../harness/private-network.ts";
import { openFiles, Program, residentBytes } from "../../harness/program.ts";
import { eventually } from "../../harness/waiting.ts";
import type { HonestReport } from "../scripts/honest.ts";

type Server = "coordinator" | "manager";

/** What a server takes of its machine. */
export interface Footprint {
  readonly residentBytes: number;
  readonly openFiles: number;
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/**
 * Manager, coordinator and an agent over mutual TLS in a network of their own, with somebody honest who uses them all the time. Attackers have a client's
 * certificate and little of the processor: theirs would be another machine's.
 */
export class FloodedFabric implements AsyncDisposable {
  readonly #scope = new AsyncDisposableStack();
  readonly #directory = mkdtempSync(join(tmpdir(), "heddle-floods-"));
  readonly #programs = new Map<string, Program>();
  readonly #pids = new Map<Server, number>();
  readonly #addresses = new Map<Server, string>();
  readonly #network: PrivateNetwork;
  readonly #authority: TestAuthority;
  readonly #attackerTls: string;
  #honest: { readonly child: Child; readonly lines: AsyncIterator<string> } | undefined;

  private constructor(network: PrivateNetwork, authority: TestAuthority) {
    this.#network = network;
    this.#authority = authority;
    this.#attackerTls = authority.issue("client", "attacker").directory;
    this.#scope.use(network);
    this.#scope.defer(() => rmSync(this.#directory, { recursive: true, force: true }));
  }

  static async start(authority: TestAuthority): Promise<FloodedFabric> {
    const fabric = new FloodedFabric(await PrivateNetwork.open(), authority);
    try {
      const manager = await fabric.#serve("manager", ["--data-dir", join(fabric.#directory, "manager")]);
      const coordinator = await fabric.#serve("coordinator", ["--manager", manager]);
      const own = ["--name", "n1", "--processes", "1", "--data-dir", join(fabric.#directory, "agent")];
      fabric.#run("agent", ["--coordinator", coordinator, ...own]);
      await eventually("the node has joined", () => fabric.program("coordinator").logged("node joined")[0]);
      await fabric.#beHonest(coordinator);
      return fabric;
    } catch (error) {
      await fabric[Symbol.asyncDispose]();
      throw error;
    }
  }

  program(name: Server): Program {
    const program = this.#programs.get(name);
    if (program === undefined) throw new Error(`there is no ${name}`);
    return program;
  }

  footprint(server: Server): Footprint {
    const pid = this.#pids.get(server) ?? 0;
    return { residentBytes: residentBytes(pid), openFiles: openFiles(pid) };
  }

  /** Runs a script of an attacker against a server; what came of it. */
  async attack(
    script: "flood" | "hoard",
    kind: string,
    server: Server,
    total: number,
  ): Promise<Record<string, number>> {
    const path = join(import.meta.dirname, `../scripts/${script}.ts`);
    const address = this.#addresses.get(server) ?? "";
    const command = ["nice", "-n", "19", process.execPath, "--conditions=@heddle/source", path];
    const child = this.#spawn([...command, kind, address, this.#attackerTls, String(total)], {});
    const [said, complaints] = await Promise.all([text(child.stdout), text(child.stderr)]);
    if (child.exitCode !== 0 && said === "") throw new Error(`${kind}: ${complaints}`);
    return JSON.parse(said) as Record<string, number>;
  }

  /** How the honest one has fared since this was asked last. */
  async report(): Promise<HonestReport> {
    const { child, lines } = this.#honest ?? {};
    if (child === undefined || lines === undefined) throw new Error("nobody is honest");
    child.stdin.write("\n");
    const { done, value } = await lines.next();
    if (done === true) throw new Error("the honest one is gone");
    return JSON.parse(value) as HonestReport;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope.disposeAsync();
  }

  async #serve(server: Server, flags: readonly string[]): Promise<string> {
    const file = join(this.#directory, `${server}.json`);
    const program = this.#run(server, ["--listen", "127.0.0.1:0", "--address-file", file, ...flags]);
    const { address, pid } = await program.address(file);
    this.#pids.set(server, pid);
    this.#addresses.set(server, address);
    return address;
  }

  #run(party: Server | "agent", flags: readonly string[]): Program {
    const { directory } = this.#authority.issue(party, party);
    const own = ["--tls-dir", directory, "--drain-ms", "200"];
    // Of V8's memory for what is young, which any load makes it take, so little that what is kept for attackers shows.
    const env = { NODE_OPTIONS: "--max-semi-space-size=4" };
    const program = new Program([party, ...own, ...flags], { within: this.#network.within, env });
    this.#scope.use(program);
    this.#programs.set(party, program);
    return program;
  }

  async #beHonest(address: string): Promise<void> {
    const path = join(import.meta.dirname, "../scripts/honest.ts");
    const { directory } = this.#authority.issue("client", "honest");
    const child = this.#spawn([process.execPath, "--conditions=@heddle/source", path, address], {
      HEDDLE_TLS_DIR: directory,
    });
    child.stderr.pipe(process.stderr);
    this.#honest = { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
    const { done } = await this.#honest.lines.next();
    if (done === true) throw new Error("the honest one could not begin");
  }

  #spawn(command: readonly string[], env: Readonly<Record<string, string>>): Child {
    const [program, ...args] = [...this.#network.within, ...command];
    const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ["pipe", "pipe", "pipe"] });
    const gone = once(child, "exit");
    this.#scope.defer(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGKILL");
      await gone;
    });
    return child;
  }
}
