import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { JobId, silentLogger } from "@heddle/kernel";
import { type JobChange, type JobStore, JobStoreLockedError, PIECE_BYTES_MAX } from "@heddle/port-job-store";
import { jobStoreContract } from "@heddle/port-job-store/contract";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { sqliteJobStore } from "./index.ts";
import { FREE_PAGES_KEPT, LOG_BYTES_KEPT, VACUUM_PAGES_MAX } from "./limits.ts";
import { swapLog } from "./testing/broken-log.ts";
import { changed } from "./testing/changed.ts";
import { startChild } from "./testing/child.ts";
import { copyAsKilled } from "./testing/image.ts";
import { checkSteps } from "./testing/jobs.ts";
import { scratchDirectory } from "./testing/scratch.ts";

const scratch = scratchDirectory();
afterAll(() => scratch[Symbol.dispose]());

jobStoreContract("SQLite", async () => {
  let directory = scratch.fresh();
  const opened: JobStore[] = [];
  const logIn = (): string => join(directory, "job-store.db-wal");
  return {
    open: async () => {
      const store = await sqliteJobStore(directory, { log: silentLogger });
      opened.push(store);
      return store;
    },
    kill: async () => {
      const next = scratch.fresh();
      copyAsKilled(directory, next);
      directory = next;
    },
    setFull: (isFull) => {
      if (isFull) swapLog(logIn(), "/dev/full", "w");
      else swapLog(logIn(), logIn(), "r+");
    },
    breakDisk: () => swapLog(logIn(), logIn(), "r"),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(opened.map((store) => store[Symbol.asyncDispose]()));
    },
  };
});

const JOB = JobId("j");
const OTHER = JobId("other");
const added = { type: "job-added", job: JOB, spec: new Uint8Array(9) } as const;

const chunk = (number: number, input: Uint8Array): JobChange => ({
  type: "chunk-added",
  job: JOB,
  chunk: number,
  about: new Uint8Array(0),
  input,
});

async function openReady(directory: string): Promise<JobStore> {
  const store = await sqliteJobStore(directory, { log: silentLogger });
  await store.recover();
  return store;
}

