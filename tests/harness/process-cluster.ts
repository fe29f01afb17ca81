import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findLocalToken } from "@heddle/adapter-system";
import { connect, type Fabric } from "heddle";
import { RealCluster } from "./real-cluster.ts";
import { eventually } from "./waiting.ts";
import { Wire } from "./wire.ts";

/** How a cluster of processes is made. */
export interface ProcessOptions {
  /** 2 unless given. */
  readonly nodes?: number;
  /** Of each node; 1 unless given. */
  readonly slots?: number;
  /** 1,500 unless given: tests of what happens after a lease need not wait for long. */
  readonly leaseMs?: number;
  /** Whether there is a manager, for shared objects and locks; false unless given. */
  readonly manager?: boolean;
  /** More flags for the manager. */
  readonly managerFlags?: readonly string[];
  /** More flags for the coordinator. */
  readonly coordinatorFlags?: readonly string[];
  /** Longest wait of this client for a vanished coordinator; 5,000 unless given. */
  readonly unavailableTimeoutMs?: number;
  /** More flags for the agent with this index. */
  readonly agentFlags?: (index: number) => readonly string[];
  /** The program and its first arguments that run the agents' commands; none unless given. Their process ids must be the agents'. */
  readonly agentsWithin?: readonly string[];
  /** Where agents find the coordinator, made of its address: that itself unless given. */
  readonly agentsThrough?: (address: string) => Promise<string>;
  /** How long agents wait for running work after SIGTERM; 5,000 unless given. */
  readonly agentDrainMs?: number;
}

interface Agent {
  readonly name: string;
  process: ChildProcess;
}

/** Coordinator and agents as processes of their own, over gRPC on loopback; clients come through a wire that can be cut. */
export class ProcessCluster extends RealCluster {
  readonly kind = "processes";
  readonly isDistributed = true;
  readonly nodes: readonly string[];
  readonly slots: number;
  readonly #options: Required<ProcessOptions>;
  readonly #agents: Agent[] = [];
  /** All that were ever started. */
  readonly #children: ChildProcess[] = [];
  #coordinator: ChildProcess | undefined;
  #manager: ChildProcess | undefined;
  #address = "";
  /** Where agents find it. */
  #agentsAddress = "";
  #wire: Wire | undefined;
  #fabric: Fabric | undefined;

  private constructor(options: Required<ProcessOptions>) {
    super();
    this.#options = options;
    this.nodes = Array.from({ length: options.nodes }, (_, at) => `n${at + 1}`);
    this.slots = options.nodes * options.slots;
  }

