import { execFile } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PrivateNetwork, whyNoNetwork } from "../../harness/private-network.ts";
import { whyNoHelm } from "../kubernetes/tools.ts";
import { type ChartsWishes, wishesOfChart } from "./chart.ts";
import { Container, type ContainerOptions, type Ended } from "./container.ts";
import { buildImage, imageConfig, imageSizesMB, installEngine, namedNode, whyNoImages } from "./engine.ts";

const why = whyNoImages ?? whyNoNetwork;
const whyNoChart = why ?? whyNoHelm;
const heddle = join(import.meta.dirname, "../../../libs/sdk/bin/heddle.mjs");
const UID = 10_001;
const host = PrivateNetwork.ADDRESS;

const cubes = `
  import { Pool, range } from "heddle";
  await using pool = new Pool();
  console.log((await pool.map((x) => x ** 3, range(1_000))).at(-1));
`;
/** Says when its task has begun, which then takes two seconds. */
const slow = `
  import { Manager, Pool } from "heddle";
  await using manager = new Manager();
  const begun = manager.event();
  await using pool = new Pool();
  const result = pool.applyAsync(async () => {
    await begun.set();
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_000);
    return "whole";
  });
  await begun.wait();
  console.log("the task runs");
  console.log(await result.get());
`;
/** Its task runs until it is told to end, and leaves word of that to its next attempt, whose result that is. */
const patient = `
  import { Manager, Pool, task } from "heddle";
  await using manager = new Manager();
  const begun = manager.event();
  await using pool = new Pool();
  const run = async () => {
    const { node, restored, checkpoint, signal } = task();
    if (restored !== undefined) return { ...restored, next: node };
    await begun.set();
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    checkpoint({ node, reason: signal.reason.message });
    signal.throwIfAborted();
  };
  const result = pool.applyAsync(run, [], { retries: 0 });
  await begun.wait();
  console.log("the task runs");
  console.log(JSON.stringify(await result.get()));
`;

let scratch: string;
let network: PrivateNetwork;
beforeAll(async () => {
  if (why !== undefined) return;
  await installEngine();
  await buildImage();
  scratch = mkdtempSync(join(tmpdir(), "heddle-image-"));
  chmodSync(scratch, 0o755);
  network = await PrivateNetwork.open();
  const names = ["--host", host];
  await promisify(execFile)(process.execPath, [heddle, "certs", "init", "--dir", join(scratch, "certs"), ...names]);
  for (const role of ["coordinator", "manager", "agent", "client"]) mountable(join(scratch, "certs", role));
  chmodSync(join(scratch, "certs"), 0o755);
  mkdirSync(join(scratch, "scripts"));
  writeFileSync(join(scratch, "scripts/cubes.mjs"), cubes);
  writeFileSync(join(scratch, "scripts/slow.mjs"), slow);
  writeFileSync(join(scratch, "scripts/patient.mjs"), patient);
});
afterAll(async () => {
  await network?.[Symbol.asyncDispose]();
  if (scratch !== undefined) rmSync(scratch, { recursive: true, force: true });
});

/** As Kubernetes mounts a Secret for a group: root's, and to be read by the group. */
function mountable(directory: string): void {
  chownSync(directory, 0, UID);
  chmodSync(directory, 0o750);
  for (const name of readdirSync(directory)) {
    chownSync(join(directory, name), 0, UID);
    chmodSync(join(directory, name), 0o440);
  }
}

/** As it mounts a volume for a group: root's, and open to the group. */
function volume(name: string): string {
  const directory = join(scratch, name);
  mkdirSync(directory, { recursive: true });
  chownSync(directory, 0, UID);
  chmodSync(directory, 0o2775);
  return directory;
}

type Role = "coordinator" | "manager" | "agent" | "client";

function options(
  role: Role,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  name: string = role,
): ContainerOptions {
  return {
    args,
    env: { HEDDLE_TLS_DIR: "/etc/heddle/tls", ...env },
    mounts: {
      "/etc/heddle/tls": { from: join(scratch, "certs", role), isReadOnly: true },
      "/scripts": { from: join(scratch, "scripts"), isReadOnly: true },
      "/var/lib/heddle": { from: volume(`${name}-data`), isReadOnly: false },
    },
    cpus: 1,
    memoryMiB: 512,
    within: network.within,
  };
}

