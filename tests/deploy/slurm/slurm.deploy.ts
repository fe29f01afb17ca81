import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../../harness/waiting.ts";
import { SlurmCluster, whyNoSlurm } from "./slurm-cluster.ts";

const primesScript = join(import.meta.dirname, "scripts/primes.ts");
const itemsScript = join(import.meta.dirname, "scripts/items.ts");
const primes = (...args: readonly string[]): readonly string[] => ["heddle", "run", primesScript, ...args];
const items = (count: number, seconds: number, ...files: readonly string[]): readonly string[] => {
  return ["heddle", "run", itemsScript, String(count), String(seconds), ...files];
};
const FOUND = "78498 primes by";
const BLOCKS = 200;
/** A pause of each block with which all of them take half a minute on eight processes. */
const SLOW = "1200";
/** With which they are not done before the job is ended. */
const ENDLESS = "10000";

const noSlurm = whyNoSlurm();

const skipped = noSlurm === undefined ? "" : ` (skipped: ${noSlurm})`;

describe.skipIf(noSlurm !== undefined)(`a job of deploy/slurm/heddle.sbatch${skipped}`, { timeout: 600_000 }, () => {
  let cluster: SlurmCluster;
  beforeAll(async () => {
    cluster = await SlurmCluster.start(4);
  });
  afterAll(() => cluster?.[Symbol.asyncDispose]());
  afterEach(async () => {
    for (const id of await openJobs()) await cluster.ask(["scancel", id]);
    await eventually("no job is left", async () => ((await openJobs()).length === 0 ? true : undefined), 60_000);
    cluster.clear();
  });

  const openJobs = async (): Promise<string[]> =>
    (await cluster.ask(["squeue", "-h", "-o", "%i"])).split("\n").filter((id) => id !== "");

  /** But for logs. */
  async function expectNothingLeft(): Promise<void> {
    expect(readdirSync(cluster.home).filter((name) => !/^\d+(_\d+)?\.log$/.test(name))).toEqual([]);
    await eventually("no process is left on a node", async () =>
      (await cluster.processes()).length === 0 ? true : undefined,
    );
    expect(cluster.temporaryFiles()).toEqual([]);
  }

  test("finds the primes below a million on every node, ends with its command, and leaves nothing", async () => {
    const env = { HEDDLE_NAME: "mine", HEDDLE_HTTP: "127.0.0.1:1", HEDDLE_ADDRESS: "127.0.0.1:1" }; // of another fabric
    const id = await cluster.submit({ options: ["--nodes=4"], env, command: primes("10") });
    expect(await cluster.ended(id)).toMatchObject({ state: "COMPLETED", exitCode: 0, restarts: 0 });
    expect(cluster.log(id)).toContain(`${FOUND} n1 n2 n3 n4`);
    await expectNothingLeft();
  });

  test("has the exit code of its command, and its nodes know when they have to go", async () => {
    const nodes = join(cluster.home, "nodes.json");
    const id = await cluster.submit({
      options: ["--nodes=2", "--time=50"],
      env: { HEDDLE_SLURM_HOST: "%h", HEDDLE_SLURM_SIGNAL_S: "600", HEDDLE_SLURM_DRAIN_S: "60" },
      command: ["sh", "-c", `heddle get nodes -o json > ${nodes}; exit 7`],
    });
    expect(await cluster.ended(id)).toMatchObject({ state: "FAILED", exitCode: 7, restarts: 0 });
    const lefts = (JSON.parse(readFileSync(nodes, "utf8")) as { readonly endsLeftMs: number }[]).map(
      ({ endsLeftMs }) => endsLeftMs / 60_000,
    );
    expect(lefts).toHaveLength(2);
    for (const minutes of lefts) expect(minutes).toBeGreaterThan(36);
    for (const minutes of lefts) expect(minutes).toBeLessThan(41); // 50 - 10 + 1
    rmSync(nodes);
    await expectNothingLeft();
  });

  test("whose fabric cannot start fails, is not run again, and leaves nothing", async () => {
    const env = { HEDDLE_SLURM_LISTEN: "no-such-name.invalid" };
    const id = await cluster.submit({ options: ["--nodes=2"], env, command: primes("0") });
    expect(await cluster.ended(id)).toMatchObject({ state: "FAILED", exitCode: 1, restarts: 0 });
    expect(cluster.log(id)).toContain("the fabric did not start");
    await expectNothingLeft();
  });

  test("that is cancelled leaves nothing", async () => {
    const id = await cluster.submit({ options: ["--nodes=2"], command: primes(ENDLESS) });
    await cluster.says(id, "primes.ts begins");
    await cluster.ask(["scancel", String(id)]);
    expect(await cluster.ended(id)).toMatchObject({ state: "CANCELLED" });
    await eventually("its directory is gone", () =>
      readdirSync(cluster.home).some((name) => name.startsWith(".")) ? undefined : true,
    );
    await expectNothingLeft();
  });

  test("is told in time that its time is up: agents drain, and it ends before Slurm ends it", async () => {
    const options = ["--nodes=2", "--time=10", "--signal=B:TERM@60"];
    const id = await cluster.submit({ options, command: primes(ENDLESS) });
    await cluster.says(id, "primes.ts begins");
    await cluster.limitTo(id, 2);
    expect(await cluster.ended(id, 240_000)).toMatchObject({ state: "FAILED", exitCode: 143 });
    expect(cluster.log(id).match(/node left .*reason=goodbye/g)).toHaveLength(2);
    expect(cluster.log(id)).toContain("the time is up");
    await expectNothingLeft();
  });

  test("loses a node amid its work and has the same result", async () => {
    const id = await cluster.submit({ options: ["--nodes=4"], command: primes(SLOW) });
    await cluster.says(id, "primes.ts begins");
    await cluster.kill("n3");
    try {
      expect(await cluster.ended(id, 180_000)).toMatchObject({ state: "COMPLETED", exitCode: 0, restarts: 0 });
      expect(cluster.log(id)).toContain(FOUND);
    } finally {
      await cluster.revive("n3");
    }
    await expectNothingLeft();
  });

  test("whose limit is raised goes on beyond the end that its agents were told", async () => {
    const file = join(cluster.home, "items.txt");
    const options = ["--nodes=1", "--time=2", "--signal=B:TERM@1"];
    const env = { HEDDLE_SLURM_SIGNAL_S: "1", HEDDLE_SLURM_DRAIN_S: "5" };
    const id = await cluster.submit({ options, env, command: items(26, 10, file) });
    await eventually("it has begun", () => (linesOf(file).length > 0 ? true : undefined), 90_000);
    await cluster.ask(["scontrol", "update", `JobId=${id}`, "TimeLimit=20"]);
    expect(await cluster.ended(id, 300_000)).toMatchObject({ state: "COMPLETED", exitCode: 0, restarts: 0 });
    expect(cluster.log(id)).toContain("agents begin anew");
    expect(itemsOf(file, "done")).toEqual(upTo(26));
    rmSync(file);
    await expectNothingLeft();
  });

  test("that is preempted ends what runs within the grace time, and runs again for the rest: nothing is computed twice", async () => {
    const file = join(cluster.home, "items.txt");
    const go = join(cluster.home, "go");
    const id = await cluster.submit({ options: ["--nodes=2", "--partition=low"], command: items(8, 6, file, go) });
    await eventually("all processes are busy", () => (itemsOf(file, "begin").length === 4 ? true : undefined), 90_000);
    const urgent = await preempt();
    await eventually("it is preempted", async () => ((await cluster.job(id)).isPreempted ? true : undefined), 30_000);
    writeFileSync(go, "");
    await cluster.ended(urgent);
    expect(itemsOf(file, "begin")).toHaveLength(4);
    expect(itemsOf(file, "begin")).toEqual(itemsOf(file, "done"));
    await cluster.hurry(id);
    expect(await cluster.ended(id, 240_000)).toMatchObject({ state: "COMPLETED", exitCode: 0, restarts: 1 });
    expect(cluster.log(id)).toContain("preempted: to be run again");
    expect(itemsOf(file, "begin")).toEqual(upTo(8));
    expect(itemsOf(file, "done")).toEqual(upTo(8));
    rmSync(file);
    rmSync(go);
    await expectNothingLeft();
  });

  const preempt = (): Promise<number> =>
    cluster.submitOther(["--nodes=4", "--exclusive", "--partition=high", "--wrap=sleep 1"]);

  test.each([
    [
      "is queued again while it lives",
      "main",
      async (id: number) => void (await cluster.ask(["scontrol", "requeue", `${id}`])),
    ],
    ["is preempted without a grace time", "sudden", async () => void (await cluster.ended(await preempt()))],
  ] as const)("that %s runs again with all that was answered", async (_, partition, interrupt) => {
    const file = join(cluster.home, "items.txt");
    const id = await cluster.submit({
      options: ["--nodes=2", `--partition=${partition}`],
      command: items(20, 2, file),
    });
    await eventually("half is done", () => (itemsOf(file, "done").length >= 8 ? true : undefined), 90_000);
    await interrupt(id);
    await cluster.hurry(id);
    expect(await cluster.ended(id, 240_000), cluster.log(id)).toMatchObject({
      state: "COMPLETED",
      exitCode: 0,
      restarts: 1,
    });
    expect(new Set(itemsOf(file, "done")).size).toBe(20);
    // what ran on two processes of two nodes, or had just been answered
    expect(itemsOf(file, "begin").length).toBeLessThanOrEqual(20 + 4 + 2);
    expect(cluster.log(id)).toContain("Slurm has queued the job again");
    rmSync(file);
    await expectNothingLeft();
  });

  test("is each task of an array: one whose time is up runs again when it is to, and the others never know", async () => {
    const file = (task: number): string => join(cluster.home, `items-${task}.txt`);
    const command = ["sh", "-c", `exec heddle run ${itemsScript} 8 3 ${cluster.home}/items-$SLURM_ARRAY_TASK_ID.txt`];
    const env = { HEDDLE_SLURM_AT_LIMIT: "requeue" };
    const array = await cluster.submit({ options: ["--array=0-1", "--nodes=1"], env, command });
    const tasks = [0, 1] as const;
    for (const task of tasks)
      await eventually("it is under way", () => (itemsOf(file(task), "done").length > 0 ? true : undefined), 90_000);
    // for Slurm the number of this one is that of all
    const numbers = await Promise.all(tasks.map(async (task) => (await cluster.job(`${array}_${task}`)).number));
    const ended = tasks[numbers.indexOf(array)];
    if (ended === undefined) throw new Error(`no task has the array's number: ${numbers}`);
    await cluster.ask(["scancel", "--batch", "--signal=TERM", `${array}_${ended}`]); // as Slurm does before the limit
    await cluster.says(`${array}_${ended}`, "the time is up: to be run again");
    await cluster.hurry(`${array}_${ended}`);
    for (const task of tasks) {
      const facts = await cluster.ended(`${array}_${task}`, 180_000);
      expect(facts).toMatchObject({ state: "COMPLETED", exitCode: 0, restarts: task === ended ? 1 : 0 });
      expect(itemsOf(file(task), "begin")).toEqual(upTo(8));
      expect(itemsOf(file(task), "done")).toEqual(upTo(8));
      rmSync(file(task));
    }
    await expectNothingLeft();
  });

  test("whose first node dies is run again on others when it is queued again, and they take over what it kept", async () => {
    const runs = join(cluster.home, "runs-of-two.txt");
    const id = await cluster.submit({ options: ["--nodes=3"], command: primes(SLOW, "primes", runs) });
    await eventually("a quarter is done", () => (linesOf(runs).length > BLOCKS / 4 ? true : undefined), 240_000);
    await cluster.kill("n1");
    try {
      await cluster.missing("n1");
      expect(await cluster.job(id)).toMatchObject({ state: "RUNNING", nodes: "n[2-3]" }); // Slurm leaves it as it is
      await cluster.ask(["scontrol", "requeue", String(id)]);
      await cluster.hurry(id);
      expect(await cluster.ended(id, 300_000)).toMatchObject({ state: "COMPLETED", restarts: 1, nodes: "n[2-4]" });
      expect(cluster.log(id)).toContain("an earlier run left the journal behind: it is taken over");
      expect(cluster.log(id)).toContain("an earlier run left the job store behind: it is taken over");
      expect(cluster.log(id)).toContain(FOUND);
      expectNotAgain(runs);
    } finally {
      await cluster.revive("n1");
    }
    rmSync(runs);
    await expectNothingLeft();
  });
});

/** Every block has run, and none of them twice but those that ran when the first run was ended, or had just been answered. */
function expectNotAgain(runs: string): void {
  expect(new Set(linesOf(runs)).size).toBe(BLOCKS);
  expect(linesOf(runs).length).toBeLessThanOrEqual(BLOCKS + 16);
}

function linesOf(path: string): string[] {
  return existsSync(path) ? readFileSync(path, "utf8").split("\n").slice(0, -1) : [];
}

/** The items of scripts/items.ts that have begun, or are done, each as often as it did, in their order. */
function itemsOf(file: string, what: "begin" | "done"): number[] {
  const words = linesOf(file).map((line) => line.split(" "));
  return words.flatMap(([word, item]) => (word === what ? [Number(item)] : [])).sort((a, b) => a - b);
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at);
}
