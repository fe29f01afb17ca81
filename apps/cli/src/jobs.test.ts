import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type Fabric, range, WorkerLostError } from "heddle";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { addressFile, heddle, linesOf, lineWith, startHeddle } from "./testing.ts";

const scratch = mkdtempSync(join(tmpdir(), "heddle-why-"));
const started: ChildProcess[] = [];
let address = "";
let fabric: Fabric;

function startAgent(name: string, flags: readonly string[] = [], env: Readonly<Record<string, string>> = {}) {
  const args = [
    "agent",
    "--coordinator",
    address,
    "--name",
    name,
    "--processes",
    "1",
    "--data-dir",
    join(scratch, name),
  ];
  const agent = startHeddle([...args, ...flags], env);
  started.push(agent);
  return agent;
}

const serves = (agent: ChildProcess): Promise<string> => lineWith(linesOf(agent.stdout), "serves");

beforeAll(async () => {
  const file = join(scratch, "coordinator.json");
  const timing = ["--lease-ms", "1500", "--heartbeat-ms", "150"];
  started.push(startHeddle(["coordinator", "--listen", "127.0.0.1:0", "--address-file", file, ...timing]));
  address = String((await addressFile(file)).address);
  const small = startAgent("small", ["--label", "memory=small"], { NODE_OPTIONS: "--max-old-space-size=48" });
  await Promise.all([serves(startAgent("plain", ["--label", "memory=plain"])), serves(small)]);
  fabric = await connect(address);
}, 60_000);

afterAll(async () => {
  await fabric.close();
  for (const child of started) {
    const gone = once(child, "exit");
    if (child.exitCode === null && child.signalCode === null && child.kill("SIGTERM")) await gone;
  }
  rmSync(scratch, { recursive: true, force: true });
});

async function asked(...args: readonly string[]): Promise<string> {
  const ran = await heddle([...args, "--address", address]);
  expect(ran).toMatchObject({ code: 0, stderr: "" });
  return ran.stdout;
}

