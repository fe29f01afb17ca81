import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { whyNoHosts } from "../../chaos/hosts.ts";
import { eventually } from "../../harness/waiting.ts";
import { type Ended, Machines } from "./machines.ts";

const repository = join(import.meta.dirname, "../../..");
const sbatchFile = join(repository, "deploy/slurm/heddle.sbatch");
const programs = ["munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "sinfo"];

/** The machine of the controller, where jobs are submitted. */
const LOGIN = "login";
const CPUS = 2;
/** Until a node that says nothing counts as down. */
const NODE_TIMEOUT_S = 10;
/** Between SIGTERM and SIGKILL, of jobs that are ended and of jobs that are preempted. */
const KILL_WAIT_S = 15;
const GRACE_S = 30;

/** Why there can be no Slurm here; undefined where there can. Installs it from Debian where it is missing. */
export function whyNoSlurm(): string | undefined {
  const noHosts = whyNoHosts();
  if (noHosts !== undefined) return noHosts;
  const missing = (): string | undefined => programs.find((program) => spawnSync("which", [program]).status !== 0);
  if (missing() === undefined) return undefined;
  const install =
    "apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge";
  const { stderr } = spawnSync("sh", ["-c", install], { encoding: "utf8" });
  const still = missing();
  return still === undefined ? undefined : `no ${still}, and Debian's slurm-wlm could not be installed: ${stderr}`;
}

/** A job: its number, or that of an array and of the task in it, as in 7_1. */
export type JobId = number | `${number}_${number}`;

/** A job as Slurm tells it. */
export interface JobFacts {
  readonly state: string;
  readonly exitCode: number;
  readonly restarts: number;
  readonly nodes: string;
  /** Its own number, also where it is a task of an array. */
  readonly number: number;
  readonly isPreempted: boolean;
}

/** What a submission says. */
export interface Submission {
  /** Options of sbatch. */
  readonly options?: readonly string[];
  /** Of the sbatch file, and for the command. */
  readonly env?: NodeJS.ProcessEnv;
  readonly command: readonly string[];
}

/** A Slurm of its own on machines of its own: nodes n1, n2, ... and a machine to submit from. */
export class SlurmCluster implements AsyncDisposable {
  readonly nodes: readonly string[];
  /** What users of the cluster have: all machines see it. */
  readonly home: string;
  readonly #directory: string;
  readonly #machines: Machines;
  readonly #logs: number[] = [];

  private constructor(directory: string, machines: Machines, nodes: readonly string[]) {
    this.#directory = directory;
    this.#machines = machines;
    this.nodes = nodes;
    this.home = join(directory, "home");
  }

  /** Resolves when all nodes are idle. */
  static async start(nodeCount: number): Promise<SlurmCluster> {
    const directory = mkdtempSync(join(tmpdir(), "heddle-slurm-"));
    const nodes = Array.from({ length: nodeCount }, (_, at) => `n${at + 1}`);
    try {
      const machines = await Machines.open({ names: [LOGIN, ...nodes], directory });
      const cluster = new SlurmCluster(directory, machines, nodes);
      try {
        await cluster.#start();
        return cluster;
      } catch (error) {
        await machines[Symbol.asyncDispose]();
        throw error;
      }
    } catch (error) {
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /** Submits the sbatch file; gives the job's number, or that of the array. Its log is its own. */
  async submit({ options = [], env = {}, command }: Submission): Promise<number> {
    const isArray = options.some((option) => option.startsWith("--array"));
    const output = `--output=${this.home}/${isArray ? "%A_%a" : "%j"}.log`;
    const args = ["--parsable", `--chdir=${this.home}`, output, ...options, sbatchFile, ...command];
    return Number.parseInt(await this.ask(["sbatch", ...args], { HEDDLE_SLURM_DIR: this.home, ...env }), 10);
  }

  /** Submits some other job. */
  async submitOther(args: readonly string[]): Promise<number> {
    const output = `--output=${this.home}/%j.log`;
    return Number.parseInt(await this.ask(["sbatch", "--parsable", `--chdir=${this.home}`, output, ...args]), 10);
  }

  /** Sets the time limit of a job that runs to so many minutes from now, as near as Slurm's whole minutes allow: more, by one at most. */
  async limitTo(id: number, minutes: number): Promise<void> {
    const elapsed = await this.ask(["squeue", "-h", "-j", String(id), "-o", "%M"]);
    const [seconds = 0, ran = 0] = elapsed.split(":").map(Number).reverse();
    await this.ask(["scontrol", "update", `JobId=${id}`, `TimeLimit=${ran + Math.ceil(seconds / 60) + minutes}`]);
  }

  /** Resolves when Slurm has noticed that a machine is dead. */
  async missing(node: string): Promise<void> {
    const looked = async (): Promise<true | undefined> =>
      (await this.ask(["sinfo", "-h", "-N", "-p", "main", "-n", node, "-o", "%T"])).startsWith("down")
        ? true
        : undefined;
    await eventually(`${node} is down`, looked, 120_000);
  }

  /** Spares a job the two minutes that Slurm lets one wait which it has queued again. */
  async hurry(id: JobId): Promise<void> {
    await this.reaches(id, ["PENDING"]);
    await this.ask(["scontrol", "update", `JobId=${id}`, "StartTime=now"]);
  }

  /** Runs a command of Slurm where jobs are submitted, and gives what it says. Rejects unless it ends well. */
  async ask(command: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
    const { code, out, err } = await this.run(LOGIN, command, env);
    if (code !== 0) throw new Error(`${command.join(" ")}: exit code ${code}: ${err}`);
    return out.trim();
  }

  run(machine: string, command: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
    return this.#machines.run(machine, command, { ...this.#environment(), ...env });
  }

  async job(id: JobId): Promise<JobFacts> {
    const text = await this.ask(["scontrol", "--oneliner", "show", "job", String(id)]);
    const field = (name: string): string => new RegExp(`(?:^| )${name}=(\\S*)`).exec(text)?.[1] ?? "";
    const exitCode = Number.parseInt(field("ExitCode"), 10);
    return {
      state: field("JobState"),
      exitCode,
      restarts: Number(field("Restarts")),
      nodes: field("NodeList"),
      number: Number(field("JobId")),
      isPreempted: /^\d/.test(field("PreemptTime")),
    };
  }

  /** The job in the first of these states that it is in. */
  reaches(id: JobId, states: readonly string[], withinMs = 120_000): Promise<JobFacts> {
    const looked = async (): Promise<JobFacts | undefined> => {
      const facts = await this.job(id);
      return states.includes(facts.state) ? facts : undefined;
    };
    const what = `job ${id} is ${states.join(" or ")}`;
    return eventually(what, looked, withinMs).catch(async (error: Error) => {
      throw new Error(`${error.message}\n${JSON.stringify(await this.job(id))}\n${this.log(id)}`);
    });
  }

  /** The job when nothing of it runs any more. */
  ended(id: JobId, withinMs?: number): Promise<JobFacts> {
    return this.reaches(id, ["COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED"], withinMs);
  }

  /** What the job has said so far. */
  log(id: JobId): string {
    const path = join(this.home, `${id}.log`);
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  }

  /** Resolves when the job's log has it. */
  async says(id: JobId, text: string, withinMs = 90_000): Promise<void> {
    const heard = (): true | undefined => (this.log(id).includes(text) ? true : undefined);
    await eventually(`job ${id} says ${JSON.stringify(text)}`, heard, withinMs).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.log(id)}`);
    });
  }

  /** The machine is dead at once. */
  kill(node: string): Promise<void> {
    return this.#machines.kill(node);
  }

  /** The machine of a node that was killed comes back, with nothing on it. */
  async revive(node: string): Promise<void> {
    await this.#machines.start(node);
    this.#startNode(node);
    await this.#idle();
  }

  /** Processes of jobs that run on the nodes: everything but Slurm's own. */
  async processes(): Promise<string[]> {
    const all = await Promise.all(this.nodes.map((node) => this.#machines.processes(node)));
    return all.flat().filter((line) => !/slurmd|slurmstepd/.test(line));
  }

  /** What jobs have left in the temporary directories of the nodes. */
  temporaryFiles(): string[] {
    return this.nodes.flatMap((node) =>
      readdirSync(this.#machines.temporaryOf(node)).map((name) => `${node}: ${name}`),
    );
  }

  /** Takes away the files of the jobs there were: what one has left is no other's fault. */
  clear(): void {
    for (const directory of [this.home, ...this.nodes.map((node) => this.#machines.temporaryOf(node))])
      for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#machines[Symbol.asyncDispose]();
    for (const log of this.#logs) closeSync(log);
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #start(): Promise<void> {
    for (const name of ["home", "munge", "state", "log"]) mkdirSync(join(this.#directory, name));
    writeFileSync(join(this.#directory, "munge/key"), randomBytes(128), { mode: 0o600 });
    writeFileSync(join(this.#directory, "slurm.conf"), this.#configuration());
    const at = (name: string): string => join(this.#directory, "munge", name);
    const places = [
      `--key-file=${at("key")}`,
      `--socket=${at("socket")}`,
      `--pid-file=${at("pid")}`,
      `--seed-file=${at("seed")}`,
    ];
    // forced: its directory is below one that everybody may write to
    this.#daemon(LOGIN, "munged", ["munged", "--foreground", "--force", "--num-threads=2", ...places]);
    await eventually("munged listens", () => (existsSync(at("socket")) ? true : undefined));
    this.#daemon(LOGIN, "slurmctld", ["slurmctld", "-D", "-c"]);
    for (const node of this.nodes) this.#startNode(node);
    await this.#idle();
  }

  #startNode(node: string): void {
    mkdirSync(join(this.#directory, `spool-${node}`), { recursive: true });
    this.#daemon(node, `slurmd-${node}`, ["slurmd", "-D", "-c", "-N", node]);
  }

  #daemon(machine: string, name: string, command: readonly string[]): void {
    const log = openSync(join(this.#directory, "log", `${name}.log`), "a");
    this.#logs.push(log);
    this.#machines.daemon(machine, log, command, this.#environment());
  }

  async #idle(): Promise<void> {
    const looked = async (): Promise<true | undefined> => {
      const { code, out } = await this.run(LOGIN, ["sinfo", "-h", "-p", "main", "-t", "idle", "-o", "%D"]);
      return code === 0 && Number(out) === this.nodes.length ? true : undefined;
    };
    await eventually("all nodes are idle", looked, 60_000);
  }

  #environment(): NodeJS.ProcessEnv {
    const path = [join(repository, "node_modules/.bin"), dirname(process.execPath), process.env.PATH].join(":");
    return {
      PATH: path,
      HOME: this.home,
      LANG: "C.UTF-8",
      TMPDIR: this.#machines.temporary,
      SLURM_CONF: join(this.#directory, "slurm.conf"),
    };
  }

  #configuration(): string {
    const at = (name: string): string => join(this.#directory, name);
    const nodeLines = this.nodes.map(
      (node) =>
        `NodeName=${node} NodeHostname=${node} NodeAddr=${this.#machines.addressOf(node)} CPUs=${CPUS} RealMemory=4000`,
    );
    return `${[
      "ClusterName=test",
      `SlurmctldHost=${LOGIN}(${this.#machines.addressOf(LOGIN)})`,
      "SlurmUser=root",
      "SlurmdUser=root",
      `AuthInfo=socket=${at("munge/socket")}`,
      `StateSaveLocation=${at("state")}`,
      `SlurmdSpoolDir=${at("spool-%n")}`,
      `SlurmctldPidFile=${at("slurmctld.pid")}`,
      `SlurmdPidFile=${at("slurmd-%n.pid")}`,
      // neither control groups nor pinning: they are the machine's, and this is a part of it
      "ProctrackType=proctrack/linuxproc",
      "TaskPlugin=task/none",
      "JobAcctGatherType=jobacct_gather/none",
      "AccountingStorageType=accounting_storage/none",
      "MpiDefault=none",
      "SelectType=select/cons_tres",
      "SelectTypeParameters=CR_Core_Memory",
      "DefMemPerCPU=1000",
      "SlurmdParameters=config_overrides",
      "SchedulerParameters=bf_interval=2,sched_interval=2,batch_sched_delay=1,sched_min_interval=100000",
      "ReturnToService=2",
      `SlurmdTimeout=${NODE_TIMEOUT_S}`,
      `KillWait=${KILL_WAIT_S}`,
      "JobRequeue=1",
      "PreemptType=preempt/partition_prio",
      "PreemptMode=REQUEUE",
      ...nodeLines,
      "PartitionName=main Nodes=ALL Default=YES MaxTime=1:00:00 State=UP PriorityTier=5 PreemptMode=OFF",
      `PartitionName=low Nodes=ALL MaxTime=1:00:00 State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=${GRACE_S}`,
      "PartitionName=sudden Nodes=ALL MaxTime=1:00:00 State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=0",
      "PartitionName=high Nodes=ALL MaxTime=1:00:00 State=UP PriorityTier=10 PreemptMode=OFF",
    ].join("\n")}\n`;
  }
}