const data = { HEDDLE_DATA_DIR: "/var/lib/heddle" };
const address = `${host}:7433`;
const client = (script: string): ContainerOptions =>
  options("client", ["run", `/scripts/${script}.mjs`], { HEDDLE_ADDRESS: address });

/** An agent of one process, with a volume of its own. */
function agentOptions(name: string, more: Readonly<Record<string, string>> = {}): ContainerOptions {
  const env = { ...data, HEDDLE_NAME: name, HEDDLE_COORDINATOR: address, HEDDLE_PROCESSES: "1", ...more };
  return options("agent", ["agent"], env, name);
}

/** Manager, coordinator and an agent of one process, with what the chart tells them. They share a network here, so each has a port for its health. */
async function fabric(agentEnv: Readonly<Record<string, string>> = {}) {
  await using stack = new AsyncDisposableStack();
  const started = async (given: ContainerOptions, words: string): Promise<Container> => {
    const container = stack.use(await Container.start(given));
    await container.says(words);
    return container;
  };
  const server = (role: Role, env: Readonly<Record<string, string>>): Promise<Container> =>
    started(options(role, [role], { ...data, ...env }), `${role} serves`);
  const manager = await server("manager", { HEDDLE_LISTEN: "0.0.0.0:7435", HEDDLE_HTTP: "0.0.0.0:8435" });
  const coordinator = await server("coordinator", {
    HEDDLE_LISTEN: "0.0.0.0:7433",
    HEDDLE_HTTP: "0.0.0.0:8433",
    HEDDLE_MANAGER: `${host}:7435`,
  });
  const ofAgent = {
    HEDDLE_HTTP: "0.0.0.0:8434",
    HEDDLE_DRAIN_MS: "20000",
    NODE_OPTIONS: "--max-old-space-size-percentage=50",
  };
  const agent = await started(agentOptions("pod-1", { ...ofAgent, ...agentEnv }), "agent pod-1 serves");
  const owned = stack.move();
  return { manager, coordinator, agent, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Ends it as Kubernetes does. */
async function terminated(container: Container): Promise<Ended> {
  await container.kill("TERM");
  return await container.ended;
}

describe.skipIf(why !== undefined)(`the image${why === undefined ? "" : ` (${why})`}`, () => {
  test("names a user by number, starts the command without a shell, and knows how to ask for its health", async () => {
    expect(await imageConfig()).toMatchObject({
      User: `${UID}:${UID}`,
      Entrypoint: ["heddle"],
      StopSignal: "SIGTERM",
      Healthcheck: { Test: ["CMD", "heddle", "health"] },
    });
    expect(namedNode()).toBe(process.versions.node);
  });

  test("is small: Debian, Node, and not much else", async () => {
    const { all, own } = await imageSizesMB();
    expect(own).toBeGreaterThan(1);
    expect(own).toBeLessThan(40);
    expect(all).toBeLessThan(300);
  });

  test("computes as a fabric of hardened containers, which stop with 0 when they are told to, and find their volumes again", async () => {
    for (const _ of ["new volumes", "used ones"]) {
      await using servers = await fabric();
      expect(await Container.run(client("cubes"))).toMatchObject({ code: 0, stdout: "997002999\n" });
      for (const server of [servers.agent, servers.coordinator, servers.manager])
        expect((await terminated(server)).code).toBe(0);
    }
  });

  test("lets an agent finish what runs when it is terminated, and empties it before where somebody in its container says so", async () => {
    await using servers = await fabric();
    {
      await using program = await Container.start(client("slow"));
      await program.says("the task runs");
      expect((await terminated(servers.agent)).code).toBe(0);
      expect(await program.ended).toMatchObject({ code: 0, stdout: "the task runs\nwhole\n" });
    }
    await using again = await Container.start(agentOptions("pod-2"));
    await again.says("agent pod-2 serves");
    const drained = await again.exec("heddle", "drain", "--self", "--deadline", "10s");
    expect(drained).toMatchObject({ code: 0, stdout: "node/pod-2 drained\n" });
  });

  test("tells its health to who asks within it, over HTTP and over TLS, by the exit code", async () => {
    await using servers = await fabric();
    for (const server of [servers.manager, servers.coordinator, servers.agent])
      expect(await server.exec("heddle", "health", "--ready")).toMatchObject({ code: 0, stdout: "ok\n" });
    const overTls = await servers.coordinator.exec("heddle", "health", "--address", "127.0.0.1:7433");
    expect(overTls).toMatchObject({ code: 0, stdout: "serving\n" });
    expect((await servers.agent.exec("heddle", "health", "--http", "127.0.0.1:1")).code).toBe(5);
  });

  test("has a user without capabilities, a root that cannot be written to, and heaps that fit the memory it may use", async () => {
    await using servers = await fabric();
    const node = async (expression: string): Promise<string> => {
      const { code, stdout, stderr } = await servers.agent.exec("node", "-p", expression);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      return stdout.trim();
    };
    const write = (path: string): Promise<string> =>
      node(`try { fs.writeFileSync("${path}", ""); "written" } catch ({ code }) { code }`);
    expect(await node('[process.getuid(), process.getgid()].join(" ")')).toBe(`${UID} ${UID}`);
    for (const path of ["/x", "/node_modules/heddle/x", "/usr/local/bin/heddle"])
      expect(await write(path)).toBe("EROFS");
    expect(await write("/tmp/x")).toBe("written");
    const status = await node('fs.readFileSync("/proc/1/status", "utf8")');
    expect(status).toMatch(/^CapEff:\s+0+$/m);
    expect(status).toMatch(/^CapBnd:\s+0+$/m);
    expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
    expect(await node('fs.readFileSync("/proc/1/cmdline", "utf8").split("\\0")[0]')).toBe("node");
    const heapMiB = Number(await node("v8.getHeapStatistics().heap_size_limit / 1048576"));
    expect(heapMiB).toBeGreaterThan(128);
    expect(heapMiB).toBeLessThan(384); // of 512
  });
});

const ofChart = `what the chart has the image do${whyNoChart === undefined ? "" : ` (${whyNoChart})`}`;
describe.skipIf(whyNoChart !== undefined)(ofChart, () => {
  let wishes: ChartsWishes;
  beforeAll(async () => {
    wishes = await wishesOfChart(8);
  });

  test("the program of helm test finds that a fabric computes and its manager answers", async () => {
    for (const [name, text] of Object.entries(wishes.testScripts)) writeFileSync(join(scratch, "scripts", name), text);
    await using _servers = await fabric();
    const ended = await Container.run(options("client", wishes.testArgs, { HEDDLE_ADDRESS: address }));
    expect(ended).toMatchObject({ code: 0, stdout: "10000 cubes are right, and the manager answers\n" });
  });

  test("tasks of a pod that goes run on behind its hook, are told before they are stopped, and go on in another pod from where they came to", async () => {
    await using servers = await fabric({ HEDDLE_DRAIN_MS: wishes.drainMs });
    await using program = await Container.start(client("patient"));
    await program.says("the task runs");
    const hook = await servers.agent.exec(...wishes.hook);
    expect(hook).toMatchObject({ code: 0, stdout: "node/pod-1 draining\n" });
    await using other = await Container.start(agentOptions("pod-2"));
    await other.says("agent pod-2 serves");
    const terminatedMs = performance.now();
    expect((await terminated(servers.agent)).code).toBe(0);
    expect(performance.now() - terminatedMs).toBeGreaterThan(5_900); // a quarter of 8 s is left when tasks are told
    const { code, stdout } = await program.ended;
    const reason = "node pod-1 is being stopped: what runs on it is stopped in 1.5 s";
    expect(code).toBe(0);
    expect(JSON.parse(stdout.split("\n")[1] ?? "")).toEqual({ node: "pod-1", reason, next: "pod-2" });
  });
});
