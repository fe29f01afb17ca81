import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { silentLogger } from "@heddle/kernel";
import { type Journal, JournalLockedError } from "@heddle/port-journal";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { openSqliteJournal } from "./index.ts";
import { type Child, startChild } from "./testing/child.ts";
import { checkRecords } from "./testing/records.ts";
import { scratchDirectory } from "./testing/scratch.ts";

const scratch = scratchDirectory();
afterAll(() => scratch[Symbol.dispose]());

/** How long a second owner may take to be told. */
const REFUSED_MS_MAX = 2_000;

const open = (directory: string): Promise<Journal> => openSqliteJournal({ directory, log: silentLogger });

/** Starts a process that owns the directory, with 20 records in it. */
async function startOwner(directory: string): Promise<Child> {
  const filler = startChild("appender", [directory, "count", "20"]);
  const filled = await filler.rest();
  expect(filled.at(-1)).toBe("20");
  const owner = startChild("appender", [directory, "hold"]);
  onTestFinished(() => owner[Symbol.asyncDispose]());
  expect((await owner.lines.next()).value).toBe("open 20");
  return owner;
}

const ownerFile = (directory: string): string => join(directory, "owner.json");
const recordIn = (directory: string): Record<string, unknown> => JSON.parse(readFileSync(ownerFile(directory), "utf8"));

async function refusalOf(directory: string): Promise<{ readonly error: Error; readonly ms: number }> {
  const start = performance.now();
  const error = await open(directory).then(
    () => new Error("it was opened"),
    (why: Error) => why,
  );
  return { error, ms: performance.now() - start };
}

describe("a directory has one owner", () => {
  test("a second process is refused within two seconds, and told who owns what", async () => {
    const directory = scratch.fresh();
    const owner = await startOwner(directory);
    const second = startChild("appender", [directory, "hold"]);
    onTestFinished(() => second[Symbol.asyncDispose]());
    const [line] = await second.rest();
    expect(line).toMatch(/^error JournalLockedError: /);
    expect(line).toContain(`process ${owner.process.pid} `);
    expect(line).toContain(directory);
    const { error, ms } = await refusalOf(directory);
    expect(error).toBeInstanceOf(JournalLockedError);
    expect(ms).toBeLessThan(REFUSED_MS_MAX);
  });

  test("the lock on the database decides where the owner's record is gone, unreadable or of another boot", async () => {
    const directory = scratch.fresh();
    const owner = await startOwner(directory);
    const record = recordIn(directory);
    const texts = ["", "{", "null", JSON.stringify({ ...record, bootId: "of a machine before this one" })];
    for (const text of texts) {
      writeFileSync(ownerFile(directory), text);
      const { error, ms } = await refusalOf(directory);
      expect(error).toBeInstanceOf(JournalLockedError);
      expect(error.message).toContain(directory);
      expect(ms).toBeLessThan(REFUSED_MS_MAX);
    }
    await owner.kill();
    await using next = await open(directory);
    expect(await checkRecords(next)).toBe(20);
  });

  test("the directory of an owner that was killed is taken over, with all that is in it", async () => {
    const directory = scratch.fresh();
    const owner = await startOwner(directory);
    await owner.kill();
    expect(recordIn(directory).pid).toBe(owner.process.pid);
    await using next = await open(directory);
    expect(recordIn(directory).pid).toBe(process.pid);
    expect(await checkRecords(next)).toBe(20);
  });

  test("a living process that was given a dead owner's id is not taken for it", async () => {
    const directory = scratch.fresh();
    const owner = await startOwner(directory);
    await owner.kill();
    const record = recordIn(directory);
    writeFileSync(ownerFile(directory), JSON.stringify({ ...record, pid: process.pid })); // it lives, and started later
    await using next = await open(directory);
    expect(await checkRecords(next)).toBe(20);
  });

  test("of many that open at the same time one becomes the owner", async () => {
    const directory = scratch.fresh();
    const settled = await Promise.allSettled(Array.from({ length: 6 }, () => open(directory)));
    const opened = settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    const refused = settled.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
    expect(opened).toHaveLength(1);
    expect(refused.every((error) => error instanceof JournalLockedError)).toBe(true);
    for (const journal of opened) await journal[Symbol.asyncDispose]();
    await using next = await open(directory);
    expect(await checkRecords(next)).toBe(0);
  });
});
