import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect as connectTo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findLocalToken } from "@heddle/adapter-system";
import { connect, Manager } from "heddle";
import { afterAll, afterEach, describe, expect, onTestFinished, test } from "vitest";
import { addressFile, allGone, bin, descendants, heddle, linesOf, lineWith, outcome, startHeddle } from "./testing.ts";

const scratch = mkdtempSync(join(tmpdir(), "heddle-cli-test-"));
const started = new Set<ChildProcess>();

afterEach(async () => {
  for (const child of started) {
    const gone = once(child, "exit");
    if (child.exitCode === null && child.signalCode === null && child.kill("SIGTERM")) await gone;
  }
  started.clear();
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Path, size and time of the last change of every file that is not the journal's, which goes on being written. */
function filesIn(directory: string): readonly (readonly [path: string, bytes: number, changedMs: number])[] {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files
    .map(({ parentPath, name }) => join(parentPath, name))
    .filter((path) => !path.includes("/journal/"))
    .sort()
    .map((path) => [path, statSync(path).size, statSync(path).mtimeMs] as const);
}

interface Up {
  readonly process: ChildProcess;
  readonly pid: number;
  readonly address: string;
  readonly addressFile: string;
  /** The coordinator, the agents, their workers and reapers. */
  readonly children: readonly number[];
}

async function up(...args: readonly string[]): Promise<Up> {
  const file = join(scratch, `up-${started.size}-${performance.now()}.json`);
  const child = startHeddle(["up", "--listen", "127.0.0.1:0", "--address-file", file, ...args]);
  started.add(child);
  const { address, pid } = await addressFile(file);
  expect(pid).toBe(child.pid);
  return {
    process: child,
    pid: Number(pid),
    address: String(address),
    addressFile: file,
    children: descendants(Number(pid)),
  };
}

describe("heddle up", () => {
  test("serves a fabric that can be asked for, and leaves no process behind when told to stop", async () => {
    const { process, address, children } = await up("--nodes", "2", "--processes", "1");
    const said = outcome(process);
    const nodes = await asked(["get", "nodes", "-o", "json", "--address", address]);
    expect(JSON.parse(nodes)).toMatchObject([
      { state: "ready", slots: 1 },
      { state: "ready", slots: 1 },
    ]);
    const status = await heddle(["status"], { HEDDLE_ADDRESS: address });
    expect(status).toMatchObject({ code: 0, stderr: "" });
    expect(status.stdout).toMatch(/^Nodes: +2 ready$/m);
    expect(status.stdout).toMatch(/^Manager: +unix:.+\.sock$/m);
    process.kill("SIGTERM");
    const { code, stdout, stderr } = await said;
    expect({ code, stdout }).toEqual({ code: 0, stdout: `export HEDDLE_ADDRESS=${address}\n` });
    expect(stderr).toMatch(/^coordinator \| coordinator serves at 127\.0\.0\.1:\d+ \(pid \d+\)$/m);
    expect(stderr.match(/^\S+-[12] \| agent \S+-[12] serves /gm)).toHaveLength(2);
    expect(children.length).toBeGreaterThanOrEqual(3);
    await allGone(children, 5_000);
  });

  test("leaves no process behind when it is killed", async () => {
    const { process, children } = await up("--nodes", "2");
    process.kill("SIGKILL");
    await allGone(children, 5_000);
  });

  test("starts an agent that dies again, under its name, and goes on", async () => {
    const { process: parent, address } = await up("--nodes", "2", "--processes", "1");
    const said = linesOf(parent.stderr);
    const [{ name, pid }] = JSON.parse(await asked(["get", "nodes", "-o", "json", "--address", address])) as [Node];
    process.kill(pid, "SIGKILL");
    const again = `heddle up: ${name} (pid ${pid}) ended by SIGKILL: starting it again in 200 ms`;
    await lineWith(said, again);
    await lineWith(said, `${name} | agent ${name} serves `);
    const nodes = JSON.parse(await asked(["get", "nodes", "-o", "json", "--address", address])) as Node[];
    expect(nodes).toHaveLength(2);
    expect(nodes.find((node) => node.name === name)).toMatchObject({ state: "ready", incarnation: 2 });
  });

  test.each([[["--data-dir", join(scratch, "kept")]], [[]]])(
    "starts its manager again where it was, with all that it kept (%j)",
    async (args) => {
      const { process: parent, address } = await up("--processes", "1", ...args);
      const said = linesOf(parent.stderr);
      const line = await lineWith(said, "manager | manager serves at ");
      const pid = Number(/\(pid (\d+)\)$/.exec(line)?.[1]);
      await using fabric = await connect(address);
      await using manager = new Manager({ fabric });
      const numbers = manager.list<number>([1, 2], { name: "numbers" });
      const guard = await manager.lock({ name: "ledger" }).acquire();
      process.kill(pid, "SIGKILL");
      await numbers.append(3);
      await lineWith(said, `heddle up: manager (pid ${pid}) ended by SIGKILL: starting it again in 200 ms`);
      expect(await numbers.toArray()).toEqual([1, 2, 3]);
      guard.assertHeld();
      await guard.release();
      expect(await manager.lock({ name: "ledger" }).tryAcquire()).toMatchObject({ token: expect.any(BigInt) });
    },
  );

  test("ends when its manager cannot start, and says why", async () => {
    const directory = join(scratch, "spoilt");
    mkdirSync(directory);
    writeFileSync(join(directory, "manager"), "no directory");
    const { code, stderr } = await heddle(["up", "--listen", "127.0.0.1:0", "--data-dir", directory]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^heddle up: manager \(pid \d+\) ended with code 1 before it served: stopping everything$/m);
    expect(stderr).not.toContain("starting it again");
  });

  test("refuses at once to work in the directory of another that lives, whose files and fabric stay as they are", async () => {
    const directory = join(scratch, "live");
    const { process: parent, address, addressFile } = await up("--processes", "1", "--data-dir", directory);
    const said = linesOf(parent.stderr);
    const line = await lineWith(said, "manager | manager serves at ");
    const manager = /\(pid (\d+)\)$/.exec(line)?.[1];
    const before = filesIn(directory);
    expect(before.filter(([path]) => /agent-.*\.json$/.test(path))).toHaveLength(1);
    const { code, stderr } = await heddle([
      "up",
      "--listen",
      "127.0.0.1:0",
      "--data-dir",
      directory,
      "--address-file",
      addressFile,
    ]);
    expect(code).toBe(1);
    expect(JSON.parse(readFileSync(addressFile, "utf8"))).toMatchObject({ address, pid: parent.pid });
    expect(stderr).toMatch(
      new RegExp(
        `^manager \\| manager: process ${manager} owns the journal in .*: stop it first, or use another `,
        "m",
      ),
    );
    expect(stderr).toMatch(/^heddle up: manager \(pid \d+\) ended with code 1 before it served: stopping everything$/m);
    expect(stderr).not.toMatch(/coordinator|agent|starting it again/);
    expect(filesIn(directory)).toEqual(before);
    expect(JSON.parse(await asked(["get", "nodes", "-o", "json", "--address", address]))).toMatchObject([
      { state: "ready", incarnation: 1 },
    ]);
  });

  test("starts its coordinator again where it was: a map goes on, and so do agents, shared objects, health and metrics", async () => {
    const flags = ["--http", "127.0.0.1:0", "--nodes", "2", "--processes", "1"];
    const { process: parent, address, addressFile: path } = await up(...flags);
    const said = linesOf(parent.stderr);
    const serving = await lineWith(said, "coordinator | coordinator serves at ");
    const pid = Number(/\(pid (\d+)\)$/.exec(serving)?.[1]);
    await using fabric = await connect(address);
    await using manager = new Manager({ fabric });
    const numbers = manager.list<number>([1, 2], { name: "numbers" });
    const script = fileURLToPath(new URL("../testdata/count.ts", import.meta.url));
    const run = startHeddle(["run", "--address", address, script]);
    started.add(run);
    const lines = linesOf(run.stdout);
    await lineWith(lines, "under way");
    process.kill(pid, "SIGKILL");
    await lineWith(said, `heddle up: coordinator (pid ${pid}) ended by SIGKILL: starting it again in 200 ms`);
    const again = await lineWith(said, `coordinator | coordinator serves at ${address} `);
    expect(Number(/\(pid (\d+)\)$/.exec(again)?.[1])).not.toBe(pid);
    await lineWith(lines, "all 200");
    await numbers.append(3);
    expect(await numbers.toArray()).toEqual([1, 2, 3]);
    const { http } = JSON.parse(readFileSync(path, "utf8")) as { http: string };
    expect((await fetch(`http://${http}/healthz`)).status).toBe(200);
    expect(JSON.parse(await asked(["get", "nodes", "-o", "json", "--address", address]))).toHaveLength(2);
  });

  test("fails when it cannot serve, and says why", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const address = `127.0.0.1:${(taken.address() as AddressInfo).port}`;
    const { code, stderr } = await heddle(["up", "--listen", address]);
    taken.close();
    expect(code).toBe(1);
    const advice = "choose another --listen, 127.0.0.1:0 picks a free port";
    expect(stderr).toContain(`cannot listen at ${address}: another program listens there already: ${advice}\n`);
    expect(stderr).toMatch(
      /^heddle up: coordinator \(pid \d+\) ended with code 1 before it served: stopping everything$/m,
    );
  });
});

describe("heddle coordinator and heddle agent", () => {
  test("make a fabric, from flags, environment and config files", async () => {
    const files = {
      config: join(scratch, "c.yaml"),
      coordinator: join(scratch, "c.json"),
      agent: join(scratch, "a.json"),
    };
    writeFileSync(files.config, `listen: 127.0.0.1:0\naddress-file: ${files.coordinator}\n`);
    writeFileSync(files.agent, "a file of an earlier run");
    started.add(startHeddle(["coordinator", "--config", files.config]));
    const { address } = await addressFile(files.coordinator);
    const agent = startHeddle(
      ["agent", "--name", "n1", "--label", "gpu=yes", "--label", "zone=a", "--resource", "gpu=2"],
      {
        HEDDLE_COORDINATOR: String(address),
        HEDDLE_PROCESSES: "1",
        HEDDLE_ADDRESS_FILE: files.agent,
      },
    );
    started.add(agent);
    const line = await firstLine(agent);
    expect(line).toBe(`agent n1 serves ${address} with 1 process (pid ${agent.pid})`);
    expect(JSON.parse(readFileSync(files.agent, "utf8"))).toEqual({ node: "n1", pid: agent.pid });
    const stdout = await asked(["get", "nodes", "n1", "-o", "yaml", "--address", String(address)]);
    expect(stdout).toContain("name: n1\nstate: ready\nslots: 1\n");
    expect(stdout).toContain("labels:\n  gpu: yes\n  zone: a\n");
    const wide = await asked(["get", "no", "-o", "wide", "--no-headers", "--address", String(address)]);
    expect(wide).toMatch(/^n1 {3}ready {3}1 .* gpu=yes,zone=a +gpu=2 +0 +this user +-\n$/);
  });

  test("a coordinator warns that detached jobs end with it unless it has a directory, or was told so; --ephemeral wins over a directory", async () => {
    const warning = "jobs that are kept end with this process, detached ones too: --data-dir DIR keeps them";
    const said = async (...args: string[]): Promise<string> => {
      const child = startHeddle(["coordinator", "--listen", "127.0.0.1:0", ...args]);
      started.add(child);
      const ran = outcome(child);
      await firstLine(child);
      child.kill("SIGTERM");
      return (await ran).stderr;
    };
    const [mine, fleeting] = [join(scratch, "lasting"), join(scratch, "fleeting")];
    expect(await said()).toContain(warning);
    expect(await said("--data-dir", mine)).not.toContain(warning);
    expect(await said("--data-dir", fleeting, "--ephemeral")).not.toContain(warning);
    expect([mine, fleeting].map((directory) => readdirSync(directory).includes("jobs"))).toEqual([true, false]);
  });

  test("a newer agent of the same name replaces the older one, which fails and says so", async () => {
    const { address } = await up();
    const args = ["agent", "--coordinator", address, "--name", "twin", "--processes", "1"];
    const older = startHeddle(args);
    await firstLine(older);
    const end = outcome(older);
    const newer = startHeddle(args);
    started.add(newer);
    const { code, stderr } = await end;
    expect(code).toBe(1);
    expect(stderr).toContain("agent: replaced: a newer agent took the name twin");
  });
});

test("an agent that reaches no coordinator says so soon, with the reason, and goes on", async () => {
  const agent = startHeddle(["agent", "--coordinator", "127.0.0.1:1", "--name", "lonely", "--processes", "1"]);
  started.add(agent);
  const line = await lineWith(linesOf(agent.stderr), "coordinator not reached yet");
  expect(line).toContain("127.0.0.1:1");
  expect(line).toContain("ECONNREFUSED");
  expect(agent.exitCode).toBeNull();
});

describe("heddle manager", () => {
  test("is found through its coordinator", async () => {
    const files = [join(scratch, "m.json"), join(scratch, "mc.json")] as const;
    started.add(startHeddle(["manager", "--listen", "127.0.0.1:0", "--address-file", files[0]]));
    const { address, pid } = await addressFile(files[0]);
    const args = ["coordinator", "--listen", "127.0.0.1:0", "--address-file", files[1], "--manager", String(address)];
    started.add(startHeddle(args));
    const coordinator = String((await addressFile(files[1])).address);
    const status = JSON.parse(await asked(["status", "-o", "json", "--address", coordinator]));
    expect([status.manager, typeof pid]).toEqual([address, "number"]);
    await using fabric = await connect(coordinator);
    await using manager = new Manager({ fabric });
    expect(await manager.dict([["a", 1]]).get("a")).toBe(1);
  });

  test("whose disk fails acknowledges nothing more and ends with 70; the next one has what was acknowledged", async () => {
    const [file, directory] = [join(scratch, "m3.json"), join(scratch, "failing-disk")];
    const command = ["manager", "--listen", `unix:${join(scratch, "m3.sock")}`, "--data-dir", directory];
    // no file may grow above a megabyte: writes fail as on a disk that is broken, not full
    const limited = `trap '' XFSZ; ulimit -f 1024; exec "$0" "$@" --address-file ${file}`;
    const failing = spawn("bash", ["-c", limited, process.execPath, bin, ...command], { stdio: "pipe" });
    started.add(failing);
    const end = outcome(failing);
    const { address } = await addressFile(file);
    const place = join(scratch, "m3c.json");
    started.add(
      startHeddle(["coordinator", "--listen", "127.0.0.1:0", "--address-file", place, "--manager", String(address)]),
    );
    await using fabric = await connect(String((await addressFile(place)).address));
    await using manager = new Manager({ fabric });
    const list = manager.list<string>([], { name: "kept" });
    let acknowledged = 0;
    const appending = (async () => {
      for (let at = 0; at < 40; at++) {
        await list.append("x".repeat(100_000));
        acknowledged++;
      }
    })();
    const { code, stderr } = await end;
    expect({ code, acknowledged: acknowledged < 40 }).toEqual({ code: 70, acknowledged: true });
    expect(stderr).toContain("nobody knows what is on disk until it is read again: start the manager anew");
    started.add(startHeddle(command));
    await appending;
    expect(await list.length()).toBe(40);
  });

  test("lets nobody else into its directory, and leaves it when told to stop", async () => {
    const directory = join(scratch, "manager-data");
    const file = join(scratch, "m2.json");
    const args = ["manager", "--listen", "127.0.0.1:0", "--data-dir", directory];
    const first = startHeddle([...args, "--address-file", file]);
    await addressFile(file);
    const { code, stderr } = await heddle(args);
    expect([code, stderr]).toEqual([1, expect.stringContaining(`process ${first.pid} owns the journal`)]);
    first.kill("SIGTERM");
    expect((await outcome(first)).code).toBe(0);
    const again = startHeddle(args);
    started.add(again);
    expect(await firstLine(again)).toMatch(/^manager serves at 127\.0\.0\.1:\d+ \(pid \d+\)$/);
  });
});

describe("told to stop", () => {
  const script = fileURLToPath(new URL("../testdata/nap.ts", import.meta.url));

  test("a fabric lets what runs end and reach its client", async () => {
    const { process: fabric, address, children } = await up("--processes", "1");
    const run = startHeddle(["run", "--address", address, script, "700"]);
    const lines = linesOf(run.stdout);
    expect((await lines.next()).value).toMatch(/^\[\S+-1\/\d+ nap\] napping$/);
    fabric.kill("SIGTERM");
    expect((await lines.next()).value).toBe("slept 700");
    expect(await once(fabric, "exit")).toEqual([0, null]);
    await allGone(children, 5_000);
  });

  test("twice, it ends at once", async () => {
    const { process: fabric, address, children } = await up("--processes", "1");
    const said = linesOf(fabric.stderr);
    const run = startHeddle(["run", "--address", address, script, "600000"]);
    started.add(run);
    await linesOf(run.stdout).next();
    fabric.kill("SIGTERM");
    await lineWith(said, "stopping: chunks that run may end within 20 s, jobs that are not done wait at their clients");
    fabric.kill("SIGINT");
    expect(await once(fabric, "exit")).toEqual([130, null]);
    await allGone(children, 1_000);
  });

  test("a coordinator without work ends", async () => {
    const file = join(scratch, "polite.json");
    const coordinator = startHeddle(["coordinator", "--listen", "127.0.0.1:0", "--address-file", file]);
    await addressFile(file);
    coordinator.kill("SIGINT");
    expect((await outcome(coordinator)).code).toBe(0);
  });
});

/** Stands before a server, takes connections and says nothing; those from the one of this number on are passed through. */
async function front(address: string, passedFrom: number): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => undefined));
    if (sockets.size < passedFrom) return;
    const [host = "", port] = address.split(":");
    socket.pipe(connectTo(Number(port), host).on("error", () => undefined)).pipe(socket);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe("heddle get, status and version", () => {
  test("exit with 5 and advice when no coordinator answers", async () => {
    const { code, stdout, stderr } = await heddle(["status", "--address", "127.0.0.1:1"]);
    expect({ code, stdout }).toEqual({ code: 5, stdout: "" });
    expect(stderr).toContain('no coordinator answers at 127.0.0.1:1. Start a fabric with "heddle up"');
  });

  test("wait for a coordinator that is slow, and say how long when it never answers", async () => {
    const { address } = await up("--processes", "1");
    const [slow, silent] = [await front(address, 2), await front(address, Number.POSITIVE_INFINITY)];
    const env = { HEDDLE_TOKEN: findLocalToken(address) ?? "" };
    const [late, never] = await Promise.all([slow, silent].map((at) => heddle(["status", "--address", at], env)));
    expect(late).toMatchObject({ code: 0, stderr: "" });
    expect(never).toMatchObject({ code: 5, stdout: "" });
    expect(never?.stderr).toMatch(`heddle: the coordinator at ${silent} did not answer within 5 s: `);
  }, 30_000);

  test("version works without a coordinator", async () => {
    const { code, stdout } = await heddle(["version", "-o", "json", "--address", "127.0.0.1:1"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ client: { build: expect.any(String), node: process.versions.node } });
  });

  test("a name that is not there exits with 3, an empty list says so, and a watch shows what changes until Ctrl-C", async () => {
    const { address } = await up();
    expect(await heddle(["get", "node", "nobody", "--address", address])).toEqual({
      code: 3,
      stdout: "",
      stderr: 'heddle: there is no node "nobody"\n',
    });
    expect(await asked(["get", "jobs", "--address", address])).toBe("");
    expect(JSON.parse(await asked(["get", "jobs", "-o", "json", "--address", address]))).toEqual([]);
    expect(await asked(["version", "--address", address])).toMatch(
      /^Client: \S+ \(Node \S+\)\nServer: \S+ \(127\.0\.0\.1:\d+\)\n$/,
    );
    const watch = startHeddle(["get", "nodes", "--watch", "--address", address]);
    const lines = linesOf(watch.stdout);
    expect((await lines.next()).value).toMatch(/^NAME +STATE +SLOTS +CHUNKS +AGE$/);
    expect((await lines.next()).value).toMatch(/ ready /);
    started.add(startHeddle(["agent", "--coordinator", address, "--name", "late", "--processes", "1"]));
    expect((await lines.next()).value).toMatch(/^late +ready +1 /);
    watch.kill("SIGINT");
    expect(await once(watch, "exit")).toEqual([130, null]);
  });
});

