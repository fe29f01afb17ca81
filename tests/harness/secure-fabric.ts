import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TestAuthority } from "@heddle/adapter-grpc/testing";
import type { Role } from "@heddle/kernel";
import { type TlsFiles, tlsFilesIn } from "@heddle/port-rpc";
import { eventually } from "./waiting.ts";
import { Wire } from "./wire.ts";

/** The programs of a fabric. */
type Party = "manager" | "coordinator" | "agent";

interface Program {
  readonly party: Party;
  readonly child: ChildProcess;
  /** What it has written to standard error so far. */
  log: string;
}

/** Manager, coordinator and one agent as programs of their own over mutual TLS at loopback, each with files of its own. All reach the servers through wires, which can be dropped. */
export class SecureFabric implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), "heddle-secure-test-"));
  /** Of each role, where its files are. */
  readonly directories: Readonly<Record<Role, string>>;
  readonly #scope = new AsyncDisposableStack();
  readonly #programs: Program[] = [];
  readonly #wires: Wire[] = [];
  #address = "";

  private constructor(authority: TestAuthority) {
    this.#scope.defer(() => rmSync(this.directory, { recursive: true, force: true }));
    const issue = (role: Role): string => authority.issue(role, nameOf(role)).directory;
    this.directories = {
      client: issue("client"),
      agent: issue("agent"),
      coordinator: issue("coordinator"),
      manager: issue("manager"),
      admin: issue("admin"),
    };
  }

  /** Resolves when the node is there. */
  static async start(authority: TestAuthority): Promise<SecureFabric> {
    const fabric = new SecureFabric(authority);
    try {
      await fabric.#start();
      return fabric;
    } catch (error) {
      await fabric[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What the party of a role shows: a program of the fabric, or a test. */
  tls(role: Role): TlsFiles {
    return tlsFilesIn(this.directories[role]);
  }

  /** Where clients find the coordinator. */
  get address(): string {
    return this.#address;
  }

  /** Cuts every connection once; all may come back at once. */
  dropConnections(): void {
    for (const wire of this.#wires) wire.drop();
  }

  /** Puts files of the same roles by another authority in the place of the programs' own. Resolves when all have taken them up. */
  async renew(
    authority: TestAuthority,
    parties: readonly Party[] = ["manager", "coordinator", "agent"],
  ): Promise<void> {
    const programs = this.#programs.filter(({ party }) => parties.includes(party));
    const counts = programs.map(({ log }) => reloads(log));
    for (const party of parties) authority.replace(this.tls(party), authority.issue(party, nameOf(party)));
    await eventually("every program has taken up its new files", () =>
      programs.every(({ party, log }, at) => reloads(log) >= (counts[at] ?? 0) + watchers[party]) ? true : undefined,
    );
  }

  /** What a program has written to standard error so far. */
  log(party: Party): string {
    return this.#programs.find((program) => program.party === party)?.log ?? "";
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#scope.disposeAsync();
  }

  async #start(): Promise<void> {
    const manager = await this.#serve("manager", ["--data-dir", join(this.directory, "manager")]);
    this.#address = await this.#serve("coordinator", ["--manager", manager]);
    const agent = this.#run("agent", [
      ...["--coordinator", this.#address, "--name", "n1", "--processes", "2"],
      ...["--data-dir", join(this.directory, "agent"), "--drain-ms", "500"],
    ]);
    await eventually("the node has joined", () => {
      mustRun(agent);
      return this.log("coordinator").includes("node joined") || undefined;
    });
  }

  /** Its address, through a wire. */
  async #serve(party: Party, flags: readonly string[]): Promise<string> {
    const file = join(this.directory, `${party}.json`);
    const program = this.#run(party, [
      ...["--listen", "127.0.0.1:0", "--address-file", file, "--drain-ms", "500", ...flags],
    ]);
    const address = await eventually(`the ${party}'s address file`, () => {
      mustRun(program);
      const text = existsSync(file) ? readFileSync(file, "utf8") : "";
      return text === "" ? undefined : (JSON.parse(text) as { address: string }).address;
    });
    const wire = await Wire.open(address);
    this.#scope.defer(() => wire.cut());
    this.#wires.push(wire);
    return wire.address;
  }

  #run(party: Party, flags: readonly string[]): Program {
    const main = fileURLToPath(new URL(`../../apps/${party}/src/main.ts`, import.meta.url));
    const args = ["--conditions=@heddle/source", main, "--tls-dir", this.directories[party], ...flags];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
    const program: Program = { party, child, log: "" };
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      program.log += text;
    });
    this.#programs.push(program);
    this.#scope.defer(() => end(child));
    return program;
  }
}

/** A file with the certificates of both authorities, which is removed with the first. */
export function bundleOf(first: TestAuthority, second: TestAuthority): string {
  const file = `${first.caFile}.both`;
  writeFileSync(file, readFileSync(first.caFile, "utf8") + readFileSync(second.caFile, "utf8"));
  return file;
}

/** How many of a program look at its files: a coordinator's server, and its client at the manager. */
const watchers: Readonly<Record<Party, number>> = { manager: 1, coordinator: 2, agent: 1 };

function reloads(log: string): number {
  return log.split("tls files reloaded").length - 1;
}

function mustRun({ party, child, log }: Program): void {
  if (child.exitCode !== null || child.signalCode !== null) throw new Error(`the ${party} ended: ${log}`);
}

/** In order, so that an agent ends its workers. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 5_000);
  await gone;
  clearTimeout(timer);
}

/** What the certificate of a role names: agents by that name may call their nodes as they like. */
function nameOf(role: Role): string {
  return role === "agent" ? "agent" : `the-${role}`;
}
