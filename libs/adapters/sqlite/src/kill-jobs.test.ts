import { seededRandom, silentLogger } from "@heddle/kernel";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { sqliteJobStore } from "./index.ts";
import { startChild } from "./testing/child.ts";
import { checkSteps } from "./testing/jobs.ts";
import { scratchDirectory } from "./testing/scratch.ts";

const scratch = scratchDirectory();
afterAll(() => scratch[Symbol.dispose]());

const KILLS = 6;
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);

test(`what a process acknowledged of jobs before it was killed is there, and no write in part, ${KILLS} times over`, async () => {
  console.log(`seed ${seed}`);
  const random = seededRandom(seed);
  const directory = scratch.fresh();
  let kept = new Map<number, number>();
  for (let life = 0; life < KILLS; life++) {
    const writer = startChild("job-writer", [directory, "load"]);
    onTestFinished(() => writer[Symbol.asyncDispose]());
    expect((await writer.lines.next()).value).toBe("open");
    const acknowledged = new Map(kept);
    const take = (line: unknown): void => {
      const [lane, steps] = String(line).split(" ").map(Number);
      acknowledged.set(lane ?? -1, steps ?? -1);
    };
    for (let left = 1 + random.int(life % 2 === 0 ? 500 : 5_000); left > 0; left--)
      take((await writer.lines.next()).value);
    for (const line of await writer.kill()) take(line);
    await using store = await sqliteJobStore(directory, { log: silentLogger });
    kept = await checkSteps(store);
    for (const [lane, steps] of acknowledged) {
      expect(kept.get(lane)).toBeGreaterThanOrEqual(steps);
      expect(kept.get(lane)).toBeLessThanOrEqual(steps + 1); // what nobody had been told of yet
    }
  }
  expect(kept.size).toBe(16);
}, 120_000);
