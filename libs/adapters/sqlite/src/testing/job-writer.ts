/**
 * A program that owns a job store: `node job-writer.ts DIRECTORY MODE COUNT`. It goes on with the steps of jobs.ts, and prints "open",
 * then "LANE STEPS" for every step that was acknowledged, each on a line.
 *
 * - load: 16 lanes for ever.
 * - count: COUNT steps of lane 0, one by one; then it has nothing to do, and closes nothing.
 * - hold: does nothing and stays.
 */
import { silentLogger } from "@heddle/kernel";
import { sqliteJobStore } from "../index.ts";
import { checkSteps, stepOf } from "./jobs.ts";
import { say } from "./say.ts";

const [directory = "", mode, count] = process.argv.slice(2);

try {
  const store = await sqliteJobStore(directory, { log: silentLogger });
  const before = await checkSteps(store);
  say("open");
  const run = async (lane: number, most: number): Promise<void> => {
    const first = before.get(lane) ?? 0;
    for (let steps = first; steps < first + most; steps++) {
      await store.write(stepOf(lane, steps));
      say(`${lane} ${steps + 1}`);
    }
  };
  if (mode === "load") await Promise.all(Array.from({ length: 16 }, (_, lane) => run(lane, Number.POSITIVE_INFINITY)));
  if (mode === "hold") setInterval(() => undefined, 1_000);
  if (mode === "count") await run(0, Number(count));
} catch (error) {
  say(`error ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`);
  process.exit(70);
}
