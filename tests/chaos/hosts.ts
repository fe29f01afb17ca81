import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readlinkSync } from "node:fs";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** Addresses of the hosts' network, which nothing else is in: each run has its own, with no way out. */
const NETWORK = "10.79.0";
/** Of the switch in the middle, where the wire and the observer are. */
export const MIDDLE = `${NETWORK}.254`;

/** Why there can be no hosts here; undefined where there can. */
export function whyNoHosts(): string | undefined {
  if (process.platform !== "linux") return "hosts are network namespaces, which are Linux's";
  if (process.getuid?.() !== 0) return "hosts of their own, and what befalls them, take root";
  for (const [program, ...args] of [
    ["ip", "-V"],
    ["iptables", "-V"],
    ["setpriv", "--version"],
    [
      "unshare",
      "-n",
      "-m",
      "sh",
      "-c",
      "ip link add one type veth peer name other && ip link add br0 type bridge && iptables -w -A INPUT -j DROP",
    ],
  ] as const) {
    const { status, stderr, error } = spawnSync(program, args, { encoding: "utf8" });
    if (status !== 0) return `${program}: ${error?.message ?? stderr.trim()} (apt-get install iproute2 iptables)`;
  }
  return undefined;
}

/** How packets of a host are lost: all of them, those that it sends, or those that are sent to it. */
export type Cut = "both" | "out" | "in";

interface Host {
  readonly address: string;
  /** Keeps its namespaces until this process is gone: it reads a pipe of ours. */
  readonly holder: ChildProcess;
}

/**
 * Hosts of one run: a network and a view of mounts for each, joined by a bridge. They have no names in the system, so nothing of them is left when this process is
 * gone, however it ended: their holders read its pipes, and what runs in them dies with it.
 */
export class Hosts implements AsyncDisposable {
  readonly #hosts = new Map<string, Host>();
  readonly #middle: ChildProcess;
  /** Of the network and the mounts of each, as the links in /proc name them: also when they are over. */
  readonly namespaces: string[] = [];

  private constructor(middle: ChildProcess) {
    this.#middle = middle;
    this.namespaces.push(...namespacesOf(middle));
  }

  /** Resolves when all reach each other. */
  static async open(names: readonly string[]): Promise<Hosts> {
    const middle = await hold([
      "ip link set lo up",
      "ip link add br0 type bridge forward_delay 0",
      `ip addr add ${MIDDLE}/24 dev br0`,
      "ip link set br0 up",
    ]);
    const hosts = new Hosts(middle);
    try {
      for (const [at, name] of names.entries()) await hosts.#add(name, at + 1);
      return hosts;
    } catch (error) {
      await hosts[Symbol.asyncDispose]();
      throw error;
    }
  }