describe("a job store in SQLite", () => {
  test("only its user can enter the directory and read the files; closed in order it is two files, and no lock", async () => {
    const directory = scratch.fresh();
    {
      await using store = await openReady(directory);
      await store.write([added]);
      expect(statSync(directory).mode & 0o777).toBe(0o700);
      const files = readdirSync(directory).sort();
      expect(files).toEqual(["acknowledged", "job-store.db", "job-store.db-wal", "owner.json"]);
      for (const file of files) expect([file, statSync(join(directory, file)).mode & 0o777]).toEqual([file, 0o600]);
    }
    expect(readdirSync(directory).sort()).toEqual(["acknowledged", "job-store.db"]);
  });

  test("what comes while a commit is under way leaves in the next one", async () => {
    const directory = scratch.fresh();
    {
      await using store = await openReady(directory);
      const first = store.write([added]);
      await Promise.resolve();
      await Promise.resolve(); // the first has left alone
      await Promise.all([
        first,
        ...Array.from({ length: 1_000 }, (_, at) => store.write([chunk(at, new Uint8Array(9))])),
      ]);
    }
    using database = new DatabaseSync(join(directory, "job-store.db"), { readOnly: true });
    expect(database.prepare("SELECT count FROM writes").get()?.count).toBe(2);
    expect(database.prepare("SELECT count(*) AS count FROM pieces").get()?.count).toBe(1_000);
  });

  test("the largest input, answer and code come back, and the log does not stay as large as they were", async () => {
    const directory = scratch.fresh();
    await using store = await openReady(directory);
    const large = new Uint8Array(PIECE_BYTES_MAX);
    const fill = (byte: number): Uint8Array => large.fill(byte, -1);
    await store.write([added, chunk(0, fill(1))]);
    const about = new Uint8Array(3);
    await store.write([{ type: "answer-added", job: JOB, answer: 0, about, bytes: fill(2) }]);
    await store.write([{ type: "code-added", job: JOB, hash: "f00", bytes: fill(3) }]);
    const found = [await store.input(JOB, 0), await store.answer(JOB, 0), await store.code(JOB, "f00")];
    expect(found.map((bytes) => [bytes?.byteLength, bytes?.at(-1)])).toEqual(
      [1, 2, 3].map((end) => [large.length, end]),
    );
    await store.write([{ type: "history-added", entry: about }]);
    await store.write([{ type: "history-added", entry: about }]);
    expect(statSync(join(directory, "job-store.db-wal")).size).toBeLessThan(2 * LOG_BYTES_KEPT);
  }, 120_000);

  test("space of a job that was dropped goes back to the disk", async () => {
    const directory = scratch.fresh();
    const sizeOf = (): number => statSync(join(directory, "job-store.db")).size;
    await using store = await openReady(directory);
    await store.write([added]);
    for (let number = 0; number < 60; number++) await store.write([chunk(number, new Uint8Array(1_000_000))]);
    await changed(directory, () => sizeOf() > 55_000_000);
    await store.write([
      { type: "job-dropped", job: JOB },
      { ...added, job: OTHER },
    ]);
    await changed(directory, () => sizeOf() < 4_096 * (FREE_PAGES_KEPT + 2 * VACUUM_PAGES_MAX));
    expect(store.bytes).toBe(added.spec.byteLength);
  }, 120_000);

  test("what was dropped and not deleted before a kill is deleted after it", async () => {
    const directory = scratch.fresh();
    const killed = scratch.fresh();
    {
      await using store = await openReady(directory);
      await store.write([added, chunk(0, new Uint8Array(9)), { ...added, job: OTHER }]);
      const bytes = new Uint8Array(9);
      await store.write([
        { type: "code-added", job: OTHER, hash: "f00", bytes },
        { type: "answer-added", job: OTHER, answer: 0, about: bytes, bytes },
      ]);
      await store.write([
        { type: "job-dropped", job: JOB },
        { type: "inputs-dropped", job: OTHER },
      ]);
      copyAsKilled(directory, killed);
    }
    await using store = await openReady(killed);
    expect(store.bytes).toBe(added.spec.byteLength + 9);
    await changed(killed, () => {
      const copy = scratch.fresh(); // the store lets nobody else look
      copyAsKilled(killed, copy);
      using database = new DatabaseSync(join(copy, "job-store.db"));
      const count = (table: string): unknown => database.prepare(`SELECT count(*) AS count FROM ${table}`).get()?.count;
      return count("jobs") === 1 && count("pieces") === 1;
    });
    expect(await store.answer(OTHER, 0)).toEqual(new Uint8Array(9));
  });

  test("a second process is refused at once and told who owns what; when the first was killed it takes over", async () => {
    const directory = scratch.fresh();
    const owner = startChild("job-writer", [directory, "hold"]);
    onTestFinished(() => owner[Symbol.asyncDispose]());
    expect((await owner.lines.next()).value).toBe("open");
    const error = await openReady(directory).catch((why: unknown) => why);
    expect(error).toBeInstanceOf(JobStoreLockedError);
    expect(String(error)).toContain(`process ${owner.process.pid} owns the job store in ${directory}`);
    await owner.kill();
    await using next = await openReady(directory);
    await next.write([added]);
  });

  test("a process that has nothing else to do ends, though its store was not closed, and nothing is lost", async () => {
    const directory = scratch.fresh();
    await using writer = startChild("job-writer", [directory, "count", "30"]);
    expect((await writer.rest()).at(-1)).toBe("0 30");
    expect(writer.process.exitCode).toBe(0);
    await using store = await sqliteJobStore(directory, { log: silentLogger });
    expect(await checkSteps(store)).toEqual(new Map([[0, 30]]));
  });
});
