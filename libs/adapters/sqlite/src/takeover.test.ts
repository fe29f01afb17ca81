import { once } from "node:events";
import { copyFileSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { silentLogger } from "@heddle/kernel";
import { type Journal, JournalLockedError } from "@heddle/port-journal";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { openSqliteJournal } from "./index.ts";
import { type Child, startChild } from "./testing/child.ts";
import { checkRecords } from "./testing/records.ts";
import { scratchDirectory } from "./testing/scratch.ts";
import type { OwnerOptions } from "./thread-client.ts";

const scratch = scratchDirectory();
afterAll(() => scratch[Symbol.dispose]());

const LEASE_MS = 2_000;

/** Runs of job 17 unless told otherwise, on machines that cannot see each other's processes. */
const runOn = (host: string, run: number, job = "17"): OwnerOptions => ({
  batch: { job, run },
  machine: { host, bootId: `boot of ${host}` },
  leaseMs: LEASE_MS,
});

const open = (directory: string, owner: OwnerOptions): Promise<Journal> =>
  openSqliteJournal({ directory, log: silentLogger, owner });

/** A process that owns the directory and appends to it for ever, 20 records at least; or stays, when it is idle. */
async function startOwner(directory: string, owner: OwnerOptions, mode: "load" | "hold" = "load"): Promise<Child> {
  const child = startChild("appender", [directory, mode, "", JSON.stringify(owner)]);
  onTestFinished(() => child[Symbol.asyncDispose]());
  for (let lines = mode === "load" ? 20 : 1; lines > 0; lines--) expect((await child.lines.next()).done).toBe(false);
  return child;
}

/** What a file server does that has not heard of a machine: its locks are given up. The files of the journal are others, with the same bytes. */
function giveUpLocks(directory: string): void {
  for (const name of readdirSync(directory).filter((name) => !/^owner|^beat/.test(name))) {
    const path = join(directory, name);
    renameSync(path, `${path}.before`);
    copyFileSync(`${path}.before`, path);
    rmSync(`${path}.before`);
  }
}

describe("a directory that another machine owns", () => {
  test("is taken over by a later run of the same batch job once its owner has been silent for a lease, with all that was acknowledged", async () => {
    const directory = scratch.fresh();
    const owner = await startOwner(directory, runOn("n1", 0));
    const acknowledged = Number((await owner.kill()).at(-1));
    const startMs = performance.now();
    await using next = await open(directory, runOn("n2", 1));
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(LEASE_MS);
    expect(await checkRecords(next)).toBeGreaterThanOrEqual(acknowledged);
    expect(readdirSync(directory).filter((name) => name.startsWith("beat-"))).toHaveLength(1);
  });

  test("is not taken from an owner that beats", async () => {
    const directory = scratch.fresh();
    await startOwner(directory, runOn("n1", 0), "hold");
    const patient = { ...runOn("n2", 1), leaseMs: 60_000 }; // the machine may be slow
    await expect(open(directory, patient)).rejects.toThrow(/process \d+ on n1 \(run 0 of job 17\) owns the journal/);
  });

  test("is only a later run's of the same job: others are told who owns it, and what to remove when that is over", async () => {
    const directory = scratch.fresh();
    await (await startOwner(directory, runOn("n1", 1))).kill();
    const program: OwnerOptions = { machine: { host: "n2", bootId: "boot of n2" }, leaseMs: LEASE_MS };
    for (const other of [runOn("n2", 1), runOn("n2", 0), runOn("n2", 2, "18"), program]) {
      const refused = open(directory, other);
      await expect(refused).rejects.toBeInstanceOf(JournalLockedError);
      await expect(refused).rejects.toThrow(join(directory, "owner.json"));
    }
    rmSync(join(directory, "owner.json"));
    await using next = await open(directory, program);
    expect(await checkRecords(next)).toBeGreaterThanOrEqual(20);
  });

  test("is anybody's at once when its owner has ended in order, or its machine was started anew", async () => {
    const directory = scratch.fresh();
    await (await open(directory, runOn("n1", 0)))[Symbol.asyncDispose]();
    expect(readdirSync(directory).filter((name) => /^owner|^beat/.test(name))).toEqual([]);
    await (await startOwner(directory, runOn("n2", 0))).kill();
    await using next = await open(directory, { machine: { host: "n2", bootId: "another boot" } });
    expect(await checkRecords(next)).toBeGreaterThanOrEqual(20);
  });
});

describe("an owner that stood still until another took its place", () => {
  test.each(["load", "hold"] as const)("ends at once and acknowledges nothing more (%s)", async (mode) => {
    const directory = scratch.fresh();
    const owner = await startOwner(directory, runOn("n1", 0), mode);
    owner.process.kill("SIGSTOP");
    giveUpLocks(directory);
    await using next = await open(directory, runOn("n2", 1));
    const found = await checkRecords(next);
    const ended = once(owner.process, "exit");
    owner.process.kill("SIGCONT");
    const lines = await owner.rest();
    expect(await ended).toEqual([null, "SIGKILL"]);
    for (const line of lines) expect(Number(line)).toBeLessThanOrEqual(found);
  });
});
