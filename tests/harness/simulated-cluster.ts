import { openScope } from "@heddle/adapter-processes";
import { Fabric } from "@heddle/client";
import { memoryBlobs, sha256Hex } from "@heddle/port-blobs";
import { MemoryJobs, memoryJobStore } from "@heddle/port-job-store";
import { memoryShipper } from "@heddle/port-shipper";
import { memorySpill } from "@heddle/port-spill";
import { AgentShell } from "@heddle/shell-agent";
import { CoordinatorShell } from "@heddle/shell-coordinator";
import {
  createWorld,
  type FaultPlan,
  type HostContext,
  type SimHost,
  type SimProcess,
  SimWorkers,
  type World,
} from "@heddle/sim";
import { protocolVersion } from "@heddle/wire";
import type { Cluster, Tasks } from "./cluster.ts";
import { calmDisk, type DiskPlan, SimulatedDisk } from "./simulated-disk.ts";
import { simulatedInside } from "./simulated-inside.ts";
import { MANAGER, SimulatedManager } from "./simulated-manager.ts";
import { simulatedTasks } from "./simulated-tasks.ts";

/** How a simulated cluster is made. */
export interface SimulatedOptions {
  /** Decides every delay, every fault and every id. */
  readonly seed?: number;
  /** 2 unless given. */
  readonly nodes?: number;
  /** Of each node; 2 unless given. */
  readonly slots?: number;
  /** What goes wrong by itself; nothing unless given. Machines of clients are spared crashes, and that of the coordinator unless it is said to crash. */
  readonly plan?: FaultPlan;
  /** The coordinator's machine, too, crashes when the plan says that machines do; false unless given. */
  readonly coordinatorCrashes?: boolean;
  /** Asked at each start of a worker: a text is why it cannot be started. */
  readonly spawnFault?: () => string | undefined;
  /** Longest wait of clients for a vanished coordinator; 60 s unless given. */
  readonly unavailableTimeoutMs?: number;
  /** A manager of shared objects, which may crash when the coordinator may; both have such a disk. There is no manager unless given, and the coordinator's disk is a calm one. */
  readonly disk?: DiskPlan;
}

/** A client's machine, and what the program on it has. */
export interface SimulatedClient {
  readonly host: SimHost;
  readonly fabric: Fabric;
}

const COORDINATOR = "coordinator:1";
const BUILD = "0.0.0-sim";
const NODE_MAJOR = 24;
/** Virtual time that an agent and the coordinator have for a polite end. */
const DRAIN_MS = 10_000;
/** Virtual time within which anything that a test waits for must happen. */
const DRIVE_MS = 600_000;
/** Virtual time within which nothing may be left running: several leases. */
const SETTLE_MS = 120_000;

/** A cluster in a simulated world. Same options, same run. */
export class SimulatedCluster implements Cluster {
  readonly kind = "simulated";
  readonly isDistributed = true;
  readonly tasks: Tasks;
  readonly nodes: readonly string[];
  readonly slots: number;
  readonly printed: { readonly stderr: boolean; readonly line: string }[] = [];
  readonly world: World;
  /** Undefined where there are no shared objects. */
  readonly manager: SimulatedManager | undefined;
  /** Where the coordinator keeps jobs, and results that wait for clients. */
  readonly disk: SimulatedDisk;
  /** Of such results, written or not. */
  spilledBytes = 0;
  readonly #jobs: MemoryJobs;
  readonly #options: SimulatedOptions;
  readonly #ship = memoryShipper(sha256Hex);
  readonly #coordinator: SimHost;
  readonly #agents: readonly SimHost[];
  #clientCount = 0;
  #client: SimulatedClient | undefined;
  /** Beside the first. */
  readonly #others: SimulatedClient[] = [];
  /** What workers use shared objects by, by process id. */
  readonly #insides = new Map<number, Fabric>();
  /** Asks the coordinator when nobody else may. */
  readonly #observer: Fabric;

