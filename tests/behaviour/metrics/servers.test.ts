import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer, connect as dial } from "node:net";
import { join } from "node:path";
import { connect, type Fabric } from "heddle";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { Gate, passGate } from "../../harness/gate.ts";
import type { MetricsText } from "../../harness/metrics-text.ts";
import { Program } from "../../harness/program.ts";
import { crashOn3 } from "../../harness/real-functions.ts";
import { eventually, failure } from "../../harness/waiting.ts";
import { type WatchedServer, WatchedServers } from "./watched-servers.ts";

vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 }); // each test starts a fabric of several processes

const secretfunction = (n: number): number => n;

interface Whole {
  readonly manager: WatchedServer;
  readonly coordinator: WatchedServer;
  readonly agent: WatchedServer;
  readonly fabric: Fabric;
}

/** A fabric of one node with two slots. */
async function whole(servers: WatchedServers): Promise<Whole> {
  const manager = servers.start("manager", "--listen", "127.0.0.1:0");
  const { address: managed } = await manager.facts();
  const { server: coordinator, address } = await servers.coordinator("--manager", String(managed));
  const agent = servers.start("agent", "--coordinator", address, "--name", "n1", "--processes", "2");
  await agent.facts();
  const fabric = await connect(address);
  return { manager, coordinator, agent, fabric };
}

test("what servers tell before, during and after a job is what happens", async () => {
  await using servers = new WatchedServers();
  using gate = new Gate();
  const { manager, coordinator, agent, fabric } = await whole(servers);
  onTestFinished(() => fabric.close());
  const before = await coordinator.told(
    "coordinator",
    'nodes{state="ready"}',
    'slots{state="ready"}',
    "jobs",
    "items_done_total",
  );
  expect(Object.values(before)).toEqual([1, 2, 0, 0]);

  await using pool = fabric.pool();
  const results = pool.map(
    passGate,
    Array.from({ length: 5 }, () => gate.path),
    { chunkSize: 1 },
  );
  await eventually(
    "two chunks run",
    async () => (await agent.told("agent", "slots_busy")).slots_busy === 2 || undefined,
  );
  const names = [
    "jobs",
    "clients",
    'sessions{peer="agent"}',
    "slots_wanted",
    'jobs_ended_total{outcome="done"}',
  ] as const;
  expect(Object.values(await coordinator.told("coordinator", ...names))).toEqual([1, 1, 1, 5, 0]);
  const chunks = await coordinator.told("coordinator", 'chunks{state="placed"}', 'chunks{state="waiting"}');
  expect(Object.values(chunks).reduce<number>((sum, count) => sum + (count ?? Number.NaN), 0)).toBe(5);
  expect(chunks['chunks{state="placed"}']).toBeGreaterThanOrEqual(2);
  expect(await agent.told("agent", "slots", 'workers{state="busy"}')).toEqual({ slots: 2, 'workers{state="busy"}': 2 });
  await eventually("the memory of workers was looked at", async () => {
    const { workers_resident_bytes: bytes = 0 } = await agent.told("agent", "workers_resident_bytes");
    return bytes > 20e6 || undefined;
  });

  gate.open();
  await results;
  const ended = [
    "jobs",
    "items_done_total",
    'jobs_ended_total{outcome="done"}',
    'chunks_finished_total{outcome="done"}',
  ] as const;
  const told = await eventually("the job is over", async () => {
    const now = await coordinator.told("coordinator", ...ended, "slots_wanted", 'chunks{state="placed"}');
    return now.jobs === 0 ? now : undefined;
  });
  expect(Object.values(told)).toEqual([0, 5, 1, 5, 0, 0]);
  const ran = await agent.told("agent", "slots_busy", 'chunks_finished_total{outcome="done"}', "chunks_queued");
  expect(Object.values(ran)).toEqual([0, 5, 0]);

  await using shared = fabric.manager();
  const lock = shared.lock();
  await using _guard = await lock.acquire();
  const kept = await manager.told(
    "manager",
    "sessions",
    "objects",
    "locks_held",
    "read_only",
    'operations_total{outcome="done"}',
  );
  expect(Object.values(kept)).toEqual([1, 1, 1, 0, 2]);
  const commits = await manager.told("manager", "commit_seconds_count", "commit_seconds_sum", "revision");
  expect(commits.commit_seconds_count).toBeGreaterThan(0);
  expect(commits.commit_seconds_sum).toBeGreaterThan(0);
  expect(commits.revision).toBeGreaterThanOrEqual(3);
});