  /** Starts everything and waits until each node is there. */
  static async start(options: ProcessOptions = {}): Promise<ProcessCluster> {
    const cluster = new ProcessCluster({
      nodes: 2,
      slots: 1,
      leaseMs: 1_500,
      manager: false,
      managerFlags: [],
      unavailableTimeoutMs: 5_000,
      coordinatorFlags: [],
      agentFlags: () => [],
      agentsWithin: [],
      agentsThrough: (address) => Promise.resolve(address),
      agentDrainMs: 5_000,
      ...options,
    });
    try {
      await cluster.#start();
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Where the coordinator really listens. */
  get address(): string {
    return this.#address;
  }

  get coordinatorPid(): number {
    return this.#coordinator?.pid ?? 0;
  }

  /** 0 where there is none. */
  get managerPid(): number {
    return this.#manager?.pid ?? 0;
  }

  async fabric(): Promise<Fabric> {
    if (this.#fabric === undefined) {
      this.#wire = await Wire.open(this.#address);
      const token = findLocalToken(this.#address); // nobody finds it by the wire's address
      const { unavailableTimeoutMs } = this.#options;
      const options = { unavailableTimeoutMs, ...(token === undefined ? {} : { token }) };
      const fabric = await connect(this.#wire.address, options);
      this.#fabric = fabric;
      this.scope.defer(() => fabric.close());
    }
    return this.#fabric;
  }

  killAgent(index: number): void {
    this.#agent(index).process.kill("SIGKILL");
  }

  startAgent(index: number): void {
    const agent = this.#agent(index);
    agent.process = this.#spawnAgent(agent.name);
  }

  pauseAgent(index: number): void {
    this.#agent(index).process.kill("SIGSTOP");
  }

  resumeAgent(index: number): void {
    this.#agent(index).process.kill("SIGCONT");
  }

  async drainAgent(index: number): Promise<void> {
    const { process } = this.#agent(index);
    const gone = once(process, "exit");
    process.kill("SIGTERM");
    await gone;
  }

  vanishClient(): void {
    this.#wire?.cut();
    this.#wire = undefined;
    this.#fabric = undefined;
  }

  async stopCoordinator(): Promise<void> {
    const coordinator = this.#coordinator;
    if (coordinator === undefined || coordinator.exitCode !== null) return;
    const gone = once(coordinator, "exit");
    coordinator.kill("SIGTERM");
    await gone;
  }

  /** Kills (-9) the coordinator and starts another one at the same address. Resolves when it serves. */
  async replaceCoordinator(): Promise<void> {
    await this.killCoordinator();
    await this.startCoordinator();
  }

  /** Kills (-9) the coordinator. Nobody is told. */
  async killCoordinator(): Promise<void> {
    if (this.#coordinator !== undefined) await end(this.#coordinator);
  }

  /** Starts another one at the address of the last. Resolves when it serves. */
  async startCoordinator(): Promise<void> {
    await this.#startCoordinator(this.#address);
  }

  /** Kills (-9) the manager. Its clients are not told. */
  async killManager(): Promise<void> {
    if (this.#manager !== undefined) await end(this.#manager);
  }

  /** Starts a manager on what the one before it kept, at the same address. Resolves when it serves. */
  async startManager(): Promise<void> {
    const file = join(this.directory, "manager.json");
    rmSync(file, { force: true });
    this.#manager = this.#spawn("manager", [
      "--listen",
      this.#managerAddress,
      "--address-file",
      file,
      "--drain-ms",
      "500",
      "--data-dir",
      join(this.directory, "manager"),
      ...this.#timing,
      ...this.#options.managerFlags,
    ]);
    await eventually("the manager's address file", () => existsSync(file) || undefined);
  }

  /** Cuts every connection of this client once; it may come back at once. */
  dropConnections(): void {
    this.#wire?.drop();
  }

  /** Process ids of the agents, in order of the nodes. */
  agentPids(): readonly number[] {
    return this.#agents.map(({ process }) => process.pid ?? 0);
  }

  /** How a server ended, once it has: its exit code or the signal. */
  async endOf(pid: number): Promise<number | string | null> {
    const child = this.#children.find((each) => each.pid === pid);
    if (child === undefined) throw new RangeError(`no server of this cluster has the process id ${pid}`);
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    return child.exitCode ?? child.signalCode;
  }

  get #managerAddress(): string {
    return `unix:${join(this.directory, "manager.sock")}`;
  }

  get #timing(): readonly string[] {
    const { leaseMs } = this.#options;
    return ["--lease-ms", String(leaseMs), "--heartbeat-ms", String(Math.round(leaseMs / 10))];
  }

  async #start(): Promise<void> {
    if (this.#options.manager) await this.startManager();
    await this.#startCoordinator("127.0.0.1:0");
    this.#agentsAddress = await this.#options.agentsThrough(this.#address);
    for (const name of this.nodes) this.#agents.push({ name, process: this.#spawnAgent(name) });
    const fabric = await this.fabric();
    await eventually("every node", async () =>
      (await fabric.nodes()).length === this.nodes.length ? true : undefined,
    );
  }

  async #startCoordinator(listen: string): Promise<void> {
    const file = join(this.directory, "address.json");
    rmSync(file, { force: true });
    const flags = [
      "--listen",
      listen,
      "--address-file",
      file,
      "--drain-ms",
      "500",
      "--data-dir",
      join(this.directory, "coordinator"),
      ...this.#timing,
      ...(this.#options.manager ? ["--manager", this.#managerAddress] : []),
      ...this.#options.coordinatorFlags,
    ];
    this.#coordinator = this.#spawn("coordinator", flags);
    this.#address = await eventually("the coordinator's address file", () =>
      existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as { address: string }).address : undefined,
    );
  }

  #spawnAgent(name: string): ChildProcess {
    const { slots, agentFlags, agentsWithin, agentDrainMs } = this.#options;
    const flags = [
      "--coordinator",
      this.#agentsAddress,
      "--name",
      name,
      "--processes",
      String(slots),
      "--drain-ms",
      String(agentDrainMs),
      "--data-dir",
      join(this.directory, name),
      ...agentFlags(this.nodes.indexOf(name)),
    ];
    return this.#spawn("agent", flags, agentsWithin);
  }

  #spawn(
    app: "coordinator" | "agent" | "manager",
    flags: readonly string[],
    within: readonly string[] = [],
  ): ChildProcess {
    const main = fileURLToPath(new URL(`../../apps/${app}/src/main.ts`, import.meta.url));
    const options = { stdio: ["ignore", "ignore", "inherit"] as ["ignore", "ignore", "inherit"] };
    const [program = "", ...args] = [...within, process.execPath, "--conditions=@heddle/source", main, ...flags];
    const child = spawn(program, args, options);
    this.#children.push(child);
    this.scope.defer(() => end(child));
    return child;
  }

  #agent(index: number): Agent {
    const agent = this.#agents[index];
    if (agent === undefined) throw new RangeError(`there is no agent ${index}`);
    return agent;
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGCONT");
  child.kill("SIGKILL");
  await gone;
}