  constructor(options: SimulatedOptions = {}) {
    this.#options = options;
    const { seed = 1, nodes = 2, slots = 2, plan } = options;
    this.world = createWorld(seed, plan === undefined ? {} : { plan });
    this.tasks = simulatedTasks(this.world.processes);
    this.nodes = Array.from({ length: nodes }, (_, at) => `n${at + 1}`);
    this.slots = nodes * slots;
    const mayCrash = options.coordinatorCrashes ?? false;
    const { disk } = options;
    const build = { build: BUILD, nodeMajor: NODE_MAJOR };
    this.manager = disk === undefined ? undefined : new SimulatedManager(this.world, { ...build, disk, mayCrash });
    const host = (): SimHost => this.#coordinator;
    this.disk = new SimulatedDisk(this.world, { name: "coordinator's disk", plan: disk ?? calmDisk, host });
    this.#jobs = new MemoryJobs(this.disk.write);
    this.#coordinator = this.world.host("coordinator", (context) => this.#bootCoordinator(context), { mayCrash });
    this.#agents = this.nodes.map((name) => this.world.host(name, (context) => this.#bootAgent(context, name, slots)));
    this.#observer = this.#connect("observer").fabric;
  }

  async fabric(): Promise<Fabric> {
    this.#client ??= this.#connect(`client-${++this.#clientCount}`);
    return this.#client.fabric;
  }

  /** One more client, on a machine of its own. */
  client(): SimulatedClient {
    const client = this.#connect(`client-${++this.#clientCount}`);
    this.#others.push(client);
    return client;
  }

  /** For user functions: the fabric of the worker that they run in. Only where a shared object has come with what they were called with. */
  fabricHere(): Fabric {
    const fabric = this.#insides.get(this.world.processes.here().pid);
    if (fabric === undefined) throw new TypeError("no shared object has come to this worker");
    return fabric;
  }

  drive<T>(promise: PromiseLike<T>): Promise<T> {
    return this.world.drive(Promise.resolve(promise), { withinMs: DRIVE_MS });
  }

  /** Ends all faults of the plan and undoes them, but not what the test did by hand. */
  heal(): void {
    for (const disk of [this.disk, this.manager?.disk]) disk?.set(calmDisk);
    this.world.heal();
  }