test("a worker that kills itself is counted at its agent and at the coordinator", async () => {
  await using servers = new WatchedServers();
  const { coordinator, agent, fabric } = await whole(servers);
  onTestFinished(() => fabric.close());
  await using pool = fabric.pool();
  await failure(pool.map(crashOn3, [1, 2, 3]));
  const { [lost]: attempts = 0, ...ended } = await coordinator.told(
    "coordinator",
    lost,
    'jobs_ended_total{outcome="failed"}',
  );
  const { [deaths]: died, ...started } = await agent.told("agent", deaths, "workers_started_total");
  expect(attempts).toBeGreaterThanOrEqual(1);
  expect(died).toBe(attempts);
  expect(ended).toEqual({ 'jobs_ended_total{outcome="failed"}': 1 });
  expect(started.workers_started_total).toBeGreaterThan(2);
});

const lost = 'attempts_lost_total{cause="worker-death"}';
const deaths = 'worker_deaths_total{kind="sigkill"}';

describe("pages of a fabric's servers", () => {
  const scope = new AsyncDisposableStack();
  let fabric: Fabric;
  let watched: Readonly<Record<"manager" | "coordinator" | "agent", WatchedServer>>;
  beforeAll(async () => {
    ({ fabric, ...watched } = await whole(scope.use(new WatchedServers())));
    scope.defer(() => fabric.close());
  });
  afterAll(() => scope.disposeAsync());

  test("tell which server it is, of which release, and what its process takes", async () => {
    const { version } = JSON.parse(readFileSync(join(import.meta.dirname, "../../../libs/sdk/package.json"), "utf8"));
    for (const [name, server] of Object.entries(watched)) {
      const { samples, families } = await server.scrape();
      expect(samples.get(`heddle_build_info{server="${name}",version="${version}"}`)).toBe(1);
      expect(samples.get("process_resident_memory_bytes")).toBeGreaterThan(10e6);
      expect(samples.get("process_start_time_seconds")).toBeGreaterThan(1.7e9);
      expect(samples.has("nodejs_eventloop_lag_p99_seconds")).toBe(true);
      expect([...families.keys()].filter((family) => !/^(heddle|process|nodejs)_/.test(family))).toEqual([]);
    }
  });

  test("have nothing that users have named: jobs, functions, objects or nodes", async () => {
    await using pool = fabric.pool({ name: "secretpool" });
    await pool.map(secretfunction, [1, 2], { name: "secretjob" });
    await using shared = fabric.manager();
    await shared.list([1], { name: "secretlist" }).length();
    for (const server of Object.values(watched)) {
      const [status, page] = await server.ask("/metrics");
      expect([status, page.length > 1_000]).toEqual([200, true]);
      expect(page).not.toMatch(/secret|n1|127\.0\.0\.1/);
    }
  });

  test("are what the page about metrics says: names, types, labels and words", async () => {
    const page = readFileSync(join(import.meta.dirname, "../../../docs/operating/metrics.md"), "utf8");
    const written = [...page.matchAll(/^\| `(heddle_\w+)` \| (\w+) \| (.*) \| (.+) \|$/gm)].map(
      ([, ...cells]) => cells,
    );
    const told = await Promise.all(Object.values(watched).map(async (server) => rowsOf(await server.scrape())));
    const rows = new Map(told.flat().map((row) => [row[0], row]));
    const byName = (all: Iterable<readonly (string | undefined)[]>) =>
      [...all].sort(([a = ""], [b = ""]) => (a < b ? -1 : 1));
    expect(byName(written)).toEqual(byName(rows.values()));
  });
});

/** The rows of the page about metrics that belong to what a server tells. */
function rowsOf({ families, samples }: MetricsText): string[][] {
  return [...families]
    .filter(([name]) => name.startsWith("heddle_"))
    .map(([name, { type, help }]) => [
      name,
      type,
      name === "heddle_build_info" ? "`server`, `version`" : labelsOf(name, samples),
      help,
    ]);
}

function labelsOf(name: string, samples: MetricsText["samples"]): string {
  const labels = [...samples.keys()].flatMap((series) => {
    const [, family, label, value] = /^(\w+)\{(\w+)="(.*)"\}$/.exec(series) ?? [];
    return family === name ? [{ label, value }] : [];
  });
  return labels.length === 0 ? "" : `\`${labels[0]?.label}\`: ${labels.map(({ value }) => value).join(", ")}`;
}

