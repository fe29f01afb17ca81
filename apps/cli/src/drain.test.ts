import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { connect, type Fabric, type Manager } from "heddle";
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { holdLock } from "../testdata/lock-tasks.ts";
import { addressFile, heddle, linesOf, lineWith, outcome, startHeddle } from "./testing.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 }); // a fabric and many commands, each a process

const scratch = mkdtempSync(join(tmpdir(), "heddle-cli-drain-"));
let up: ChildProcess;
let address: string;
/** Of each role's certificate. */
let directory: (role: "admin" | "agent" | "client") => string;
let fabric: Fabric;
let manager: Manager;
let a: string;
let b: string;

beforeAll(async () => {
  const file = join(scratch, "up.json");
  const flags = ["--tls", "--listen", "127.0.0.1:0", "--nodes", "2", "--processes", "1", "--address-file", file];
  up = startHeddle(["up", ...flags]);
  const facts = await addressFile(file);
  address = String(facts.address);
  directory = (role) => join(dirname(String(facts.tlsDir)), role);
  const tls = (at: string) => ({
    caFile: join(at, "ca.crt"),
    certFile: join(at, "tls.crt"),
    keyFile: join(at, "tls.key"),
  });
  fabric = await connect(address, { tls: tls(directory("client")) });
  manager = fabric.manager();
  [a = "", b = ""] = (await fabric.nodes()).map(({ name }) => name);
});
afterEach(async () => {
  await asked("uncordon", a, b);
});
afterAll(async () => {
  await fabric.close();
  const gone = once(up, "exit");
  if (up.kill("SIGTERM")) await gone;
  rmSync(scratch, { recursive: true, force: true });
});

function args(role: "admin" | "agent" | "client", words: readonly string[]): string[] {
  return [...words, "--address", address, "--tls-dir", directory(role)];
}

/** Runs the command on the fabric of these tests, as its admin. */
function asked(...words: readonly string[]) {
  return heddle(args("admin", words));
}

let works = 0;

/** A chunk that runs until it is told that it is enough, and where. */
async function working() {
  const pool = fabric.pool();
  onTestFinished(() => pool[Symbol.asyncDispose]());
  const lock = `lock-${++works}`;
  const named = { held: `held-${lock}`, enough: `enough-${lock}` };
  const pid = pool.apply(holdLock, [lock, named.held, named.enough]);
  await manager.event({ name: named.held }).wait();
  const node = (await fabric.nodes()).find(({ chunks }) => chunks > 0)?.name ?? "";
  return { pid, node, finish: () => manager.event({ name: named.enough }).set() };
}