/** Waits for a file that tasks write or look for. */
async function appears(path: string): Promise<void> {
  while (!existsSync(path)) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe("heddle why", () => {
  test("job tells of a worker that was killed, though the job is done, and what it wrote last", async () => {
    const path = join(scratch, "killed");
    const once = async (x: number): Promise<number> => {
      if (x !== 1 || existsSync(path)) return x;
      writeFileSync(path, "");
      console.error("last\u001b[31m words");
      await new Promise((resolve) => setTimeout(resolve, 200));
      process.kill(process.pid, "SIGKILL");
      return await new Promise(() => undefined);
    };
    await using pool = fabric.pool();
    expect(await pool.map(once, range(3), { chunkSize: 1, name: "killed once" })).toEqual([0, 1, 2]);
    const said = await asked("why", "job", "killed once");
    expect(said).toMatch(
      /^job\/[0-9a-f]{12} \(killed once\) was done \d+\S* ago, after \S+: 3 of 3 items have their result\.$/m,
    );
    expect(said).toMatch(
      /^ {2}\S+ ago: chunk 1 \(item 1\), attempt 1, on node (small|plain), worker pid \d+: the worker was killed by SIGKILL after \S+/m,
    );
    expect(said).toContain("its stderr: last [31m words");
    const { attempts, job } = JSON.parse(await asked("why", "job", "killed once", "-o", "json"));
    expect(attempts).toMatchObject([{ chunk: 1, state: "worker-death", signal: "SIGKILL", attempt: 1 }]);
    const item = await asked("why", "item", `${job.jobId.slice(0, 20)}/1`);
    expect(item).toMatch(
      /^chunk 1 of job\/\S+ \(killed once\) is settled: each of its items has its result, or was given up\.$/m,
    );
    expect(item).toContain("killed by SIGKILL");
    expect(await heddle(["why", "item", "killed once/3", "--address", address])).toMatchObject({
      code: 3,
      stderr: `heddle: job ${job.jobId} has no item 3: it has 3 items, 0-2\n`,
    });
  });

  test("job tells of a worker that ran out of memory, and how much it had", async () => {
    const hoard = (): number => {
      const kept: number[][] = [];
      const pause = new Int32Array(new SharedArrayBuffer(4)); // not faster than its agent looks how large it is
      for (;;) {
        kept.push(new Array(50_000).fill(kept.length));
        Atomics.wait(pause, 0, 0, 10);
      }
    };
    await using pool = fabric.pool({ labels: { memory: "small" } });
    await expect(pool.apply(hoard, [], { name: "hoard" })).rejects.toThrow(WorkerLostError);
    const said = await asked("why", "job", "hoard");
    expect(said).toMatch(/^job\/\S+ \(hoard\) failed \S+ ago, after \S+: the worker process was killed by SIGABRT/m);
    expect(said).toMatch(
      /attempt 2, on node small, worker pid \d+: the worker was killed by SIGABRT after \S+, with \d+ MiB of memory when last seen$/m,
    );
    expect(said).toContain("heap out of memory");
  });

  test("chunk tells where it runs and that an earlier node was lost with it; job shows that node's heartbeat", async () => {
    const victim = startAgent("victim", ["--label", "memory=none"]);
    await serves(victim);
    const [begun, go] = [join(scratch, "begun"), join(scratch, "go")];
    const wait = async (): Promise<string> => {
      writeFileSync(begun, "");
      while (!existsSync(go)) await new Promise((resolve) => setTimeout(resolve, 20));
      return "through";
    };
    await using pool = fabric.pool({ labels: { memory: "none" } });
    const result = pool.applyAsync(wait, [], { name: "survivor" });
    await appears(begun);
    rmSync(begun);
    expect(await asked("why", "job", "survivor")).toMatch(
      /^1 chunk is on nodes, the oldest first:\n {2}chunk 0 \(item 0\), attempt 1, on node victim, (running for|placed) \S+( ago)?\n {2}node victim: ready, last heartbeat \d+m?s ago$/m,
    );
    victim.kill("SIGKILL");
    await serves(startAgent("heir", ["--label", "memory=none"]));
    await appears(begun);
    const said = await asked("why", "chunk", "survivor/0");
    expect(said).toMatch(
      /^chunk 0 of job\/\S+ \(survivor\) has item 0\. Not settled:\n {2}item 0 on node heir, attempt 2 \(its node was lost once\)$/m,
    );
    expect(said).toMatch(
      /attempt 1, on node victim: node victim was lost: nothing was heard of it for the length of its lease after \S+$/m,
    );
    writeFileSync(go, "");
    expect(await result.get()).toBe("through");
  });

  test("job tells what a job waits for: a label that no node has, and the bound of its pool", async () => {
    const go = join(scratch, "go on");
    await using nowhere = fabric.pool({ labels: { disk: "fast" } });
    const lacking = nowhere.applyAsync((x: number) => x, [1], { name: "lacking" });
    await expect
      .poll(() => asked("why", "job", "lacking"), { timeout: 20_000 })
      .toMatch(
        /^1 chunk waits: no node could ever run it: needs label disk=fast: \d nodes, none has it; it fails in \d+m?s\.$/m,
      );
    await lacking.cancel();
    await using one = fabric.pool({ processes: 1, labels: { memory: "plain" } });
    const wait = async (x: number): Promise<number> => {
      while (!existsSync(go)) await new Promise((resolve) => setTimeout(resolve, 20));
      return x;
    };
    const bound = one.mapAsync(wait, range(6), { chunkSize: 1, name: "bound" });
    await expect
      .poll(() => asked("why", "job", "bound"), { timeout: 20_000 })
      .toMatch(/^\d chunks wait: its pool may use 1 slot at a time, and has \d chunks? on nodes\.$/m);
    const rows = await asked("describe", "job", "bound");
    expect(rows).toMatch(/^Pool: +1 at a time$/m);
    expect(rows).toMatch(/^Waiting: +\d chunks wait: its pool may use 1 slot/m);
    writeFileSync(go, "");
    expect(await bound.get()).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test("of what is not there exits with 3, of what names no chunk with 2", async () => {
    const answers = [
      ["job", "nobody"],
      ["chunk", "nobody/1"],
      ["chunk", "nobody"],
      ["node", "plain"],
    ].map((words) => heddle(["why", ...words, "--address", address]));
    expect((await Promise.all(answers)).map(({ code, stderr }) => [code, stderr])).toEqual([
      [3, 'heddle: there is no job "nobody"\n'],
      [3, 'heddle: there is no job "nobody"\n'],
      [2, expect.stringContaining('"nobody" names no chunk: write JOB/N, N the number of the chunk, from 0')],
      [2, expect.stringContaining("not for nodes: why jobs, chunks, items or locks")],
    ]);
  });
});

describe("heddle cancel", () => {
  const forever = (): Promise<never> => new Promise(() => undefined);

  test("stops jobs, kept or not, for all who wait for them, who are told why", async () => {
    await using pool = fabric.pool({ processes: 1, labels: { memory: "plain" } });
    const awaited = pool.applyAsync(forever, [], { name: "awaited" });
    const kept = pool.applyAsync(forever, [], { detach: true, jobId: "kept-forever" });
    await kept.accepted();
    const other = fabric.attach("kept-forever").get();
    other.catch(() => undefined); // awaited below
    await expect
      .poll(() => asked("describe", "job", "kept-forever"), { timeout: 20_000 })
      .toMatch(/^Kept: +yes, detached: .*; 1 client listens$/m);
    expect(await asked("get", "jobs")).toMatch(/^kept-forever .* detached /m);
    const outcomes = Promise.allSettled([awaited.get(), kept.get(), other]);
    const ran = await asked("cancel", "awaited", "kept-f", "--reason", "not today");
    expect(ran).toBe(`job/${awaited.jobId} cancelled\njob/kept-forever cancelled\n`);
    for (const outcome of await outcomes)
      expect(outcome).toMatchObject({ reason: { code: "cancelled", message: expect.stringContaining("not today") } });
    expect(await asked("cancel", "kept-forever")).toBe("job/kept-forever was over\n");
  });

  test("of what is not there, and of a name that several open jobs have, cancels nothing and exits with 3", async () => {
    await using pool = fabric.pool({ processes: 1, labels: { memory: "plain" } });
    const twins = [0, 1].map(() => pool.applyAsync(forever, [], { name: "twin" }));
    await Promise.all(twins.map((twin) => twin.accepted()));
    const [first, second] = await Promise.all([
      heddle(["cancel", "twin", "--address", address]),
      heddle(["cancel", String(twins[0]?.jobId), "nobody", "--address", address]),
    ]);
    expect(first).toMatchObject({ code: 3, stderr: expect.stringContaining('2 open jobs are called "twin": ') });
    expect(second).toMatchObject({ code: 3, stdout: "", stderr: 'heddle: there is no job "nobody"\n' });
    expect(twins.map((twin) => twin.ready())).toEqual([false, false]);
  });
});
