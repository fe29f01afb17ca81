import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { Hosts } from "../../chaos/hosts.ts";

/** What a command on a machine has said and how it ended. */
export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface MachinesOptions {
  readonly names: readonly string[];
  /** An empty directory that all of them see; what is in it is theirs. */
  readonly directory: string;
}

/**
 * Machines as a cluster's programs see them: each with a name, an address, a boot, processes and a directory of temporary files of its own, and one file system that all share.
 * They are namespaces of this process: with it, however it ends, all that runs on them is gone.
 */
export class Machines implements AsyncDisposable {
  readonly #hosts: Hosts;
  readonly #directory: string;
  /** The first process of each; when it dies, all others of the machine do. */
  readonly #firsts = new Map<string, ChildProcess>();

  private constructor(hosts: Hosts, directory: string) {
    this.#hosts = hosts;
    this.#directory = directory;
  }

  static async open({ names, directory }: MachinesOptions): Promise<Machines> {
    const machines = new Machines(await Hosts.open(names), directory);
    try {
      mkdirSync(machines.temporary);
      machines.#writeHosts(names);
      for (const name of names) await machines.start(name);
      return machines;
    } catch (error) {
      await machines[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Where each machine has its own temporary files, by one path. */
  get temporary(): string {
    return join(this.#directory, "tmp");
  }

  /** Where this process finds those of one; a machine that is started anew has none. */
  temporaryOf(name: string): string {
    return join(this.#directory, `of-${name}`, "tmp");
  }

  addressOf(name: string): string {
    return this.#hosts.addressOf(name);
  }

  /** Starts it, or starts it anew: it has nothing of what ran on it before. */
  async start(name: string): Promise<void> {
    const own = join(this.#directory, `of-${name}`);
    rmSync(own, { recursive: true, force: true });
    mkdirSync(this.temporaryOf(name), { recursive: true });
    writeFileSync(join(own, "boot-id"), `${randomUUID()}\n`);
    const steps = [
      `hostname ${name}`,
      `mount --bind ${join(this.#directory, "hosts")} /etc/hosts`,
      `mount --bind ${join(own, "boot-id")} /proc/sys/kernel/random/boot_id`,
      `mount --bind ${this.temporaryOf(name)} ${this.temporary}`,
      "echo ready",
      "read -r || true", // bash collects the processes that lose their parent, and ends with our pipe
    ];
    const [program, ...args] = this.#hosts.within(name);
    const script = steps.join(" && ");
    const namespaces = ["unshare", "-u", "-m", "-p", "-f", "--kill-child", "--mount-proc", "bash", "-c", script];
    const first = spawn(program, [...args, ...namespaces], { stdio: ["pipe", "pipe", "pipe"] });
    const complaints = text(first.stderr);
    const isReady = await Promise.race([
      once(first.stdout, "data").then(() => true),
      once(first, "exit").then(() => false),
    ]);
    if (!isReady) throw new Error(`no machine ${name}: ${await complaints}`);
    this.#firsts.set(name, first);
  }

  /** All of its processes die at once. Nothing tells others. */
  async kill(name: string): Promise<void> {
    const first = this.#first(name);
    this.#firsts.delete(name);
    const gone = once(first, "exit");
    process.kill(insideOf(first), "SIGKILL");
    await gone;
  }

  /** The program and its first arguments that run the rest as a command on a machine. */
  within(name: string): readonly [string, ...string[]] {
    return ["nsenter", "-t", String(insideOf(this.#first(name))), "-n", "-m", "-u", "-p", "--"];
  }

  /** A program that runs on a machine until it ends or the machine does. What it says goes to a file. */
  daemon(name: string, log: number, command: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
    const [program, ...args] = this.within(name);
    return spawn(program, [...args, ...command], { stdio: ["ignore", log, log], env });
  }

  /** Runs a command on a machine, to its end. */
  run(name: string, command: readonly string[], env: NodeJS.ProcessEnv): Promise<Ended> {
    const [program, ...args] = this.within(name);
    const { promise, resolve } = Promise.withResolvers<Ended>();
    execFile(program, [...args, ...command], { env, encoding: "utf8" }, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err }),
    );
    return promise;
  }

  /** Command lines of what runs on a machine, but for its first process and those who ask. */
  async processes(name: string): Promise<string[]> {
    const script = `for p in /proc/[0-9]*; do [ "$p" != /proc/1 ] && [ "$p" != "/proc/$$" ] && tr '\\0' ' ' < $p/cmdline && echo; done 2> /dev/null; true`;
    const { out } = await this.run(name, ["sh", "-c", script], process.env);
    return out.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("tr "));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#firsts.keys()].map((name) => this.kill(name)));
    await this.#hosts[Symbol.asyncDispose]();
  }

  #writeHosts(names: readonly string[]): void {
    const file = join(this.#directory, "hosts");
    const lines = names.map((name) => `${this.addressOf(name)} ${name}\n`);
    writeFileSync(file, `127.0.0.1 localhost\n::1 localhost\n${lines.join("")}`);
  }

  #first(name: string): ChildProcess {
    const first = this.#firsts.get(name);
    if (first === undefined) throw new RangeError(`machine ${name} does not run`);
    return first;
  }
}

/** The process that unshare has started: it is in all of the machine's namespaces. */
function insideOf({ pid }: ChildProcess): number {
  const child = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim());
  if (!Number.isInteger(child) || child === 0) throw new Error(`the machine of process ${pid} has no first process`);
  return child;
}
