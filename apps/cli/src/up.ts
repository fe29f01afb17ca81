import { hostname } from "node:os";
import { join } from "node:path";
import {
  exitCodes,
  messageOf,
  onStopSignals,
  ParentLink,
  removeAddressFile,
  signalExitCode,
  writeAddressFile,
} from "@heddle/adapter-command";
import { availableSlots } from "@heddle/adapter-system";
import { Child, endText } from "./children.ts";
import { programs, type UpConfig } from "./config.ts";

/** How long children may take to serve. */
const START_MS = 60_000;
/** How long a child may take beyond the time it has to drain, before it is killed. */
const STOP_GRACE_MS = 10_000;
/** How long children may take when nobody waits for them. */
const HURRY_MS = 3_000;

/** Runs a coordinator and agents as child processes until told to stop, or until one of them dies. Resolves with the exit code. */
export async function up(config: UpConfig): Promise<number> {
  const fabric = new Fabric(config);
  const stop = Promise.withResolvers<void>();
  onStopSignals({
    first: () => stop.resolve(),
    again: (signal) => void fabric.hurry(signalExitCode(signal)),
  });
  if (config.parentFd !== undefined)
    void new ParentLink(config.parentFd).gone.then(() => fabric.hurry(exitCodes.error));
  if (config.addressFile !== undefined) removeAddressFile(config.addressFile);
  const failed = fabric.failed.then((why) => ({ why }));
  const stopped = stop.promise.then(() => ({ why: undefined }));
  try {
    const started = await Promise.race([fabric.start().then((address) => ({ address })), failed, stopped]);
    if ("address" in started) announce(config, started.address, fabric.slots);
    const { why } = await Promise.race([failed, stopped]);
    say(why ?? `stopping: what runs may end within ${config.drainMs / 1_000} s; once more to stop at once`);
    await fabric.stop();
    say("stopped");
    return why === undefined ? exitCodes.ok : exitCodes.error;
  } catch (error) {
    say(messageOf(error));
    await fabric.stop();
    return exitCodes.error;
  }
}

function announce(config: UpConfig, address: string, slots: number): void {
  if (config.addressFile !== undefined) writeAddressFile(config.addressFile, { address, pid: process.pid });
  const nodes = `${config.nodes} ${config.nodes === 1 ? "node" : "nodes"}`;
  say(`a fabric of ${nodes} and ${slots} ${slots === 1 ? "slot" : "slots"} serves at ${address} (pid ${process.pid})`);
  say("Ctrl-C stops it. Elsewhere, for your scripts:");
  console.log(`export HEDDLE_ADDRESS=${address}`);
}

/** Messages are not data: they go to standard error. */
function say(message: string): void {
  console.error(`heddle up: ${message}`);
}

/** The processes of one fabric. */
class Fabric {
  /** Resolves when a child ended that was not told to: who and how. */
  readonly failed: Promise<string>;
  /** Worker processes over all agents. */
  readonly slots: number;
  readonly #config: UpConfig;
  readonly #fail: (why: string) => void;
  readonly #processes: readonly number[];
  readonly #agents: Child[] = [];
  #coordinator: Child | undefined;
  #isStopping = false;

  constructor(config: UpConfig) {
    this.#config = config;
    const { promise, resolve } = Promise.withResolvers<string>();
    this.failed = promise;
    this.#fail = resolve;
    const { nodes, processes } = config;
    this.#processes = processes === undefined ? divide(availableSlots(), nodes) : new Array(nodes).fill(processes);
    this.slots = this.#processes.reduce((sum, count) => sum + count, 0);
  }

  /** Resolves with the coordinator's address when every agent serves. Rejects when one does not in time. */
  async start(): Promise<string> {
    const { listen, logLevel, drainMs } = this.#config;
    // Its agents drain before it is stopped: then nothing is left to wait for.
    const common = ["--log-level", logLevel, "--drain-ms"];
    this.#coordinator = this.#spawn("coordinator", "coordinator", [
      "--listen",
      listen,
      ...timing(this.#config),
      ...common,
      "0",
    ]);
    const { address } = await inTime(this.#coordinator);
    const base = nodeBase();
    for (const [index, processes] of this.#processes.entries()) {
      const name = `${base}-${index + 1}`;
      const args = ["--coordinator", String(address), "--name", name, "--processes", String(processes)];
      this.#agents.push(this.#spawn("agent", name, [...args, ...common, String(drainMs)]));
    }
    await Promise.all(this.#agents.map(inTime));
    return String(address);
  }

  /** Agents first, so that what runs may end and reach its client, then the coordinator. Bounded in time: what does not end is killed. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const graceMs = this.#config.drainMs + STOP_GRACE_MS;
    await Promise.all(this.#agents.map((agent) => end(agent, graceMs)));
    if (this.#coordinator !== undefined) await end(this.#coordinator, STOP_GRACE_MS);
  }

  /** Ends everything at once, and this process with it. */
  async hurry(exitCode: number): Promise<never> {
    this.#isStopping = true;
    const children = [...this.#agents, ...(this.#coordinator === undefined ? [] : [this.#coordinator])];
    for (const child of children) {
      child.release();
      setTimeout(() => child.kill("SIGKILL"), HURRY_MS);
    }
    await Promise.all(children.map((child) => child.ended));
    return process.exit(exitCode);
  }

  #spawn(program: keyof typeof programs, name: string, args: readonly string[]): Child {
    const { dataDir } = this.#config;
    const directory = dataDir === undefined ? [] : ["--data-dir", join(dataDir, name)];
    const child = new Child(name, programs[program], [...args, ...directory], (line) => console.error(line));
    void child.ended.then((how) => {
      if (!this.#isStopping) this.#fail(`${name} (pid ${child.pid}) ended ${endText(how)}: stopping everything`);
    });
    return child;
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
async function inTime(child: Child) {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${child.name} does not serve after ${START_MS} ms`)), START_MS);
  try {
    return await Promise.race([child.serving, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks it to end, waits, and kills it when it takes too long. */
async function end(child: Child, graceMs: number): Promise<void> {
  const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
  child.kill("SIGTERM");
  await child.ended;
  clearTimeout(timer);
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
