import { type Effect, type Input, type JobTerms, WorkerPool } from "@heddle/core-pool";
import { describe, expect, it } from "vitest";
import { type PoolCore, runPoolWorld } from "./pool-world.ts";

const SEEDS = 300;
const replayed = process.env.HEDDLE_SIM_SEED;

/** First seed that fails under a planted bug, with what was found. */
function firstFailure(makeCore: () => (options: { readonly slots: number }) => PoolCore): string {
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      runPoolWorld(seed, { makeCore: makeCore() });
    } catch (failure) {
      return failure instanceof Error ? failure.message : String(failure);
    }
  }
  return "nothing found";
}

describe("the worker pool in a world of failing workers", () => {
  it("keeps its promises after every step, whatever fails", () => {
    // HEDDLE_SIM_SEED=17 runs that one, with everything that is said.
    if (replayed !== undefined) runPoolWorld(Number(replayed), { trace: (line) => console.log(line) });
    let finished = 0;
    for (let seed = 1; seed <= SEEDS; seed++) finished += runPoolWorld(seed).finished;
    expect(finished).toBeGreaterThan(SEEDS * 20);
  });

  it("does the same again for the same seed", () => {
    for (let seed = 1; seed <= 20; seed++) expect(runPoolWorld(seed)).toEqual(runPoolWorld(seed));
  });

  it("finds a pool that is too polite to kill", () => {
    const polite = () => (options: { readonly slots: number }) => {
      const core = new WorkerPool(options);
      const isRude = (type: string, signal: string): boolean => type === "kill-worker" && signal === "SIGKILL";
      return {
        step: (nowMs, input) =>
          core.step(nowMs, input).filter((effect) => !isRude(effect.type, "signal" in effect ? effect.signal : "")),
        validate: () => core.validate(),
        view: () => core.view(),
      } satisfies PoolCore;
    };
    expect(firstFailure(polite)).toMatch(
      /^seed \d+: (no progress|nothing is left|no worker is in between|a drain ends)/,
    );
  });

  it("finds a pool that runs a suspect in a worker that has run others", () => {
    const careless = () => (options: { readonly slots: number }) => {
      const core = new WorkerPool(options);
      return {
        step: (nowMs, input) => core.step(nowMs, input.type === "chunk-assigned" ? { ...input, fresh: false } : input),
        validate: () => core.validate(),
        view: () => core.view(),
      } satisfies PoolCore;
    };
    expect(firstFailure(careless)).toMatch(/^seed \d+: (fresh chunk \d+ runs after|chunk \d+ waits behind a fresh)/);
  });

  it("finds a pool that takes the result of a skipped chunk for a skip", () => {
    const credulous = () => (options: { readonly slots: number }) => {
      const core = new WorkerPool(options);
      const asked = new Set<number>();
      return {
        step: (nowMs, input) => {
          const isMistaken = input.type === "chunk-returned" && asked.has(input.assignment);
          const effects = core.step(nowMs, isMistaken ? { ...input, skipped: true } : input);
          for (const effect of effects) if (effect.type === "skip-chunk") asked.add(effect.assignment);
          return effects;
        },
        validate: () => core.validate(),
        view: () => core.view(),
      } satisfies PoolCore;
    };
    expect(firstFailure(credulous)).toMatch(/^seed \d+: returned chunk \d+ is not finished/);
  });

  /** A core that is not told, or does not wish, what `isLost` says. */
  const deaf =
    (isLost: (said: Input | Effect, cause: Input) => boolean) => () => (options: { readonly slots: number }) => {
      const core = new WorkerPool(options);
      const nothing: Input = { type: "timer-fired" };
      return {
        step: (nowMs, input) =>
          core.step(nowMs, isLost(input, input) ? nothing : input).filter((effect) => !isLost(effect, input)),
        validate: () => core.validate(),
        view: () => core.view(),
      } satisfies PoolCore;
    };

  it("finds a pool whose waiting tasks keep their slots", () => {
    const greedy = deaf((said) => said.type === "task-waiting" && said.waiting);
    expect(firstFailure(greedy)).toMatch(
      /^seed \d+: (a slot is free, but chunk \d+ waits|chunk \d+ is sent behind a task)/,
    );
  });

  it("finds a pool whose tasks do not take their slots back", () => {
    const lavish = deaf((said) => said.type === "task-waiting" && !said.waiting);
    expect(firstFailure(lavish)).toMatch(/^seed \d+: (\d+ chunks run on|\d+ workers, \d+ at most)/);
  });

  it("finds a pool that lets chunks stay behind a task that waits", () => {
    const stubborn = deaf((said, cause) => said.type === "skip-chunk" && cause.type === "task-waiting");
    expect(firstFailure(stubborn)).toMatch(/^seed \d+: chunks stay behind a task that waits/);
  });

  /** A core that is told something else. */
  const misled = (change: (input: Input) => Input) => () => (options: { readonly slots: number }) => {
    const core = new WorkerPool(options);
    return {
      step: (nowMs, input) => core.step(nowMs, change(input)),
      validate: () => core.validate(),
      view: () => core.view(),
    } satisfies PoolCore;
  };
  /** It does not hear a part of what jobs ask for. */
  const forgetful = (part: Partial<JobTerms>) =>
    misled((input) =>
      input.type === "job-described" && input.terms !== undefined
        ? { ...input, terms: { ...input.terms, ...part } }
        : input,
    );

  it("finds a pool that does not look at marks", () => {
    const blind = deaf((said) => said.type === "read-mark");
    expect(firstFailure(blind)).toMatch(/^seed \d+: item of \d+ runs for/);
  });

  it("finds a pool that stops items before they are overdue", () => {
    const hasty = misled((input) =>
      input.type === "mark-seen" && input.mark !== null
        ? { ...input, mark: { ...input.mark, forMs: 2 * input.mark.forMs } }
        : input,
    );
    expect(firstFailure(hasty)).toMatch(/^seed \d+: chunk \d+ is not overdue/);
  });

  it("finds a pool that takes an initializer for a chunk", () => {
    expect(firstFailure(forgetful({ hasInitializer: false }))).toMatch(
      /^seed \d+: (chunk \d+ (waits behind an|is blamed for the death of an) initializer|a slot is free, but chunk \d+ waits)/,
    );
  });

  it("finds a pool that lets workers run more than they may", () => {
    expect(firstFailure(forgetful({ chunksPerWorkerMax: undefined }))).toMatch(
      /^seed \d+: worker \d+ (is overused|has more)/,
    );
  });

  it("finds a pool that keeps workers that are too large", () => {
    expect(firstFailure(forgetful({ rssBytesPerWorkerMax: undefined }))).toMatch(
      /^seed \d+: (a worker that is too large lives on|chunk \d+ is sent to a worker that is too large)/,
    );
  });

  it("sees every way in which a chunk can end", () => {
    const ends = new Set<string>();
    const trace = (line: string): void => void ends.add(/"type":"(finish-[a-z-]+)"/.exec(line)?.[1] ?? "");
    for (let seed = 1; seed <= SEEDS && ends.size < 7; seed++) runPoolWorld(seed, { trace });
    expect([...ends].filter((end) => end !== "").sort()).toEqual([
      "finish-death",
      "finish-init-failure",
      "finish-not-started",
      "finish-overdue",
      "finish-returned",
      "finish-stopped",
    ]);
  });
});
