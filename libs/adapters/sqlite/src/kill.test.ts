import { seededRandom, silentLogger } from "@heddle/kernel";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { openSqliteJournal } from "./index.ts";
import { startChild } from "./testing/child.ts";
import { checkRecords } from "./testing/records.ts";
import { scratchDirectory } from "./testing/scratch.ts";

const scratch = scratchDirectory();
afterAll(() => scratch[Symbol.dispose]());

const KILLS = 6;
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);

test(`what a process acknowledged before it was killed is there: in order, once, ${KILLS} times over`, async () => {
  console.log(`seed ${seed}`);
  const random = seededRandom(seed);
  const directory = scratch.fresh();
  let kept = 0;
  for (let life = 0; life < KILLS; life++) {
    const appender = startChild("appender", [directory, "load"]);
    onTestFinished(() => appender[Symbol.asyncDispose]());
    expect((await appender.lines.next()).value).toBe(`open ${kept}`);
    let acknowledged = kept;
    for (let left = 1 + random.int(life % 2 === 0 ? 2_000 : 20_000); left > 0; left--)
      acknowledged = Number((await appender.lines.next()).value);
    for (const line of await appender.kill()) acknowledged = Number(line);
    await using journal = await openSqliteJournal({ directory, log: silentLogger });
    const found = await checkRecords(journal);
    expect(found).toBeGreaterThanOrEqual(acknowledged);
    expect(found).toBeLessThanOrEqual(acknowledged + 16); // what nobody had been told of yet
    kept = found;
  }
  expect(kept).toBeGreaterThan(KILLS);
}, 120_000);