test.each<[string[], string]>([
  [["stauts"], "Did you mean status?"],
  [["get"], "missing required argument 'kind'"],
  [["get", "nodez"], 'there is no kind "nodez"'],
  [["why", "jbo", "x"], 'there is no kind "jbo": why jobs, chunks, items or locks; did you mean job?'],
  [["why", "item", "x"], '"x" names no item: write JOB/N, N the index of the item, from 0'],
  [["up", "--nodse", "2"], "unknown option --nodse; did you mean --nodes?"],
  [["coordinator", "--listen", "0.0.0.0:0"], "refusing to listen at 0.0.0.0:0"],
  [["up", "--listen", "0.0.0.0:1"], "refusing to listen at 0.0.0.0:1"],
  [["up", "--host", "box.example"], "--host box.example names this machine in the certificate that --tls makes"],
  [["agent", "--coordinator", "nowhere"], '"nowhere" is not an address'],
  [["coordinator", "--listen", "127.0.0.1:0", "--manager", "nowhere"], '"nowhere" is not an address'],
  [["agent", "--name", "bad/name!"], '--name: "bad/name!" is not a node name'],
  [["status", "--address", "nowhere"], '"nowhere" is not an address'],
  [["run", "nowhere.ts"], 'there is no script "nowhere.ts"'],
  [["run", scratch], "is a directory: name the script in it to run"],
  [[], "Usage: heddle"],
])("heddle %j is refused with exit code 2 and words", async (args, words) => {
  const { code, stdout, stderr } = await heddle(args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain(words);
});

test.each([["up"], ["coordinator"], ["manager"], ["agent"]])("heddle %s --help shows its settings", async (name) => {
  const { code, stdout, stderr } = await heddle([name, "--help"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain(`Usage: heddle ${name} [options]`);
  expect(stdout).toContain("--config <FILE>");
});

/** The answer of a command that must succeed. */
async function asked(args: readonly string[]): Promise<string> {
  const ran = await heddle(args);
  expect(ran).toMatchObject({ code: 0 });
  return ran.stdout;
}

/** What `get nodes -o json` says of one. */
interface Node {
  readonly name: string;
  readonly pid: number;
  readonly state: string;
  readonly incarnation: number;
}

async function firstLine(child: ChildProcess): Promise<string> {
  return String((await linesOf(child.stdout).next()).value);
}
