import { once } from "node:events";
import { copyFileSync, readdirSync, readFileSync, readlinkSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { silentLogger } from "@heddle/kernel";
import { type Journal, JournalLockedError } from "@heddle/port-journal";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { acknowledgedIn } from "./acknowledged.ts";
import { Batch } from "./batch.ts";
import { readBeat } from "./heartbeat.ts";
import { openSqliteJournal } from "./index.ts";
import type { JournalAnswer, JournalRequest } from "./messages.ts";
import { ownRecord, readOwner, stateOf } from "./owner.ts";
import { JOURNAL } from "./sqlite-journal.ts";
import { type Child, startChild } from "./testing/child.ts";
import { checkRecords } from "./testing/records.ts";
import { scratchDirectory } from "./testing/scratch.ts";
import { type OwnerOptions, ThreadClient } from "./thread-client.ts";

const scratch = scratchDirectory();
afterAll(() => scratch[Symbol.dispose]());

const LEASE_MS = 2_000;

/** Runs of job 17 unless told otherwise, on machines that cannot see each other's processes. */
const runOn = (host: string, run: number, job = "17"): OwnerOptions => ({
  batch: { job, run },
  machine: { host, bootId: `boot of ${host}` },
  leaseMs: LEASE_MS,
});

/** Runs of job 17 in containers of one machine; each of them waits for ever where it waits for silence. */
const runIn = (container: string, run: number): OwnerOptions => ({
  batch: { job: "17", run },
  machine: { host: container, bootId: "boot of n1", pidNamespace: `pid:[${container}]` },
  leaseMs: 600_000,
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

const beatsIn = (directory: string): string[] => readdirSync(directory).filter((name) => name.startsWith("beat-"));

/** Kills an owner that appends. Gives the last record that it was seen to acknowledge: 19, by `startOwner`, unless it said more. */
async function killed(owner: Child): Promise<number> {
  return Number((await owner.kill()).at(-1) ?? 19);
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
    const acknowledged = await killed(owner);
    const startMs = performance.now();
    await using next = await open(directory, runOn("n2", 1));
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(LEASE_MS);
    expect(await checkRecords(next)).toBeGreaterThanOrEqual(acknowledged);
    expect(beatsIn(directory)).toHaveLength(1);
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

describe("a directory whose owner was in another container of this machine", () => {
  test("is refused while it lives, to a later run of its job too, and the owner goes on", async () => {
    const directory = scratch.fresh();
    const owner = await startOwner(directory, runIn("c1", 0));
    const record = readFileSync(join(directory, "owner.json"), "utf8");
    for (const other of [runIn("c2", 1), { machine: runIn("c2", 1).machine ?? {} }]) {
      const refused = open(directory, other);
      await expect(refused).rejects.toBeInstanceOf(JournalLockedError);
      await expect(refused).rejects.toThrow(`process ${owner.process.pid} on c1`);
    }
    expect(readFileSync(join(directory, "owner.json"), "utf8")).toBe(record);
    expect(beatsIn(directory)).toHaveLength(1);
    for (let lines = 20; lines > 0; lines--) expect((await owner.lines.next()).done).toBe(false);
  });

  test.each([true, false])("is the next one's at once when it was killed (of a batch job: %s)", async (isBatch) => {
    const directory = scratch.fresh();
    const acknowledged = await killed(await startOwner(directory, runIn("c1", 0)));
    const { batch: _, ...program } = runIn("c2", 0);
    await using next = await open(directory, isBatch ? runIn("c2", 0) : program);
    expect(await checkRecords(next)).toBeGreaterThanOrEqual(acknowledged);
    expect(beatsIn(directory)).toHaveLength(isBatch ? 1 : 0);
  });

  test("is told by its record, unless that is older: then its process is looked for", () => {
    const here = ownRecord(undefined, undefined);
    expect(here.pidNamespace).toBe(readlinkSync("/proc/self/ns/pid"));
    expect(stateOf(here, here)).toBe("alive");
    expect(stateOf({ ...here, pidNamespace: "pid:[1]" }, here)).toBe("hidden");
    expect(stateOf({ ...here, pidNamespace: "" }, here)).toBe("alive");
  });
});

describe("an owner beats", () => {
  test("while it waits for the database, so that no later run takes its place", async () => {
    const directory = scratch.fresh();
    const first = await startOwner(directory, runOn("n1", 0), "hold");
    first.process.kill("SIGSTOP"); // silent, with its lock on the database
    const second = startChild("appender", [directory, "hold", "", JSON.stringify(runOn("n2", 1))]);
    onTestFinished(() => second[Symbol.asyncDispose]());
    await expect.poll(() => readOwner(directory)?.host, { timeout: 30_000 }).toBe("n2");
    const nonce = readOwner(directory)?.nonce ?? "";
    await expect.poll(() => readBeat(directory, nonce)).toBeTruthy(); // the first is no sign that others come
    const patient = { ...runOn("n3", 2), leaseMs: 2 * LEASE_MS };
    await expect(open(directory, patient)).rejects.toThrow(/on n2 \(run 1 of job 17\) owns the journal/);
    await first.kill();
    expect((await second.lines.next()).value).toBe("open 0");
  });

  test("between requests that come without end", async () => {
    const directory = scratch.fresh();
    const owner: OwnerOptions = { ...runOn("n1", 0), leaseMs: 50 };
    const start = { kind: JOURNAL, directory, bytesMax: undefined, log: silentLogger, owner };
    const { thread } = await ThreadClient.start<JournalRequest, JournalAnswer>(start);
    const nonce = readOwner(directory)?.nonce ?? "";
    const appends = 1_000;
    const done = Array.from({ length: appends }, (_, index) => {
      const batch = new Batch();
      void batch.add([new Uint8Array(1_000)], 1_000);
      return thread.ask({ type: "append", rows: batch.rows(index + 1) }, "done");
    });
    const stored = (): number => acknowledgedIn(join(directory, "acknowledged")) ?? 0;
    while (stored() === 0); // this thread does not go on, so that all of them wait in the other
    const beat = readBeat(directory, nonce);
    while (readBeat(directory, nonce) === beat);
    expect(stored()).toBeLessThan(appends);
    await Promise.all(done);
    await thread.close(true);
  });
});

describe("an owner that cannot read whose the directory is", () => {
  test("fails in order: nobody has taken over", async () => {
    const directory = scratch.fresh();
    const owner = await startOwner(directory, runOn("n1", 0));
    const ended = once(owner.process, "exit");
    symlinkSync("owner.json", join(directory, "loop"));
    renameSync(join(directory, "loop"), join(directory, "owner.json"));
    expect((await owner.rest()).at(-1)).toMatch(/^error JournalFailedError: .*ELOOP/);
    expect(await ended).toEqual([70, null]);
  });

  test("ends at once where its record was removed: that is how somebody else begins", async () => {
    const directory = scratch.fresh();
    const owner = await startOwner(directory, runOn("n1", 0));
    const ended = once(owner.process, "exit");
    rmSync(join(directory, "owner.json"));
    await owner.rest();
    expect(await ended).toEqual([null, "SIGKILL"]);
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
