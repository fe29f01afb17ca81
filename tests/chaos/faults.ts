import { closeSync, existsSync, openSync, readFileSync, rmdirSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { unreachable } from "@heddle/kernel";
import { processTable } from "../harness/process-table.ts";
import { ClientRunner } from "./client-runner.ts";
import type { Cut } from "./hosts.ts";
import { COORDINATOR_PORT, MANAGER_PORT, type Parties } from "./parties.ts";
import type { PlannedFault } from "./plan.ts";
import { makeCgroup, type RunDirectory, whyNoCgroup } from "./run-directory.ts";
import type { ServerProgram } from "./server-program.ts";
import type { Manner } from "./wire-program.ts";

/** Undoes a fault. */
export type Heal = () => Promise<void>;

/** A fault that cannot be made now: there is nothing to make it of. */
export class FaultSkipped extends Error {}

/** What faults are made of. */
export interface FaultTools {
  readonly parties: Parties;
  readonly directory: RunDirectory;
  /** A life of a client was ended: its jobs must end, too. */
  readonly abandoned: (life: string, pid: number) => void;
}

/** A worker may allocate so much more, in bytes. */
const LITTLE_MEMORY = 24 * 1024 * 1024;
const FILLER_PIECE = new Uint8Array(64 * 1024);

/** Makes a fault. Resolves, once it is there, to what undoes it; rejects with FaultSkipped. */
export async function beginFault(fault: PlannedFault, tools: FaultTools): Promise<Heal> {
  const { kind, target, choice } = fault;
  const { hosts } = tools.parties;
  switch (kind) {
    case "cut":
    case "half-open": {
      const oneWay: Cut = choice < 0.5 ? "in" : "out";
      await hosts.cut(target, kind === "cut" ? "both" : oneWay);
      return () => hosts.heal(target);
    }
    case "reject":
      await hosts.reject(target, target === "manager" ? MANAGER_PORT : COORDINATOR_PORT);
      return () => hosts.heal(target);
    case "slow":
      return await changeWire(tools, target, { type: "slow", delayMs: Math.round(10 + 200 * choice) });
    case "drip":
      return await changeWire(tools, target, { type: "drip", bytesPerMs: Math.round(2 + 60 * choice) });
    case "drop":
      return dropAgain(tools, target);
    case "stop-agent":
    case "stop-coordinator":
    case "stop-manager":
    case "stop-client":
      return stopParty(tools, target);
    case "stop-worker": {
      const pid = workerOf(tools, target, choice);
      signal(pid, "SIGSTOP");
      return async () => signal(pid, "SIGCONT");
    }
    case "kill-worker":
      signal(workerOf(tools, target, choice), "SIGKILL");
      return async () => undefined;
    case "kill-client":
      return await killClient(tools, target);
    case "kill-agent":
    case "kill-manager":
    case "kill-coordinator":
      return await killServer(tools, target);
    case "full-manager-disk":
    case "full-coordinator-disk":
    case "full-agent-disk":
      return fillDisk(tools, target);
    case "no-forks":
      return forbidForks(tools, target);
    case "little-memory":
      return limitMemory(tools, target, choice);
    default:
      return unreachable(kind);
  }
}

async function changeWire({ parties }: FaultTools, target: string, manner: Manner): Promise<Heal> {
  const address = parties.hosts.addressOf(target);
  await parties.wire.ask("manner", address, manner);
  return async () => void (await parties.wire.ask("manner", address, { type: "plain" }));
}

/** Cuts connections as soon as they are made. */
function dropAgain({ parties }: FaultTools, target: string): Heal {
  const address = parties.hosts.addressOf(target);
  const drop = (): void => void parties.wire.ask("drop", address);
  drop();
  const timer = setInterval(drop, 300);
  return async () => clearInterval(timer);
}

function stopParty({ parties }: FaultTools, target: string): Heal {
  const party = parties.party(target);
  if (!party.isRunning) throw new FaultSkipped(`${target} does not run`);
  party.signal("SIGSTOP");
  return async () => party.signal("SIGCONT");
}

async function killClient({ parties, abandoned }: FaultTools, target: string): Promise<Heal> {
  const client = parties.party(target);
  if (!(client instanceof ClientRunner)) throw new RangeError(`${target} is no client`);
  const { life, pid } = client;
  await client.kill();
  abandoned(life, pid);
  return async () => client.start();
}

async function killServer({ parties }: FaultTools, target: string): Promise<Heal> {
  const server = serverOf(parties, target);
  await server.kill();
  return () => server.start();
}

/** With the last byte: a process that waits for a disk finds it as full as one that writes. */
function fillDisk({ parties, directory }: FaultTools, target: string): Heal {
  const file = parties.hosts.path(target, directory.in("data", target, "filler"));
  const fd = openSync(file, "w");
  try {
    for (const piece of [FILLER_PIECE, FILLER_PIECE.subarray(0, 512)]) writeUntilFull(fd, piece);
  } finally {
    closeSync(fd);
  }
  return async () => rmSync(file, { force: true });
}

function writeUntilFull(fd: number, piece: Uint8Array): void {
  try {
    for (;;) writeSync(fd, piece);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  }
}

/** Its processes and threads may be as many as they are. */
function forbidForks({ parties }: FaultTools, target: string): Heal {
  const cgroup = parties.cgroupOf(target);
  if (cgroup === undefined) throw new FaultSkipped(whyNoCgroup("pids") ?? "it has no cgroup");
  const max = join(cgroup, "pids.max");
  writeFileSync(max, readFileSync(join(cgroup, "pids.current"), "utf8").trim());
  return async () => writeFileSync(max, "max");
}

/** What one worker allocates from now on must be little, else the system kills it. */
function limitMemory(tools: FaultTools, target: string, choice: number): Heal {
  const why = whyNoCgroup("memory");
  if (why !== undefined) throw new FaultSkipped(why);
  const pid = workerOf(tools, target, choice);
  const cgroup = makeCgroup("memory", `worker-${pid}`);
  const { pid: agent } = serverOf(tools.parties, target);
  const home = readFileSync(`/proc/${agent}/cgroup`, "utf8")
    .split("\n")
    .find((line) => line.includes(":memory:"));
  writeFileSync(join(cgroup, "memory.limit_in_bytes"), String(LITTLE_MEMORY));
  move(pid, cgroup);
  return async () => {
    const back = join("/sys/fs/cgroup/memory", home?.split(":")[2] ?? "/");
    for (const member of readFileSync(join(cgroup, "cgroup.procs"), "utf8").split("\n"))
      if (member !== "") move(Number(member), back);
    await removeEmpty(cgroup);
  };
}

function move(pid: number, cgroup: string): void {
  try {
    writeFileSync(join(cgroup, "cgroup.procs"), String(pid));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** What was killed in it leaves it a moment later. */
async function removeEmpty(cgroup: string): Promise<void> {
  for (let tries = 0; existsSync(cgroup); tries++) {
    try {
      rmdirSync(cgroup);
    } catch (error) {
      if (tries === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** One of an agent's workers, processes of users among them. */
function workerOf({ parties }: FaultTools, target: string, choice: number): number {
  const { pid: agent } = serverOf(parties, target);
  const workers = processTable().filter(
    ({ parent, command }) => parent === agent && /^heddle worker|\/sdk\/src\/worker\.ts/.test(command),
  );
  const worker = workers[Math.floor(choice * workers.length)];
  if (worker === undefined) throw new FaultSkipped(`${target} has no worker`);
  return worker.pid;
}

function serverOf(parties: Parties, name: string): ServerProgram {
  const server = parties.servers.find((each) => each.name === name);
  if (server === undefined) throw new RangeError(`${name} is no server`);
  return server;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // it ended meanwhile
  }
}
