import { join } from "node:path";
import { silentLogger } from "@heddle/kernel";
import type { JobStore } from "@heddle/port-job-store";
import { jobStoreContract } from "@heddle/port-job-store/contract";
import { afterAll } from "vitest";
import { sqliteJobStore } from "./index.ts";
import { swapLog } from "./testing/broken-log.ts";
import { copyAsKilled } from "./testing/image.ts";
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
