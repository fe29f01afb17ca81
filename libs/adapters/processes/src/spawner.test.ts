import { silentLogger } from "@heddle/kernel";
import { processesContract } from "@heddle/port-processes/contract";
import { afterAll } from "vitest";
import { isAlive } from "./process-table.ts";
import { createProcessSpawner } from "./spawner.ts";
import { heard, order } from "./testing/puppet-acts.ts";
import { scratchDirectory } from "./testing/scratch.ts";

const scratch = scratchDirectory();
afterAll(() => scratch[Symbol.dispose]());

const workerEntry = new URL("./testing/puppet.ts", import.meta.url);

processesContract("this machine", async () => ({
  spawner: createProcessSpawner({ workerEntry, log: silentLogger }),
  order,
  heard,
  isAlive,
}));
