import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createAuthority, writeIdentity } from "@heddle/adapter-certificates";
import type { Role } from "@heddle/kernel";
import { Companion } from "../chaos/companion.ts";
import { type Cut, Hosts } from "../chaos/hosts.ts";
import { Program } from "./program.ts";
import { eventually } from "./waiting.ts";

const COORDINATOR_PORT = 7433;
const MANAGER_PORT = 7435;

/** How a fabric on hosts is made. */
export interface HostedOptions {
  readonly leaseMs: number;
  /** Names of the agents' hosts and nodes; a1 and a2 unless given. */
  readonly agents?: readonly string[];
  /** Names of the clients' hosts; c1 unless given. */
  readonly clients?: readonly string[];
  /** Of each agent; 2 unless given. */
  readonly slots?: number;
  /** Whether there is a manager, on the host m; false unless given. */
  readonly manager?: boolean;
}

/**
 * A fabric whose parties are programs on hosts of their own, over mutual TLS, so that packets of one of them can be lost: the coordinator on the host `coordinator`, agents, clients
 * that do what `tests/behaviour/faults/hosted-client.ts` offers, and a manager. Takes what `whyNoHosts` says.
 */
export class HostedFabric implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), "hosted-test-"));
  readonly hosts: Hosts;
  /** By host. */
  readonly clients = new Map<string, Companion<never>>();
  readonly #options: Required<HostedOptions>;
  readonly #scope = new AsyncDisposableStack();
  readonly #programs = new Map<string, Program>();

  private constructor(hosts: Hosts, options: Required<HostedOptions>) {
    this.hosts = hosts;
    this.#options = options;
    this.#scope.defer(() => rmSync(this.directory, { recursive: true, force: true }));
    this.#scope.use(hosts);
  }

  /** Resolves when every node is there. */
  static async start(options: HostedOptions): Promise<HostedFabric> {
    const all = { agents: ["a1", "a2"], clients: ["c1"], slots: 2, manager: false, ...options };
    const names = ["coordinator", ...(all.manager ? ["manager"] : []), ...all.agents, ...all.clients];
    const fabric = new HostedFabric(await Hosts.open(names), all);
    try {
      await fabric.#start();
      return fabric;
    } catch (error) {
      await fabric[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The program on a host. */
  program(host: string): Program {
    const program = this.#programs.get(host);
    if (program === undefined) throw new RangeError(`no server runs on ${host}`);
    return program;
  }

  /** Asks the client on a host. */
  ask(host: string, method: string, ...args: readonly unknown[]): Promise<unknown> {
    const client = this.clients.get(host);
    if (client === undefined) throw new RangeError(`no client runs on ${host}`);
    return client.ask(method, ...args);
  }

  /** Lines of the coordinator's log with this message that tell of a node or client. */
  told(message: string, about: string): string[] {
    const lines = this.program("coordinator").logged(message);
    return lines.filter((line) => line.includes(about));
  }

  /** Drops the packets of a host, until the heal. */
  async cut(host: string, cut: Cut = "both"): Promise<void> {
    await this.hosts.cut(host, cut);
  }

  async heal(host: string): Promise<void> {
    await this.hosts.heal(host);
  }

  /** Answers whatever comes to the coordinator by resets, until the heal. */
  async reject(): Promise<void> {
    await this.hosts.reject("coordinator", COORDINATOR_PORT);
  }

  /** Packets that the rules of a host have taken so far. */
  async taken(host: string): Promise<number> {
    const table = await this.hosts.run(host, "iptables", "-w", "-nvxL", "INPUT");
    const rows = table.split("\n").slice(2);
    return rows.reduce((sum, row) => sum + (Number(row.trim().split(/\s+/)[0]) || 0), 0);
  }

  /** Connections that a host believes it has with the coordinator's port, or the manager's. */
  async connections(host: string, server: "coordinator" | "manager"): Promise<number> {
    const port = server === "coordinator" ? COORDINATOR_PORT : MANAGER_PORT;
    const table = await this.hosts.run(host, "cat", "/proc/net/tcp");
    const wanted = `:${port.toString(16).toUpperCase()}`;
    const rows = table.split("\n").map((line) => line.trim().split(/\s+/));
    return rows.filter(([, , remote = "", state]) => remote.endsWith(wanted) && state === "01").length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of this.hosts.names) await this.hosts.heal(name);
    for (const client of this.clients.values()) client.child.disconnect();
    await Promise.all([...this.clients.values()].map(({ gone }) => gone));
    const order = [...this.#options.agents, "coordinator", "manager"];
    for (const name of order) await this.#programs.get(name)?.[Symbol.asyncDispose]();
    await this.#scope.disposeAsync();
  }

  async #start(): Promise<void> {
    const { agents, clients, slots, manager } = this.#options;
    await this.#certify();
    for (const name of clients) mkdirSync(this.#in(name, "tmp"), { recursive: true });
    if (manager) await this.#serve("manager", ["--listen", this.#at("manager", MANAGER_PORT), ...this.#timing]);
    const managed = manager ? ["--manager", this.#at("manager", MANAGER_PORT)] : [];
    await this.#serve("coordinator", ["--listen", this.#coordinator, ...managed, ...this.#timing]);
    const flags = ["--coordinator", this.#coordinator, "--processes", String(slots)];
    await Promise.all(agents.map((name) => this.#serve("agent", ["--name", name, ...flags], name)));
    for (const name of clients) this.clients.set(name, this.#client(name));
    await Promise.all(clients.map((name) => this.ask(name, "connect", this.#coordinator, this.#in("tls", name))));
  }

  get #timing(): readonly string[] {
    const { leaseMs } = this.#options;
    return ["--lease-ms", String(leaseMs), "--heartbeat-ms", String(Math.round(leaseMs / 10))];
  }

  get #coordinator(): string {
    return this.#at("coordinator", COORDINATOR_PORT);
  }

  #at(host: string, port: number): string {
    return `${this.hosts.addressOf(host)}:${port}`;
  }

  #in(...names: readonly string[]): string {
    return join(this.directory, ...names);
  }

  /** Resolves when it serves. */
  async #serve(app: "coordinator" | "manager" | "agent", flags: readonly string[], host: string = app): Promise<void> {
    const file = this.#in(`${host}.json`);
    const common = ["--address-file", file, "--data-dir", this.#in("data", host), "--tls-dir", this.#in("tls", host)];
    const env = { HOSTED_TEST: this.directory };
    const program = new Program([app, ...common, "--drain-ms", "500", ...flags], {
      within: this.hosts.within(host),
      env,
    });
    this.#programs.set(host, program);
    await eventually(`${host} serves`, () => {
      if (program.isOver) throw new Error(`${host} ended: ${program.said}`);
      return readText(file) === "" ? undefined : true;
    });
  }

  #client(host: string): Companion<never> {
    const main = fileURLToPath(new URL("../behaviour/faults/hosted-client.ts", import.meta.url));
    const [program, ...rest] = this.hosts.within(host);
    return new Companion<never>({
      command: [program, ...rest, process.execPath, "--conditions=@heddle/source", main, String(this.#options.leaseMs)],
      log: this.#in(`${host}.log`),
      env: { ...process.env, HEDDLE_ADDRESS: undefined },
      hears: () => undefined,
    });
  }

  /** What the client on a host has printed. */
  printed(host: string): string {
    return readText(this.#in(`${host}.log`));
  }

  async #certify(): Promise<void> {
    const { agents, clients } = this.#options;
    const authority = await createAuthority();
    const issue = async (name: string, role: Role, hosts: readonly string[] = []): Promise<void> =>
      writeIdentity(this.#in("tls", name), await authority.issue({ role, name, hosts }));
    for (const server of ["coordinator", "manager"] as const)
      if (this.hosts.names.includes(server)) await issue(server, server, [this.hosts.addressOf(server)]);
    for (const name of agents) await issue(name, "agent");
    for (const name of clients) await issue(name, "client");
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // not there yet
  }
}