function draining(node: string, ...more: readonly string[]) {
  const child = startHeddle(args("admin", ["drain", node, ...more]));
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

test("a cordoned node is shown as such with the reason, and what is no news is said, too", async () => {
  expect(await asked("cordon", a, "--reason", "new disks")).toEqual({
    code: 0,
    stdout: `node/${a} cordoned\n`,
    stderr: "",
  });
  expect((await asked("cordon", a, b)).stdout).toBe(`node/${a} already cordoned\nnode/${b} cordoned\n`);
  const { stdout, stderr } = await asked("status");
  expect(stdout).toMatch(/^Nodes: +0 ready, 2 cordoned$/m);
  expect(stderr).toBe(
    'No node takes work: they are cordoned. "heddle get nodes -o wide" says why, and "heddle uncordon NODE" ends it.\n',
  );
  const wide = await asked("get", "nodes", "-o", "wide");
  expect(wide.stdout).toMatch(new RegExp(`^${a} +cordoned .* 0 +agent/agent +new disks$`, "m"));
  const described = (await asked("describe", "node", a)).stdout;
  expect(described).toMatch(new RegExp(`^Name: +${a}\nState: +cordoned\nReason: +new disks\nAgent: +pid \\d+ on `));
  expect(JSON.parse((await asked("describe", "node", a, "-o", "json")).stdout)).toMatchObject({
    node: { name: a, state: "cordoned", reason: "new disks" },
    jobs: [],
    processes: [],
    tally: { stopped: 0 },
  });
  expect((await asked("uncordon", a)).stdout).toBe(`node/${a} uncordoned\n`);
  expect((await asked("uncordon", a)).stdout).toBe(`node/${a} was not cordoned\n`);
});

test("a drain tells what is left, and ends when what runs has ended", async () => {
  const { pid, node, finish } = await working();
  const child = draining(node, "--reason", "new kernel");
  const said = await lineWith(linesOf(child.stderr), "1 chunk");
  expect(said).toMatch(new RegExp(`^node/${node} draining: 1 chunk left, to be stopped in (5m|4m5\\ds)$`));
  expect((await asked("describe", "node", node)).stdout).toMatch(
    /^State: +draining, what is left is stopped in 4m\d+s\nReason: +new kernel$[\s\S]*^Jobs: +1 chunk of holdLock \(\w+\) for /m,
  );
  const ran = outcome(child);
  await finish();
  expect(await ran).toMatchObject({ code: 0, stdout: `node/${node} drained\n` });
  expect(await pid).toBeGreaterThan(0);
  expect((await fabric.nodes()).find(({ name }) => name === node)?.state).toBe("drained");
});

test("what outlasts the deadline is stopped, runs elsewhere, and is told; the drain is done all the same", async () => {
  const { pid, node, finish } = await working();
  const ran = await asked("drain", node, "--deadline", "300ms");
  expect(ran).toMatchObject({ code: 0, stdout: `node/${node} drained\n` });
  expect(ran.stderr).toContain(`node/${node}: 1 chunk stopped at the deadline, to run elsewhere\n`);
  await finish();
  expect(await pid).toBeGreaterThan(0);
});

test("Ctrl-C ends the waiting and not the drain, and an uncordon ends both", async () => {
  const { pid, node, finish } = await working();
  const [first, second] = [draining(node), draining(node)];
  const lines = [linesOf(first.stderr), linesOf(second.stderr)] as const;
  for (const each of lines) await lineWith(each, "1 chunk left");
  const stopped = once(first, "exit");
  first.kill("SIGINT");
  expect(await lineWith(lines[0], "No longer waiting")).toContain("The drain goes on");
  expect(await stopped).toEqual([130, null]);
  expect((await fabric.nodes()).find(({ name }) => name === node)?.state).toBe("draining");
  const undone = once(second, "exit");
  expect((await asked("uncordon", node)).stdout).toBe(`node/${node} uncordoned\n`);
  expect(await lineWith(lines[1], "uncordoned")).toBe(
    `heddle: node/${node} was uncordoned before it was drained: it is ready`,
  );
  expect(await undone).toEqual([1, null]);
  await finish();
  expect(await pid).toBeGreaterThan(0);
});

test("several nodes are all cordoned first, and all are emptied; it need not be waited for", async () => {
  const { stdout, code } = await asked("drain", a, b, "--deadline", "0");
  expect([code, stdout.split("\n").slice(0, 2)]).toEqual([0, [`node/${a} cordoned`, `node/${b} cordoned`]]);
  expect(stdout.trimEnd().split("\n").slice(2).sort()).toEqual([`node/${a} drained`, `node/${b} drained`].sort());
  await asked("uncordon", a, b);
  const { node, finish, pid } = await working();
  expect(await asked("drain", node, "--no-wait")).toEqual({ code: 0, stdout: `node/${node} draining\n`, stderr: "" });
  await finish();
  await pid;
});

test("a name of no node is not found, with the nearest, and no node is touched", async () => {
  const wrong = `${a.slice(0, -1)}9`;
  for (const command of ["cordon", "drain"]) {
    const { code, stdout, stderr } = await asked(command, b, wrong);
    expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
    expect(stderr).toMatch(new RegExp(`^heddle: there is no node "${wrong}".*${a.slice(0, -1)}`));
  }
  expect((await asked("uncordon", wrong)).code).toBe(3);
  expect((await asked("describe", "node", "nobody")).code).toBe(3);
  expect((await fabric.nodes()).map(({ state }) => state)).toEqual(["ready", "ready"]);
});

test("an agent drains its own node, by the name in its environment; clients drain none", async () => {
  const env = { HEDDLE_NAME: a, HEDDLE_COORDINATOR: address, HEDDLE_TLS_DIR: directory("agent") };
  expect(await heddle(["drain", "--self", "--deadline", "5s"], env)).toMatchObject({
    code: 0,
    stdout: `node/${a} drained\n`,
  });
  const before = JSON.parse((await asked("describe", "node", a, "-o", "json")).stdout);
  process.kill(before.node.pid, "SIGKILL");
  const isBack = async () => (await fabric.nodes()).find(({ name, pid }) => name === a && pid !== before.node.pid);
  let back = await isBack();
  while (back === undefined) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    back = await isBack();
  }
  expect(back.state).toBe("ready"); // whoever drains itself is about to leave: the next one of its name works
  for (const words of [
    ["cordon", a],
    ["drain", a],
  ]) {
    const refused = await heddle(args("client", words));
    expect(refused).toMatchObject({ code: 4, stdout: "" });
    expect(refused.stderr).toContain("this takes the admin's certificate");
  }
  const { code, stderr } = await heddle(args("agent", ["cordon", a]));
  expect([code, stderr]).toEqual([4, expect.stringContaining("may not call")]);
});

test("an agent is known beside it by the file that it has written, and by the name that is given", async () => {
  const file = join(scratch, "agent.json");
  writeFileSync(file, JSON.stringify({ node: b, pid: 1 }));
  const env = { HEDDLE_ADDRESS_FILE: file, HEDDLE_COORDINATOR: address, HEDDLE_TLS_DIR: directory("admin") };
  const drained = { code: 0, stdout: `node/${b} drained\n` };
  expect(await heddle(["drain", "--self", "--deadline", "0"], env)).toMatchObject(drained);
  await asked("uncordon", b);
  const other = { ...env, HEDDLE_ADDRESS_FILE: join(scratch, "nothing.json") };
  expect(await heddle(["drain", "--self", "--name", b, "--deadline", "0"], other)).toMatchObject(drained);
  expect((await asked("drain", b, "--name", a)).code).toBe(2);
});

test("what drain is told must make sense", async () => {
  for (const [words, said] of [
    [["drain"], "drain takes the names of nodes, or --self"],
    [["drain", a, "--self"], "drain takes the names of nodes, or --self"],
    [["drain", a, "--deadline", "soon"], '"soon" is not a time: say 90s, 10m, 1h30m or 0'],
    [["drain", a, "--deadline", "30"], '"30" is not a time'],
  ] as const) {
    const { code, stderr } = await asked(...words);
    expect([code, stderr]).toEqual([2, expect.stringContaining(said)]);
  }
  const { code, stderr } = await asked("drain", a, "--deadline", "8d");
  expect([code, stderr]).toEqual([1, expect.stringContaining("DRAIN_DEADLINE_MS_MAX")]);
});
