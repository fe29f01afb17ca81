import { hostname } from "node:os";
import { join, resolve } from "node:path";
import {
  exitCodeOf,
  exitCodes,
  messageOf,
  onStopSignals,
  ParentLink,
  removeAddressFile,
  type StopSignal,
  signalExitCode,
  writeAddressFile,
} from "@heddle/adapter-command";
import { availableSlots, temporaryDirectory } from "@heddle/adapter-system";
import { Child } from "./children.ts";
import { programs, type UpConfig } from "./config.ts";
import { KeptChild, type KeptChildOptions } from "./kept-child.ts";
import { addressForOthers, addressHere, hostsAt, makeCertificates, mustBeLocal, mustNameNothing } from "./up-tls.ts";

/** How long children may take to serve. */
const START_MS = 60_000;
/** How long a child may take beyond the time it has to drain, before it is killed. */
const STOP_GRACE_MS = 10_000;
/** How long children may take when nobody waits for them. */
const HURRY_MS = 3_000;

/** Runs a manager, a coordinator and agents as child processes until told to stop. Resolves with the exit code. */
export async function up(config: UpConfig): Promise<number> {
  const fabric = new Fabric(config);
  const stop = Promise.withResolvers<StopSignal>();
  onStopSignals({
    first: stop.resolve,
    again: (signal) => void fabric.hurry(signalExitCode(signal)),
  });
  if (config.parentFd !== undefined)
    void new ParentLink(config.parentFd).gone.then(() => fabric.hurry(exitCodes.error));
  const stopped = stop.promise.then(
    (signal): Ending => ({ why: stoppingText(config, signal), exitCode: exitCodes.ok, signal }),
  );
  try {
    const started = await Promise.race([fabric.start(), fabric.failed, stopped]);
    if ("address" in started) announce(config, started, fabric.slots);
    const { why, exitCode, signal } = await Promise.race([fabric.failed, stopped]);
    say(why);
    await fabric.stop(signal);
    say("stopped");
    return exitCode;
  } catch (error) {
    say(messageOf(error));
    await fabric.stop();
    const code = exitCodeOf(error);
    return code === exitCodes.usage || code === exitCodes.denied ? exitCodes.usage : exitCodes.error;
  }
}

/** Why `up` ends, and how. */
interface Ending {
  readonly why: string;
  readonly exitCode: number;
  /** What ended it, where that was a signal. */
  readonly signal?: StopSignal;
}

/** Who stops it by hand means it; a supervisor may start it again. */
function stoppingText({ drainMs }: UpConfig, signal: StopSignal): string {
  const chunks = `chunks that run may end within ${drainMs / 1_000} s`;
  const rest =
    signal === "SIGINT"
      ? "jobs that are not done fail then"
      : "jobs that are not done wait at their clients for another coordinator";
  return `stopping: ${chunks}, ${rest}; once more to stop at once`;
}

/** Where a fabric that has started is, and by which files its users say who they are. */
interface Started {
  readonly address: string;
  /** Where the coordinator's health and metrics are; undefined unless asked for. */
  readonly http?: string;
  /** Undefined without TLS. */
  readonly tlsDir?: string;
  readonly adminDir?: string;
}

function announce(config: UpConfig, { adminDir, ...facts }: Started, slots: number): void {
  const { address, http, tlsDir } = facts;
  if (config.addressFile !== undefined) writeAddressFile(config.addressFile, { ...facts, pid: process.pid });
  const nodes = `${config.nodes} ${config.nodes === 1 ? "node" : "nodes"}`;
  say(`a fabric of ${nodes} and ${slots} ${slots === 1 ? "slot" : "slots"} serves at ${address} (pid ${process.pid})`);
  if (http !== undefined) say(`its coordinator tells its health and metrics at http://${http}`);
  say("Ctrl-C stops it. Elsewhere, for your scripts:");
  if (tlsDir === undefined) return console.log(`export HEDDLE_ADDRESS=${address}`);
  console.log(`export HEDDLE_ADDRESS=${address} HEDDLE_TLS_DIR=${quoted(tlsDir)}`);
  console.log(`# for heddle break and others that only an administrator may: --tls-dir ${quoted(adminDir ?? "")}`);
}