  get names(): readonly string[] {
    return [...this.#hosts.keys()];
  }

  addressOf(name: string): string {
    return this.#host(name).address;
  }

  /** The program and its first arguments that run the rest as a command on a host, or in the middle; it is killed when this process is gone. Its process id is the command's. */
  within(name: string | undefined): readonly [string, ...string[]] {
    const holder = name === undefined ? this.#middle : this.#host(name).holder;
    return ["setpriv", "--pdeathsig", "KILL", "--", "nsenter", "-t", String(holder.pid), "-n", "-m", "--"];
  }

  /** Where this process finds a file of a host that has mounts of its own. */
  path(name: string, path: string): string {
    return `/proc/${this.#host(name).holder.pid}/root${path}`;
  }

  /** Gives a host a disk of so many bytes at a directory, which is made. */
  async mount(name: string, directory: string, bytes: number): Promise<void> {
    await this.run(name, "mkdir", "-p", directory);
    await this.run(name, "mount", "-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", directory);
  }

  /** Drops what goes over its link without a word. */
  async cut(name: string, cut: Cut): Promise<void> {
    if (cut !== "out") await this.#rule(name, "INPUT", "!", "-i", "lo", "-j", "DROP");
    if (cut !== "in") await this.#rule(name, "OUTPUT", "!", "-o", "lo", "-j", "DROP");
  }

  /** Answers whatever is sent to a port of it with a reset. */
  async reject(name: string, port: number): Promise<void> {
    const reset = ["-j", "REJECT", "--reject-with", "tcp-reset"];
    await this.#rule(name, "INPUT", "-p", "tcp", "--dport", String(port), ...reset);
  }

  async heal(name: string): Promise<void> {
    await this.run(name, "iptables", "-w", "-F");
  }

  /** Runs a command on a host. Rejects, with what it complains of, unless it ends well. */
  async run(name: string, program: string, ...args: readonly string[]): Promise<string> {
    return await inNamespacesOf(this.#host(name).holder, program, ...args);
  }

  /** Processes in the namespaces of the hosts and the middle, but for the holders. */
  async processes(): Promise<Map<number, string>> {
    const holders = [this.#middle, ...[...this.#hosts.values()].map(({ holder }) => holder)].map(({ pid }) => pid ?? 0);
    const script = `for p in "$@"; do n=$(readlink /proc/$p/ns/net); for q in /proc/[0-9]*; do
      [ "$(readlink $q/ns/net 2>/dev/null)" = "$n" ] && echo "\${q#/proc/} $(tr '\\0' ' ' < $q/cmdline)"; done; done; true`;
    const { stdout } = await execute("sh", ["-c", script, "sh", ...holders.map(String)], { maxBuffer: 1 << 24 });
    const lines = stdout.split("\n").filter((line) => line !== "");
    const entries = lines.map((line) => [Number.parseInt(line, 10), line.replace(/^\d+ /, "").trim()] as const);
    return new Map(entries.filter(([pid, command]) => !holders.includes(pid) && command !== ""));
  }

  /** Ports of TCP that somebody listens at, by host. */
  async listening(): Promise<string[]> {
    const all = this.names.map(async (name) => {
      const table = await this.run(name, "cat", "/proc/net/tcp");
      const rows = table.split("\n").map((line) => line.trim().split(/\s+/));
      const ports = rows.filter(([, , , state]) => state === "0A").map(([, local = ""]) => local.split(":")[1] ?? "");
      return ports.map((port) => `${name}:${Number.parseInt(port, 16)}`);
    });
    return (await Promise.all(all)).flat();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const holders = [...[...this.#hosts.values()].map(({ holder }) => holder), this.#middle];
    this.#hosts.clear();
    await Promise.all(holders.map(end));
    await Promise.all(holders.map(({ pid }) => gone(`/proc/${pid}`)));
  }

  async #add(name: string, number: number): Promise<void> {
    const address = `${NETWORK}.${number}`;
    const holder = await hold(["ip link set lo up"]);
    this.#hosts.set(name, { address, holder });
    this.namespaces.push(...namespacesOf(holder));
    const port = `port${number}`;
    await inNamespacesOf(holder, ...words(`ip link add eth0 type veth peer name ${port} netns ${this.#middle.pid}`));
    await inNamespacesOf(holder, ...words(`ip addr add ${address}/24 dev eth0`));
    await inNamespacesOf(holder, ...words("ip link set eth0 up"));
    await inNamespacesOf(this.#middle, ...words(`ip link set ${port} master br0 up`));
  }

  async #rule(name: string, chain: string, ...rule: readonly string[]): Promise<void> {
    await this.run(name, "iptables", "-w", "-A", chain, ...rule);
  }

  #host(name: string): Host {
    const host = this.#hosts.get(name);
    if (host === undefined) throw new RangeError(`there is no host ${name}`);
    return host;
  }
}

function words(line: string): [string, ...string[]] {
  const [first = "", ...rest] = line.split(" ");
  return [first, ...rest];
}

/** Namespaces after these steps, until its pipe ends. */
async function hold(steps: readonly string[]): Promise<ChildProcess> {
  const script = [...steps, "echo ready", "exec cat > /dev/null"].join(" && ");
  const holder = spawn("unshare", ["-n", "-m", "sh", "-c", script], { stdio: ["pipe", "pipe", "inherit"] });
  const isReady = await Promise.race([
    once(holder.stdout, "data").then(() => true),
    once(holder, "exit").then(() => false),
  ]);
  if (!isReady) throw new Error(`no host: ${script} failed`);
  return holder;
}

function namespacesOf({ pid }: ChildProcess): string[] {
  return ["net", "mnt"].map((kind) => readlinkSync(`/proc/${pid}/ns/${kind}`));
}

async function inNamespacesOf({ pid }: ChildProcess, program: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await execute("nsenter", ["-t", String(pid), "-n", "-m", "--", program, ...args]);
  return stdout;
}

async function end(holder: ChildProcess): Promise<void> {
  if (holder.exitCode !== null || holder.signalCode !== null) return;
  const over = once(holder, "exit");
  holder.kill("SIGKILL");
  await over;
}

async function gone(path: string): Promise<void> {
  while (existsSync(path)) await new Promise((resolve) => setTimeout(resolve, 5));
}
