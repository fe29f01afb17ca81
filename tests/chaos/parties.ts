import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createAuthority, writeIdentity } from "@heddle/adapter-certificates";
import type { Role } from "@heddle/kernel";
import { eventually } from "../harness/waiting.ts";
import { type ClientOptions, ClientRunner } from "./client-runner.ts";
import { Companion } from "./companion.ts";
import { Hosts, MIDDLE } from "./hosts.ts";
import type { KeptJob, SubmitterSettings } from "./kept-job.ts";
import type { Submitter } from "./kept-jobs.ts";
import { AGENT_DISK_BYTES, COORDINATOR_DISK_BYTES, KEPT_BYTES, MANAGER_DISK_BYTES, unavailableMs } from "./limits.ts";
import type { ChaosOptions } from "./options.ts";
import { partiesOf } from "./plan.ts";
import { makeCgroup, type RunDirectory, whyNoCgroup } from "./run-directory.ts";
import { ServerProgram } from "./server-program.ts";
import type { SubmitterEvent } from "./submitter-program.ts";

export const COORDINATOR_PORT = 7433;
export const MANAGER_PORT = 7435;
const HTTP_PORT = 7434;
/** Longest pause of a lane, for each client: many do as much together as few. */
const PAUSE_MS_OF_CLIENT = 350;
/** So many clients have one identity. */
const TEAM_SIZE = 4;

export interface PartiesOptions {
  readonly options: ChaosOptions;
  readonly directory: RunDirectory;
  readonly hears: ClientOptions["hears"];
  /** Somebody ended though nobody ended it. */
  readonly died: (how: string) => void;
}

/**
 * A fabric on hosts of its own over mutual TLS: a coordinator, a manager, agents and clients, each a process on its host, and in the middle a wire and an observer. Everybody reaches the manager
 * through the wire, and parties with even numbers the coordinator, too.
 */
export class Parties implements AsyncDisposable {
  readonly coordinator: ServerProgram;
  readonly manager: ServerProgram;
  readonly agents: readonly ServerProgram[];
  readonly clients: readonly ClientRunner[];
  readonly wire: Companion<never>;
  readonly observer: Companion<never>;
  readonly hosts: Hosts;
  readonly #context: PartiesOptions;
  readonly #env: NodeJS.ProcessEnv;
  readonly #cgroups = new Map<string, string>();

