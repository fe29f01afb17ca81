import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { type AddressInfo, createConnection, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { openAuthority } from "@heddle/adapter-grpc/testing";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { ProcessCluster } from "../harness/process-cluster.ts";
import { processesWith } from "../harness/process-table.ts";
import { eventually, settles } from "../harness/waiting.ts";

interface Script {
  readonly child: ChildProcess;
  readonly lines: string[];
  readonly ended: Promise<number | string | null>;
  /** Processes that carry the script's mark, itself included. */
  readonly processes: () => number[];
}

let count = 0;

/** Runs a script beside this file with the environment given, marked so that what it leaves can be found. */
function run(name: string, environment: Record<string, string> = {}): Script {
  const mark = `${process.pid}-${++count}`;
  const path = join(import.meta.dirname, "scripts", name);
  const { HEDDLE_ADDRESS: _none, ...inherited } = process.env;
  const child = spawn(process.execPath, ["--conditions=@heddle/source", path], {
    env: { ...inherited, ...environment, FABRIC_TEST_SCRIPT: mark },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    if (stream !== null) createInterface({ input: stream }).on("line", (line) => lines.push(line));
  const ended = once(child, "close").then(([code, signal]) => (signal as string | null) ?? (code as number | null));
  return { child, lines, ended, processes: () => processesWith(`FABRIC_TEST_SCRIPT=${mark}`).map(({ pid }) => pid) };
}

async function nothingLeft(script: Script): Promise<void> {
  await eventually("no process of the script is left", () => script.processes().length === 0 || undefined, 5_000);
}

describe("a script with an embedded fabric", () => {
  test("that forgets to close its pool ends by itself and leaves no process", async () => {
    const script = run("forgetful.ts");
    expect(await settles(script.ended, () => script.lines.join("\n"))).toBe(0);
    expect(script.lines).toEqual(["0,1,4,9,16"]);
    await nothingLeft(script);
  });

  test("that dies of an error takes endless workers with it", async () => {
    const script = run("throws.ts");
    expect(await settles(script.ended, () => script.lines.join("\n"))).toBe(1);
    expect(script.lines.join("\n")).toContain("the script's own");
    await nothingLeft(script);
  });

  test.for(["SIGTERM", "SIGINT", "SIGKILL"] as const)(
    "that is ended by %s takes endless workers with it",
    async (signal) => {
      const script = run("endless.ts");
      await eventually("the script to start", () => script.lines.includes("started") || undefined);
      script.child.kill(signal);
      expect(await settles(script.ended, () => script.lines.join("\n"))).toBe(signal);
      await nothingLeft(script);
    },
  );

  test.for(["SIGTERM", "SIGINT", "SIGHUP"] as const)(
    "that is ended by %s leaves no directory behind",
    async (signal) => {
      const scratch = mkdtempSync(join(tmpdir(), "scripts-test-"));
      onTestFinished(() => rmSync(scratch, { recursive: true, force: true }));
      const left = () => readdirSync(scratch).filter((name) => name.startsWith("heddle-"));
      const script = run("endless.ts", { TMPDIR: scratch });
      await eventually("the script to start", () => script.lines.includes("started") || undefined);
      const before = left().length;
      script.child.kill(signal);
      expect(await settles(script.ended, () => script.lines.join("\n"))).toBe(signal);
      await nothingLeft(script);
      expect(left()).toHaveLength(before - 1);
    },
  );
});

describe("a script with a served fabric", () => {
  let cluster: ProcessCluster;
  beforeAll(async () => {
    cluster = await ProcessCluster.start();
  });
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  test("that forgets to close its pool ends by itself", async () => {
    const script = run("forgetful.ts", { HEDDLE_ADDRESS: cluster.address });
    expect(await settles(script.ended, () => script.lines.join("\n"))).toBe(0);
    expect(script.lines).toEqual(["0,1,4,9,16"]);
    await nothingLeft(script);
  });

  test("that is killed has its endless work stopped once its lease is over", async () => {
    const script = run("endless.ts", { HEDDLE_ADDRESS: cluster.address });
    await eventually("the script to start", () => script.lines.includes("started") || undefined);
    const fabric = await cluster.fabric();
    await eventually("its chunks to run", async () => ((await fabric.status()).chunksPlaced > 0 ? true : undefined));
    script.child.kill("SIGKILL");
    await script.ended;
    await cluster.drive(cluster.settled());
    expect((await fabric.jobs())[0]).toMatchObject({ name: "never", state: "cancelled" });
    await eventually("no worker that runs", () => cluster.workers().every(({ state }) => state !== "R") || undefined);
  });

  test("an agent that is killed with endless workers leaves none of them within 5 s", async () => {
    const script = run("endless.ts", { HEDDLE_ADDRESS: cluster.address });
    const busy = await eventually("two endless workers", () => {
      const running = cluster.workers().filter(({ state }) => state === "R");
      return running.length >= 2 ? running : undefined;
    });
    const agents = cluster.agentPids();
    const doomed = busy.filter(({ parent }) => parent === agents[0]).map(({ pid }) => pid);
    expect(doomed.length).toBeGreaterThan(0);
    cluster.killAgent(0);
    const alive = (): number[] => doomed.filter(isAlive);
    await eventually("the workers of the killed agent are gone", () => alive().length === 0 || undefined, 5_000);
    script.child.kill("SIGKILL");
    await script.ended;
    cluster.startAgent(0);
    await cluster.drive(cluster.settled());
  });
});

describe("a script with a served fabric whose lease is longer than this test", () => {
  const withinMs = 10_000;
  let cluster: ProcessCluster;
  beforeAll(async () => {
    cluster = await ProcessCluster.start({ nodes: 1, slots: 2, leaseMs: 120_000 });
  });
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  test("is no client any more when it has ended by itself", async () => {
    const fabric = await cluster.fabric();
    const { clients } = await fabric.status();
    const script = run("forgetful.ts", { HEDDLE_ADDRESS: cluster.address });
    expect(await settles(script.ended, () => script.lines.join("\n"))).toBe(0);
    const gone = async () => (await fabric.status()).clients === clients || undefined;
    await eventually("the script's session to be over", gone, withinMs);
  });

  test.for(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "has its endless work cancelled when %s ends it",
    async (signal) => {
      const script = run("endless.ts", { HEDDLE_ADDRESS: cluster.address });
      await eventually("the script to start", () => script.lines.includes("started") || undefined);
      const fabric = await cluster.fabric();
      await eventually("its chunks to run", async () => (await fabric.status()).chunksPlaced > 0 || undefined);
      script.child.kill(signal);
      expect(await settles(script.ended, () => script.lines.join("\n"))).toBe(signal);
      expect(script.lines).toEqual(["started"]);
      const newest = async () => (await fabric.jobs())[0];
      const over = async () => ((await newest())?.state === "cancelled" ? true : undefined);
      await eventually("its job to be cancelled", over, withinMs);
      expect(await newest()).toMatchObject({ name: "never", state: "cancelled" });
      await cluster.settled();
    },
  );
});

describe("a script whose coordinator does not answer", () => {
  const authority = openAuthority();
  const { directory: tls } = authority.issue("client", "alice");
  afterAll(() => authority[Symbol.dispose]());

  test.for([
    ["says nothing, in clear", silent, {}],
    ["says nothing, with TLS", silent, { HEDDLE_TLS_DIR: tls }],
    ["is not even reached by packets, in clear", swallowing, {}],
    ["is not even reached by packets, with TLS", swallowing, { HEDDLE_TLS_DIR: tls }],
  ] as const)("and %s: it ends when it has heard so", async ([_what, listen, environment]) => {
    await using scope = new AsyncDisposableStack();
    const port = await listen(scope);
    const script = run("unanswered.ts", { ...environment, HEDDLE_ADDRESS: `127.0.0.1:${port}` });
    expect(await settles(script.ended, () => script.lines.join("\n"), 15_000)).toBe(0);
    expect(script.lines).toEqual(["UnavailableError"]);
  });
});

/** The port of a server that accepts and says nothing. */
async function silent(scope: AsyncDisposableStack): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => void sockets.add(socket.on("error", () => undefined))).listen(0, "127.0.0.1");
  scope.defer(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** The port of a server that has all the connections that the system keeps for it, and takes none of them: it answers no packet of another. */
async function swallowing(scope: AsyncDisposableStack): Promise<number> {
  const program = `const server = require("net").createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
    require("fs").writeSync(1, server.address().port + "\\n");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });`;
  const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
  scope.defer(() => void child.kill("SIGKILL"));
  const [line] = await once(createInterface({ input: child.stdout }), "line");
  const port = Number(line);
  const dial = (): Socket => scope.adopt(createConnection(port, "127.0.0.1"), (socket) => void socket.destroy());
  await Promise.all([dial(), dial()].map((socket) => once(socket, "connect")));
  return port;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
