import { describe, expect, it } from "vitest";
import { depthOf, levelOf, RunTime } from "./run-time.ts";

function afterRunTimes(...runTimesMs: number[]): RunTime {
  const runTime = new RunTime();
  for (const runMs of runTimesMs) runTime.add(runMs);
  return runTime;
}

describe("the run time of a pool", () => {
  it("allows 2.5 ms of work behind a head, at most 256 chunks", () => {
    expect([50, 2.6, 2.5, 1, 0.5, 0.01, 0.001].map(depthOf)).toEqual([1, 1, 2, 3, 6, 251, 257]);
  });

  it("wants twice that on its way, in powers of two", () => {
    expect([51, 50, 2.6, 2.5, 1, 0.5, 0.01, 0.009, 0.001].map(levelOf)).toEqual([0, 1, 1, 2, 4, 8, 256, 512, 512]);
  });

  it("knows nothing before the first chunk, and believes the first ones soonest", () => {
    expect(new RunTime()).toMatchObject({ meanMs: undefined, depth: 1, level: 0 });
    expect(afterRunTimes(8)).toMatchObject({ meanMs: 8 });
    expect(afterRunTimes(8, 2)).toMatchObject({ meanMs: 5 });
    expect(afterRunTimes(8, 2, 2)).toMatchObject({ meanMs: 4 });
  });

  it("keeps its level while the mean moves about the border", () => {
    const runTime = afterRunTimes(49);
    expect(runTime.level).toBe(1);
    for (let round = 0; round < 20; round++) runTime.add(round % 2 === 0 ? 60 : 45);
    expect(runTime.level).toBe(1);
    for (let round = 0; round < 40; round++) runTime.add(90);
    expect(runTime.level).toBe(0);
    for (let round = 0; round < 40; round++) runTime.add(45);
    expect(runTime.level).toBe(0);
  });
});