  private constructor(hosts: Hosts, context: PartiesOptions) {
    this.hosts = hosts;
    this.#context = context;
    const { options, directory } = context;
    const clean = Object.entries(process.env).filter(([name]) => !/^(HEDDLE_|NODE_OPTIONS$|VITEST)/.test(name));
    const own = {
      TMPDIR: directory.in("tmp"),
      NODE_COMPILE_CACHE: directory.in("cache"),
      CHAOS_VITALS: directory.in("vitals"),
      CHAOS_RUNS: directory.in("runs"),
    };
    this.#env = { ...Object.fromEntries(clean), ...own };
    this.wire = this.#companion("wire", [
      `${MIDDLE}:${COORDINATOR_PORT}=${this.#at("coordinator", COORDINATOR_PORT)}`,
      `${MIDDLE}:${MANAGER_PORT}=${this.#at("manager", MANAGER_PORT)}`,
    ]);
    this.observer = this.#companion("observer", [
      this.#at("coordinator", COORDINATOR_PORT),
      directory.in("tls", "observer"),
    ]);
    this.manager = this.#server("manager", "manager", ["--listen", this.#at("manager", MANAGER_PORT), ...this.#timing]);
    const listen = ["--listen", this.#at("coordinator", COORDINATOR_PORT), "--manager", `${MIDDLE}:${MANAGER_PORT}`];
    this.coordinator = this.#server("coordinator", "coordinator", [
      ...[...listen, ...this.#timing],
      ...["--kept-bytes", String(KEPT_BYTES)],
    ]);
    const slots = String(Math.max(2, Math.ceil(options.clients / 2))); // a node keeps twice as many workers: one of each client's pool
    this.agents = partiesOf("agent", options).map((name, at) =>
      this.#server("agent", name, ["--name", name, "--processes", slots, "--coordinator", this.#coordinatorFor(at)]),
    );
    this.clients = partiesOf("client", options).map((name, at) => this.#client(name, at));
  }

  /** Resolves when every client works. */
  static async start(context: PartiesOptions): Promise<Parties> {
    const { options, directory } = context;
    const names = (["coordinator", "manager", "agent", "client"] as const).flatMap((kind) => partiesOf(kind, options));
    await using scope = new AsyncDisposableStack();
    const hosts = scope.use(await Hosts.open(names));
    await certify(hosts, directory);
    await hosts.mount("manager", directory.in("data", "manager"), MANAGER_DISK_BYTES);
    await hosts.mount("coordinator", directory.in("data", "coordinator"), COORDINATOR_DISK_BYTES);
    for (const name of partiesOf("agent", options))
      await hosts.mount(name, directory.in("data", name), AGENT_DISK_BYTES);
    const parties = scope.use(new Parties(hosts, context));
    await parties.#start();
    scope.move();
    return parties;
  }

  /** Servers and clients that are to run. */
  get all(): readonly (ServerProgram | ClientRunner)[] {
    return [this.coordinator, this.manager, ...this.agents, ...this.clients];
  }

  get servers(): readonly ServerProgram[] {
    return [this.coordinator, this.manager, ...this.agents];
  }

  party(name: string): ServerProgram | ClientRunner {
    const party = this.all.find((each) => each.name === name);
    if (party === undefined) throw new RangeError(`there is no party ${name}`);
    return party;
  }

  /** Clients by the identity that they have in common: a kept job is for those alone that have its submitter's. */
  get teams(): readonly (readonly ClientRunner[])[] {
    return [...Map.groupBy(this.clients, ({ name }) => teamOf(name)).values()];
  }

  /** Starts a program on a client's host that submits a job. */
  submitter(name: string, job: KeptJob, hears: (event: SubmitterEvent) => void): Submitter {
    const { options, directory } = this.#context;
    const settings: SubmitterSettings = {
      address: this.#coordinatorFor(numberOf(name) - 1),
      tlsDirectory: directory.in("tls", name),
      ttlMs: options.leaseMs,
      unavailableTimeoutMs: unavailableMs(options.leaseMs),
      job,
    };
    const main = fileURLToPath(new URL("submitter-program.ts", import.meta.url));
    const [program, ...rest] = this.hosts.within(name);
    const { child, gone } = new Companion<SubmitterEvent>({
      command: [program, ...rest, process.execPath, "--conditions=@heddle/source", main, JSON.stringify(settings)],
      log: directory.in("logs", `${name}.log`),
      env: this.#env,
      hears,
    });
    return { gone, kill: () => void child.kill("SIGKILL") };
  }

  /** Resolves with what the command `heddle` says in the middle. Rejects unless it ends well. */
  async heddle(...args: readonly string[]): Promise<string> {
    const main = fileURLToPath(new URL("../../apps/cli/src/main.ts", import.meta.url));
    const fabric = ["--address", this.#at("coordinator", COORDINATOR_PORT)];
    const [program, ...rest] = this.hosts.within(undefined);
    const command = [process.execPath, "--conditions=@heddle/source", main, ...args, ...fabric];
    const tls = ["--tls-dir", this.#context.directory.in("tls", "observer")];
    const { stdout } = await promisify(execFile)(program, [...rest, ...command, ...tls], {
      env: this.#env,
      maxBuffer: 1 << 24,
    });
    return stdout;
  }

  /** The numbers of a server's page of metrics. Rejects when it does not answer. */
  async metrics(name: string): Promise<Record<string, number>> {
    return (await this.observer.ask("metrics", this.#at(name, HTTP_PORT))) as Record<string, number>;
  }

  /** Counts the processes of an agent; undefined where that cannot be. */
  cgroupOf(name: string): string | undefined {
    return this.#cgroups.get(name);
  }

  /** Resolves when every node is there. */
  async whole(withinMs: number): Promise<void> {
    await eventually(
      "every node is there",
      async () => {
        const nodes = (await this.observer.ask("nodes").catch(() => [])) as string[];
        return nodes.length === this.agents.length || undefined;
      },
      withinMs,
    );
  }

  /** By force. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.clients.map((client) => client.kill()));
    await Promise.all(this.servers.map((server) => server.kill()));
    for (const { child, gone } of [this.wire, this.observer]) {
      child.kill("SIGKILL");
      await gone;
    }
    for (const pid of (await this.hosts.processes().catch(() => new Map<number, string>())).keys()) killQuietly(pid);
    await this.hosts[Symbol.asyncDispose]();
  }

  get #timing(): readonly string[] {
    const { leaseMs } = this.#context.options;
    return ["--lease-ms", String(leaseMs), "--heartbeat-ms", String(Math.round(leaseMs / 7.5))];
  }

  async #start(): Promise<void> {
    await this.manager.start();
    await this.coordinator.start();
    await Promise.all(this.agents.map((agent) => agent.start()));
    await this.whole(60_000);
    for (const client of this.clients) client.start();
    await Promise.all(this.clients.map((client) => client.ready()));
  }

  #at(name: string, port: number): string {
    return `${this.hosts.addressOf(name)}:${port}`;
  }

  #coordinatorFor(at: number): string {
    return at % 2 === 0 ? this.#at("coordinator", COORDINATOR_PORT) : `${MIDDLE}:${COORDINATOR_PORT}`;
  }

  #server(app: "coordinator" | "manager" | "agent", name: string, flags: readonly string[]): ServerProgram {
    const { directory, died } = this.#context;
    const cgroup = app === "agent" && whyNoCgroup("pids") === undefined ? makeCgroup("pids", name) : undefined;
    if (cgroup !== undefined) this.#cgroups.set(name, cgroup);
    const addressFile = directory.in("addresses", name);
    const common = ["--data-dir", directory.in("data", name), "--tls-dir", directory.in("tls", name)];
    return new ServerProgram({
      app,
      name,
      within: this.hosts.within(name),
      flags: [...common, "--http", this.#at(name, HTTP_PORT), "--drain-ms", "5000", ...flags],
      addressFile,
      log: directory.in("logs", `${name}.log`),
      env: this.#env,
      cgroup,
      died,
    });
  }

  #client(name: string, at: number): ClientRunner {
    const { options, directory, hears, died } = this.#context;
    const { leaseMs, seed } = options;
    return new ClientRunner({
      name,
      within: this.hosts.within(name),
      settings: {
        address: this.#coordinatorFor(at),
        tlsDirectory: directory.in("tls", name),
        seed,
        ttlMs: leaseMs,
        unavailableTimeoutMs: unavailableMs(leaseMs),
        pauseMsMax: PAUSE_MS_OF_CLIENT * options.clients,
      },
      log: directory.in("logs", `${name}.log`),
      env: this.#env,
      hears,
      died,
    });
  }

  #companion(name: "wire" | "observer", args: readonly string[]): Companion<never> {
    const main = fileURLToPath(new URL(`${name}-program.ts`, import.meta.url));
    const [program, ...rest] = this.hosts.within(undefined);
    return new Companion<never>({
      command: [program, ...rest, process.execPath, "--conditions=@heddle/source", main, ...args],
      log: this.#context.directory.in("logs", `${name}.log`),
      env: this.#env,
      hears: () => undefined,
    });
  }
}

/** Makes an authority, and for each party what proves who it is. */
async function certify(hosts: Hosts, directory: RunDirectory): Promise<void> {
  const authority = await createAuthority();
  const issue = async (party: string, name: string, role: Role, addresses: readonly string[]): Promise<void> =>
    writeIdentity(directory.in("tls", party), await authority.issue({ role, name, hosts: addresses }));
  for (const name of hosts.names) {
    const role = (["coordinator", "manager", "agent", "client"] as const).find((each) => name.startsWith(each));
    const isServer = role === "coordinator" || role === "manager";
    const holder = role === "client" ? `team-${teamOf(name)}` : name;
    await issue(name, holder, role ?? "client", isServer ? [hosts.addressOf(name), MIDDLE] : []);
  }
  await issue("observer", "observer", "client", []);
}

const numberOf = (party: string): number => Number(party.slice(party.lastIndexOf("-") + 1));
const teamOf = (client: string): number => Math.ceil(numberOf(client) / TEAM_SIZE);

function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // it is gone
  }
}
