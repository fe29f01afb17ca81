import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../../harness/waiting.ts";
import { SlurmCluster, whyNoSlurm } from "./slurm-cluster.ts";

const primesScript = join(import.meta.dirname, "scripts/primes.ts");
const primes = (...args: readonly string[]): readonly string[] => ["heddle", "run", primesScript, ...args];
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
    expect(readdirSync(cluster.home).filter((name) => !/^\d+\.log$/.test(name))).toEqual([]);
    await eventually("no process is left on a node", async () =>
      (await cluster.processes()).length === 0 ? true : undefined,
    );
    expect(cluster.temporaryFiles()).toEqual([]);
  }

  test("finds the primes below a million on every node, ends with its command, and leaves nothing", async () => {
    const id = await cluster.submit({ options: ["--nodes=4"], command: primes("10") });
    expect(await cluster.ended(id)).toMatchObject({ state: "COMPLETED", exitCode: 0, restarts: 0 });
    expect(cluster.log(id)).toContain(`${FOUND} n1 n2 n3 n4`);
    await expectNothingLeft();
  });

  test("has the exit code of its command", async () => {
    const id = await cluster.submit({
      options: ["--nodes=2"],
      command: ["sh", "-c", "heddle get nodes --no-headers; exit 7"],
    });
    expect(await cluster.ended(id)).toMatchObject({ state: "FAILED", exitCode: 7, restarts: 0 });
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

  test("that is preempted runs again, and computes nothing again that it had", async () => {
    const runs = join(cluster.home, "runs.txt");
    const id = await cluster.submit({
      options: ["--nodes=4", "--partition=low"],
      command: primes(SLOW, "primes", runs),
    });
    await eventually("a quarter is done", () => (linesOf(runs).length > BLOCKS / 4 ? true : undefined), 240_000);
    const urgent = await cluster.submitOther(["--nodes=4", "--exclusive", "--partition=high", "--wrap=sleep 1"]);
    await cluster.ended(urgent);
    await cluster.hurry(id);
    expect(await cluster.ended(id, 240_000)).toMatchObject({ state: "COMPLETED", exitCode: 0, restarts: 1 });
    expect(cluster.log(id)).toContain(FOUND);
    expect(cluster.log(id)).toContain("run 2, on");
    expectNotAgain(runs);
    rmSync(runs);
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