test("an agent is ready while its coordinator is in reach, and neither before nor while that is stopped, nor as it drains", async () => {
  await using servers = new WatchedServers();
  using gate = new Gate();
  const first = await servers.coordinator();
  await first.server[Symbol.asyncDispose]();
  const agent = servers.start("agent", "--coordinator", first.address, "--processes", "1", "--drain-ms", "20000");
  await agent.answers(503, "no coordinator is in reach");
  expect(await agent.ask("/healthz")).toEqual([200, "ok"]);

  const { server: coordinator } = await servers.coordinator("--listen", first.address);
  await agent.answers(200, "ok");
  const facts = await agent.facts();
  expect(facts).toEqual({ node: facts.node, http: await agent.http(), pid: agent.pid });

  process.kill(coordinator.pid, "SIGSTOP");
  await agent.answers(503, "no coordinator is in reach");
  expect(await agent.told("agent", "linked")).toEqual({ linked: 0 });
  await expect(coordinator.ask("/healthz", AbortSignal.timeout(300))).rejects.toThrow("timeout");
  process.kill(coordinator.pid, "SIGCONT");
  await agent.answers(200, "ok");

  const fabric = await connect(first.address);
  onTestFinished(() => fabric.close());
  await using pool = fabric.pool();
  const result = pool.apply(passGate, [gate.path]);
  await eventually("it runs", async () => (await agent.told("agent", "slots_busy")).slots_busy === 1 || undefined);
  process.kill(agent.pid, "SIGTERM");
  await agent.answers(503, "the agent drains: it takes no new work");
  expect(await agent.ask("/healthz")).toEqual([200, "ok"]);
  gate.open();
  await result;
  expect(await agent.program.code()).toBe(0);
});

test("a coordinator that stops says so while open jobs have time to end, and its port goes with it", async () => {
  await using servers = new WatchedServers();
  using gate = new Gate();
  const { server: coordinator, address } = await servers.coordinator("--drain-ms", "20000");
  await coordinator.answers(200, "ok");
  expect(await coordinator.facts()).toEqual({ address, http: await coordinator.http(), pid: coordinator.pid });
  const agent = servers.start("agent", "--coordinator", address, "--processes", "1");
  await agent.facts();
  const fabric = await connect(address);
  onTestFinished(() => fabric.close());
  await using pool = fabric.pool();
  const result = pool.apply(passGate, [gate.path]);
  await eventually("it runs", async () => (await agent.told("agent", "slots_busy")).slots_busy === 1 || undefined);
  process.kill(coordinator.pid, "SIGTERM");
  await coordinator.answers(503, "the coordinator is stopping");
  gate.open();
  await result;
  expect(await coordinator.program.code()).toBe(0);
  await expect(coordinator.ask("/healthz")).rejects.toThrow();
});

test("a manager tells its health, and which port it chose, in its address file", async () => {
  await using servers = new WatchedServers();
  const manager = servers.start("manager", "--listen", `unix:${join(servers.directory, "manager.sock")}`);
  const facts = await manager.facts();
  expect(Object.keys(facts)).toEqual(["address", "http", "pid"]);
  expect(facts.http).toBe(await manager.http());
  await manager.answers(200, "ok");
});

test("heddle up tells the health of its coordinator, wherever --http was said", async () => {
  await using servers = new WatchedServers();
  const [file, config] = [join(servers.directory, "up.json"), join(servers.directory, "up.yaml")];
  writeFileSync(config, "http: 127.0.0.1:0\nlisten: 127.0.0.1:0\n");
  const flags = ["--processes", "1", "--address-file", file, "--config", config];
  await using up = new Program(["up", ...flags]);
  const { address } = await up.address(file);
  const { http }: { readonly http: string } = JSON.parse(readFileSync(file, "utf8"));
  expect(await (await fetch(`http://${http}/readyz`)).text()).toBe("ok\n");
  expect(await (await fetch(`http://${http}/metrics`)).text()).toContain('heddle_build_info{server="coordinator"');
  await eventually("it says where", () => up.said.includes(`health and metrics at http://${http}`) || undefined);
  expect(http).not.toBe(address);
});

test("a port that is taken, and an address that is none, are told with what to do", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  onTestFinished(() => void other.close());
  const bound = other.address();
  const taken = `127.0.0.1:${typeof bound === "object" ? bound?.port : ""}`;
  const manager = (address: string) =>
    new Program(["manager", "--listen", "127.0.0.1:0"], { env: { HEDDLE_HTTP: address } });
  await using busy = manager(taken);
  expect([await busy.code(), busy.said]).toEqual([1, expect.stringContaining(`cannot serve --http at ${taken}`)]);
  await using wrong = manager("unix:/tmp/metrics.sock");
  expect([await wrong.code(), wrong.said]).toEqual([2, expect.stringContaining("--http is served over TCP")]);
});

test("hostile connections keep no probe out and leave the server as it was", async () => {
  await using servers = new WatchedServers();
  const { server: coordinator } = await servers.coordinator();
  const [host, port] = (await coordinator.http()).split(":");
  const silent = Array.from({ length: 500 }, (_, at) => {
    const socket = dial(Number(port), host);
    socket.on("error", () => undefined);
    socket.write(
      at % 2 === 0 ? "GET /metrics HTTP/1.1\r\nx: " : "POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n",
    );
    return socket;
  });
  onTestFinished(() => {
    for (const socket of silent) socket.destroy();
  });
  for (let probe = 0; probe < 20; probe++) expect(await coordinator.ask("/healthz")).toEqual([200, "ok"]);
  const { samples } = await coordinator.scrape();
  expect(samples.get("process_open_fds")).toBeLessThan(150);
});
