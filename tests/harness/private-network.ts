import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";

const isRoot = process.getuid?.() === 0;
const unshare: readonly [string, string] = ["unshare", isRoot ? "-n" : "-rn"];

/** Why there can be no network of a test's own here; undefined where there can. */
export const whyNoNetwork: string | undefined = findOut();

function findOut(): string | undefined {
  const [program, flag] = unshare;
  const { status, stderr, error } = spawnSync(program, [flag, "ip", "link", "set", "lo", "up"], { encoding: "utf8" });
  if (status === 0) return undefined;
  return `a network of its own takes unshare and ip, and the right to use them: ${error?.message ?? stderr.trim()}`;
}

/**
 * Ports and counters that only the programs started `within` see. All addresses of the world lead to its one interface, and so are counted; but for
 * loopback and ADDRESS nobody is there.
 */
export class PrivateNetwork implements AsyncDisposable {
  /** An address beyond loopback that programs in it can listen at. */
  static readonly ADDRESS = "10.77.0.1";
  /** The program and its first arguments that run the rest as a command in it. */
  readonly within: readonly [string, ...string[]];
  readonly #holder: ChildProcess;

  private constructor(holder: ChildProcess) {
    this.#holder = holder;
    const user = isRoot ? [] : ["-U", "--preserve-credentials"];
    this.within = ["nsenter", "-t", String(holder.pid), "-n", ...user];
  }

  static async open(): Promise<PrivateNetwork> {
    const { ADDRESS } = PrivateNetwork;
    const steps = [
      "ip link set lo up",
      `ip addr add ${ADDRESS}/24 dev lo`,
      `ip route add default dev lo src ${ADDRESS}`,
      "echo ready",
      "exec cat", // ends with the test, whose pipe it reads
    ];
    const [program, flag] = unshare;
    const holder = spawn(program, [flag, "sh", "-c", steps.join(" && ")], { stdio: ["pipe", "pipe", "pipe"] });
    const complaints = text(holder.stderr);
    const isReady = await Promise.race([
      once(holder.stdout, "data").then(() => true),
      once(holder, "exit").then(() => false),
    ]);
    if (!isReady) throw new Error(`no network of its own: ${await complaints}`);
    return new PrivateNetwork(holder);
  }

  /** Packets that programs in it have sent so far, whatever to. */
  get packets(): number {
    const lines = readFileSync(`/proc/${this.#holder.pid}/net/dev`, "utf8").split("\n");
    const counters = lines.find((line) => line.trimStart().startsWith("lo:"))?.split(":")[1];
    const sent = counters?.trim().split(/\s+/)[9];
    if (sent === undefined) throw new Error("the network has no counters");
    return Number(sent);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = once(this.#holder, "exit");
    this.#holder.kill("SIGKILL");
    await gone;
  }
}