/** For a shell. */
function quoted(path: string): string {
  return /^[\w/.:@%+-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

/** Messages are not data: they go to standard error. */
function say(message: string): void {
  console.error(`heddle up: ${message}`);
}

/** The processes of one fabric. */
class Fabric {
  /** Resolves when it cannot go on: one of its servers will not serve. */
  readonly failed: Promise<Ending>;
  /** Worker processes over all agents. */
  readonly slots: number;
  readonly #config: UpConfig;
  readonly #fail: (ending: Ending) => void;
  readonly #processes: readonly number[];
  readonly #agents: KeptChild[] = [];
  /** Where the manager's socket is, and what it and the coordinator keep unless they are told where: they find it again whenever they are started again. */
  readonly #directory = temporaryDirectory("heddle-up-");
  #manager: KeptChild | undefined;
  #coordinator: KeptChild | undefined;
  /** Where the coordinator is, once it has served: there it is whenever it is started again. */
  #place: { readonly address: string; readonly http: string | undefined } | undefined;
  #isStopping = false;

  constructor(config: UpConfig) {
    this.#config = config;
    const { promise, resolve } = Promise.withResolvers<Ending>();
    this.failed = promise;
    this.#fail = resolve;
    const { nodes, processes } = config;
    this.#processes = processes === undefined ? divide(availableSlots(), nodes) : new Array(nodes).fill(processes);
    this.slots = this.#processes.reduce((sum, count) => sum + count, 0);
  }

  /** Resolves when the manager, the coordinator and every agent serve. Rejects when one does not in time. */
  async start(): Promise<Started> {
    const {
      listen,
      http,
      logLevel,
      drainMs,
      dataDir,
      addressFile,
      tls,
      unschedulableMs,
      ephemeral,
      keptBytes,
      spillBytes,
    } = this.#config;
    if (!tls) {
      mustBeLocal(listen);
      mustNameNothing(this.#config.host);
    }
    // Its agents drain before it is stopped: then nothing is left to wait for.
    const common = ["--log-level", logLevel, "--drain-ms"];
    const manager = `unix:${join(this.#directory.path, "manager.sock")}`;
    const serves = ["--listen", manager, "--scratch", this.#directory.path, ...timing(this.#config)];
    const kept = dataDir === undefined ? ["--data-dir", this.#directory.path] : [];
    const manages = [...serves, ...kept, ...common, String(drainMs)];
    this.#manager = this.#keep("manager", "manager", manages, { firstTries: 1 });
    // Another fabric may work in its directory: it says so, before anything else is begun there.
    if (dataDir !== undefined) await inTime("manager", this.#manager.serving);
    if (this.#isStopping) throw new Error("stopped before it served");
    if (addressFile !== undefined) removeAddressFile(addressFile);
    const certificates = await this.#certificates();
    const tlsDir = (directory: string | undefined) => (directory === undefined ? [] : ["--tls-dir", directory]);
    const spills = spillBytes === undefined ? [] : ["--spill-bytes", String(spillBytes)];
    const coordinates = (): readonly string[] => [
      ...["--listen", this.#place?.address ?? listen, "--manager", manager, ...tlsDir(certificates?.coordinator)],
      ...(http === undefined ? [] : ["--http", this.#place?.http ?? http]),
      ...(unschedulableMs === undefined ? [] : ["--unschedulable-ms", String(unschedulableMs)]),
      ...(dataDir === undefined ? ["--data-dir", join(this.#directory.path, "coordinator")] : []),
      ...(ephemeral ? ["--ephemeral"] : []),
      ...(keptBytes === undefined ? [] : ["--kept-bytes", String(keptBytes)]),
      ...(dataDir === undefined ? ["--spill-bytes", "0"] : spills),
      ...timing(this.#config),
      ...common,
      "0",
    ];
    this.#coordinator = this.#keep("coordinator", "coordinator", coordinates, { firstTries: 1 });
    const served = await inTime("coordinator", this.#coordinator.serving);
    const address = String(served.address);
    const told = served.http === undefined ? {} : { http: String(served.http) };
    this.#place = { address, http: told.http };
    const base = nodeBase();
    for (const [index, processes] of this.#processes.entries()) {
      const name = `${base}-${index + 1}`;
      const args = ["--coordinator", addressHere(address), "--name", name, "--processes", String(processes)];
      const all = [...args, ...tlsDir(certificates?.agent), ...common, String(drainMs)];
      this.#agents.push(this.#keep("agent", name, all));
    }
    await Promise.all([this.#manager, ...this.#agents].map((child) => inTime(child.name, child.serving)));
    if (certificates === undefined) return { address, ...told };
    const { client, admin } = certificates;
    return { address: await addressForOthers(address, this.#config.host), ...told, tlsDir: client, adminDir: admin };
  }

  /** Undefined without TLS. */
  async #certificates() {
    const { tls, listen, host, dataDir } = this.#config;
    if (!tls) return undefined;
    const directory = resolve(dataDir ?? this.#directory.path, "tls");
    return await makeCertificates({ directory, isLasting: dataDir !== undefined, hosts: hostsAt(listen, host) });
  }

  /**
   * Agents first, so that what runs may end and reach its client, then the servers. Bounded in time: what does not end is killed. After SIGINT nothing comes after them,
   * and their clients are told so.
   */
  async stop(signal: StopSignal = "SIGTERM"): Promise<void> {
    this.#isStopping = true;
    const graceMs = this.#config.drainMs + STOP_GRACE_MS;
    await Promise.all(this.#agents.map((agent) => agent.end(graceMs, signal)));
    await this.#coordinator?.end(STOP_GRACE_MS, signal);
    await this.#manager?.end(graceMs, signal);
    this.#directory[Symbol.dispose]();
  }

  /** Ends everything at once, and this process with it. */
  async hurry(exitCode: number): Promise<never> {
    this.#isStopping = true;
    await Promise.all([...this.#agents, this.#coordinator, this.#manager].map((child) => child?.hurry(HURRY_MS)));
    return process.exit(exitCode);
  }

  #keep(
    program: keyof typeof programs,
    name: string,
    args: readonly string[] | (() => readonly string[]),
    options: Pick<KeptChildOptions, "firstTries"> = {},
  ): KeptChild {
    const gaveUp = (why: string, exitCode: number = exitCodes.error): void =>
      this.#fail({ why: `${why}: stopping everything`, exitCode });
    return new KeptChild({
      ...options,
      start: () => this.#spawn(program, name, typeof args === "function" ? args() : args),
      say,
      gaveUp,
    });
  }

  #spawn(program: keyof typeof programs, name: string, args: readonly string[]): Child {
    const { dataDir } = this.#config;
    const directory = dataDir === undefined ? [] : ["--data-dir", join(dataDir, name)];
    return new Child(name, programs[program], [...args, ...directory], (line) => console.error(line));
  }
}

/** What tests set. */
function timing({ leaseMs, heartbeatMs }: UpConfig): readonly string[] {
  return [
    ...(leaseMs === undefined ? [] : ["--lease-ms", String(leaseMs)]),
    ...(heartbeatMs === undefined ? [] : ["--heartbeat-ms", String(heartbeatMs)]),
  ];
}

/** Waits until it serves. */
async function inTime<T>(name: string, serving: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${name} does not serve after ${START_MS} ms`)), START_MS);
  try {
    return await Promise.race([serving, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Shares of `total`, as equal as can be and at least 1 each. */
export function divide(total: number, shares: number): readonly number[] {
  const [share, rest] = [Math.floor(total / shares), total % shares];
  return Array.from({ length: shares }, (_, index) => Math.max(1, share + (index < rest ? 1 : 0)));
}

/** What the names of this machine's nodes begin with. */
export function nodeBase(host: string = hostname()): string {
  const legal = (host.split(".")[0] ?? "").toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
  const short = legal.slice(0, 50).replaceAll(/^-+|-+$/g, "");
  return short === "" ? "node" : short;
}