  /** Resolves once a worker is running user code. */
  async untilBusy(): Promise<void> {
    const deadlineMs = this.world.clock.nowMs() + DRIVE_MS;
    const { ended } = await this.world.run({ deadlineMs, done: () => this.#busy().length > 0 });
    if (ended !== "done") throw new Error(`no worker ever ran user code\n${this.world.describe()}`);
  }

  async killWorker(): Promise<number> {
    await this.untilBusy();
    const busy = this.#busy();
    const victim = busy[this.world.random("test").int(busy.length)];
    if (victim === undefined) throw new TypeError("no worker is busy");
    victim.kill("SIGKILL");
    return victim.pid;
  }

  killAgent(index: number): void {
    this.#agent(index).crash();
  }

  startAgent(index: number): void {
    this.#agent(index).restart();
  }

  pauseAgent(index: number): void {
    this.#agent(index).pause();
  }

  resumeAgent(index: number): void {
    this.#agent(index).resume();
  }

  drainAgent(index: number): Promise<void> {
    return this.drive(this.#agent(index).stop());
  }

  vanishClient(): void {
    this.#client?.host.crash();
    this.#client = undefined;
  }

  /** Kills (-9) the coordinator: what it knew is gone. It stays away until `startCoordinator`. */
  killCoordinator(): void {
    this.#coordinator.crash();
  }

  /** Starts a coordinator that is not there. */
  startCoordinator(): void {
    if (this.#coordinator.state === "down") this.#coordinator.restart();
  }

  stopCoordinator(): Promise<void> {
    return this.drive(this.#coordinator.stop());
  }

  async settled(): Promise<void> {
    const deadlineMs = this.world.clock.nowMs() + SETTLE_MS;
    for (;;) {
      const { jobs, chunksPlaced } = await this.drive(this.#observer.status());
      const busy = this.#busy().length;
      if (jobs === 0 && chunksPlaced === 0 && busy === 0) return;
      const left = `${jobs} jobs, ${chunksPlaced} placed chunks and ${busy} busy workers are left`;
      if (this.world.clock.nowMs() > deadlineMs) throw new Error(`${left} after ${SETTLE_MS} virtual ms`);
      await this.#pass(100);
    }
  }

  /** Stops everything politely, coordinator last. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.heal();
    const clients = this.#others.filter(({ host }) => host.state !== "down").map(({ fabric }) => fabric.close());
    await this.drive(Promise.all([this.#client?.fabric.close(), ...clients, this.#observer.close()]));
    await this.drive(Promise.all(this.#agents.map((agent) => agent.stop())));
    await this.stopCoordinator();
    await this.drive(this.manager?.host.stop() ?? Promise.resolve());
  }

  #busy(): SimProcess[] {
    return [...this.world.processes.live].filter((process) => process.isBusy);
  }

  #agent(index: number): SimHost {
    const agent = this.#agents[index];
    if (agent === undefined) throw new RangeError(`there is no node ${index}`);
    return agent;
  }

  async #pass(ms: number): Promise<void> {
    await this.world.run({ deadlineMs: this.world.clock.nowMs() + ms, done: () => false });
  }

  #connect(name: string): SimulatedClient {
    let context: HostContext | undefined;
    const host = this.world.host(
      name,
      (booted) => {
        context = booted;
        return undefined;
      },
      { mayCrash: false },
    );
    if (context === undefined) throw new TypeError("boot is synchronous");
    const fabric = new Fabric({
      env: context.env,
      client: context.rpc,
      address: COORDINATOR,
      shipper: this.#ship.shipper,
      version: protocolVersion(BUILD, NODE_MAJOR),
      description: `simulated client ${name}`,
      unavailableTimeoutMs: this.#options.unavailableTimeoutMs ?? 60_000,
      hold: () => ({ [Symbol.dispose]: () => undefined }),
      print: (stderr, line) => this.printed.push({ stderr, line }),
      objects: this.manager === undefined ? undefined : { openScope },
    });
    return { host, fabric };
  }

  #bootAgent(context: HostContext, name: string, slots: number): AsyncDisposable {
    const blobs = memoryBlobs();
    const { spawnFault } = this.#options;
    const spawner = new SimWorkers({
      context,
      processes: this.world.processes,
      loader: this.#ship.loader,
      ...(spawnFault === undefined ? {} : { fault: spawnFault }),
      ...(this.manager === undefined ? {} : { inside: this.#inside(), openScope }),
    });
    const agent = new AgentShell({
      env: context.env,
      client: context.rpc,
      addresses: [COORDINATOR],
      spawner,
      blobs,
      name,
      slots,
      host: name,
      pid: 1,
      build: BUILD,
      nodeMajor: NODE_MAJOR,
    });
    const scope = new AsyncDisposableStack();
    scope.use(blobs);
    scope.use(spawner);
    scope.defer(() => agent.drain(DRAIN_MS));
    return scope;
  }

  #inside(): ReturnType<typeof simulatedInside> {
    const { shipper } = this.#ship;
    const made = (pid: number, fabric: Fabric): void => void this.#insides.set(pid, fabric);
    return simulatedInside({ shipper, build: BUILD, nodeMajor: NODE_MAJOR, made });
  }

  async #bootCoordinator({ env, rpc, life }: HostContext): Promise<AsyncDisposable> {
    const scope = new AsyncDisposableStack();
    const blobs = scope.use(memoryBlobs());
    const manager = this.manager === undefined ? {} : { manager: { address: MANAGER, client: rpc } };
    this.#jobs.kill();
    this.disk.mount(life);
    const jobs = scope.use(memoryJobStore(this.#jobs));
    const { nowMs: timeOfDayMs } = this.world.clock;
    const build = { build: BUILD, nodeMajor: NODE_MAJOR, pid: 1 };
    const spill = memorySpill((bytes) => {
      this.spilledBytes += bytes;
      return this.disk.write(bytes);
    });
    const shell = new CoordinatorShell({ env, blobs, jobs, spill, timeOfDayMs, ...build, ...manager });
    void shell.failed.then(() => this.disk.restart(life));
    await shell.start();
    scope.use(await rpc.listen(COORDINATOR, shell.routes));
    scope.defer(() => shell.stop(DRAIN_MS));
    return scope;
  }
}
