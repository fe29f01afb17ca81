import {
  type AssignmentId,
  type Effect,
  type Input,
  Scheduler,
  type SchedulerLimits,
  type SchedulerOptions,
} from "@heddle/core-scheduler";
import { assert } from "@heddle/kernel";
import { expect, test } from "vitest";
import type { SwarmOptions } from "./scheduler-faults.ts";
import { type RunReport, runSeed, type SchedulerUnderTest } from "./scheduler-world.ts";

type Assign = Extract<Effect, { readonly type: "assign-chunk" }>;

/** All jobs have their stragglers backed up, and there are some; nothing else goes wrong, and any node may run any chunk. */
const slow: Partial<SwarmOptions> = {
  ...{ breaks: 0, crashes: 0, drains: 0, cordons: 0, leaves: 0, startFaults: 0, initFailures: 0, drop: 0, kills: 0 },
  ...{
    bounded: 0,
    needs: 0,
    nested: 0,
    unreads: 0,
    throttles: 0,
    cancels: 0,
    poison: 0,
    flaky: 0,
    broken: 0,
    sickNodes: 0,
    mortals: 0,
  },
  ...{ speculates: 1, stragglers: 0.05, unschedulableMs: 60_000, model: "stream", nodes: 4 },
};
/** The same, and all of what may go wrong. */
const hard: Partial<SwarmOptions> = {
  ...{ speculates: 1, stragglers: 0.15, nodes: 5, slotsMax: 4, jobs: 3, chunksMax: 20, itemMsMax: 30, nested: 0.2 },
};

test("stragglers are backed up where nothing fresh waits, each once at a time, and backups are often first", () => {
  const watch = new BackupWatch();
  const reports = seeds(60).map((seed) => {
    watch.begin();
    return runSeed(seed, { override: slow, make: (options) => watch.around(new Scheduler(options)) });
  });
  expect(failed(reports)).toEqual([]);
  expect(new Set(reports.flatMap(({ ends }) => [...ends.values()]))).toEqual(new Set(["done"]));
  expect(watch.backups).toBeGreaterThan(60);
  expect(watch.firsts).toBeGreaterThan(watch.backups / 4);
  expect(watch.firsts).toBeLessThan(watch.backups);
});

test("backups and whatever else goes wrong keep every promise", () => {
  const watch = new BackupWatch("only counts");
  const reports = seeds(300).map((seed) => {
    watch.begin();
    return runSeed(seed, { override: hard, make: (options) => watch.around(new Scheduler(options)) });
  });
  expect(failed(reports)).toEqual([]);
  expect(watch.backups).toBeGreaterThan(300);
});

test.each<[string, number, Partial<SwarmOptions>, RegExp]>([
  [
    "a node is lost when the time of its drain has just run out: what was due is done before, on a node that is still there",
    509,
    { resumes: 0 },
    /"type":"node-lost".*"revoke-chunk".*"stop":true/,
  ],
  [
    "a chunk is offered when its job has just been given up: it is of a job that is over, and let go of behind its end",
    15_406,
    {},
    /"type":"chunk-offered".*"end-job".*"unschedulable".*"release-chunk"/,
  ],
  [
    "a node is lost when its exclusion has just run out: it comes back before it goes",
    5_867,
    { speculates: 1, stragglers: 0.15, nodes: 5, slotsMax: 4, jobs: 3, chunksMax: 20, itemMsMax: 30, nested: 0.2 },
    /"type":"node-lost".*"readmit-node"/,
  ],
])("%s", (_what, seed, options, told) => {
  let met = 0;
  const trace = (line: string): void => {
    met += Number(told.test(line));
  };
  const report = runSeed(seed, { override: { speculates: 0, stragglers: 0, ...options }, trace });
  expect(report.failure).toBe(undefined);
  expect(met).toBe(1);
});

test.each<[string, (sound: Scheduler) => SchedulerUnderTest, RegExp]>([
  [
    "answers of attempts that were overtaken and count all the same",
    (sound) => planted(sound, { effects: deliversAll() }),
    /^PromiseBroken: delivery of /,
  ],
  [
    "attempts that were overtaken and run on",
    (sound) =>
      planted(sound, { effects: (input, effects) => (input.type === "chunk-finished" ? unstopped(effects) : effects) }),
    /is not told to stop, though its items are answered|lasts? for ever/,
  ],
  [
    "jobs that never asked for backups",
    (sound) =>
      planted(sound, { hears: (input) => (input.type === "job-opened" ? { ...input, speculate: true } : input) }),
    /: nobody wants it$/,
  ],
])("the net of seeds catches %s", (_what, plant, broken) => {
  const make = (options: SchedulerOptions): SchedulerUnderTest => plant(new Scheduler(options));
  expect(firstCaught(make, { ...hard, speculates: 0.5 })?.failure).toMatch(broken);
});

test("the net of seeds catches backups that take too many slots", () => {
  const limits: Partial<SchedulerLimits> = { backupShareMax: 1 };
  const make = ({ limits: usual, ...options }: SchedulerOptions): Scheduler =>
    new Scheduler({ ...options, limits: { ...usual, ...limits } });
  expect(firstCaught(make, { ...slow, slotsMax: 4, stragglers: 0.3 })?.failure).toMatch(
    /^PromiseBroken: backup .*: there are \d+ on/,
  );
});

/** Sees which assignments are backups, and which answers were theirs. */
class BackupWatch {
  backups = 0;
  /** Backups that were done before what they back up. */
  firsts = 0;
  readonly #onlyCounts: boolean;
  readonly #live = new Map<AssignmentId, { readonly assign: Assign; readonly isBackup: boolean }>();

  constructor(how?: "only counts") {
    this.#onlyCounts = how !== undefined;
  }

  /** Another run begins. */
  begin(): void {
    this.#live.clear();
  }

  around(core: Scheduler): SchedulerUnderTest {
    const effects = (input: Input, effects: readonly Effect[]): readonly Effect[] => {
      this.#learn(input, effects, core);
      return effects;
    };
    return planted(core, { effects });
  }

  #learn(input: Input, effects: readonly Effect[], core: Scheduler): void {
    const answered = input.type === "chunk-finished" ? this.#live.get(input.assignment) : undefined;
    if (answered?.isBackup === true && effects.some(({ type }) => type === "deliver-span")) this.firsts++;
    if (input.type === "chunk-finished") this.#live.delete(input.assignment);
    if (input.type === "node-lost")
      for (const [id, { assign }] of this.#live) if (assign.node === input.node) this.#live.delete(id);
    for (const effect of effects) if (effect.type === "assign-chunk") this.#placed(effect, core);
  }

  #placed(assign: Assign, core: Scheduler): void {
    const { job, chunk, offset } = assign;
    const isSame = (it: Assign): boolean => it.job === job && it.chunk === chunk && it.offset === offset;
    const isBackup = this.#live.values().some((it) => isSame(it.assign));
    this.#live.set(assign.assignment, { assign, isBackup });
    if (!isBackup) return;
    this.backups++;
    const waiting = core.jobs().reduce((sum, { chunksWaiting }) => sum + chunksWaiting, 0);
    assert(this.#onlyCounts || waiting === 0, `a backup is placed while ${waiting} chunks wait`);
  }
}

/** A scheduler that hears or wishes something else. */
function planted(
  sound: Scheduler,
  bug: {
    readonly hears?: (input: Input) => Input;
    readonly effects?: (input: Input, effects: readonly Effect[]) => readonly Effect[];
  },
): SchedulerUnderTest {
  const { hears = (input) => input, effects = (_input, wished) => wished } = bug;
  return {
    step: (nowMs, input) => effects(input, sound.step(nowMs, hears(input))),
    validate: () => sound.validate(),
    jobs: () => sound.jobs(),
    nodes: () => sound.nodes(),
  };
}

function unstopped(effects: readonly Effect[]): readonly Effect[] {
  if (!effects.some(({ type }) => type === "deliver-span")) return effects;
  return effects.filter((effect) => effect.type !== "revoke-chunk" || !effect.stop);
}

/** Whatever is done is delivered. */
function deliversAll(): (input: Input, effects: readonly Effect[]) => readonly Effect[] {
  const placed = new Map<AssignmentId, Assign>();
  return (input, effects) => {
    for (const effect of effects) if (effect.type === "assign-chunk") placed.set(effect.assignment, effect);
    if (input.type !== "chunk-finished" || input.outcome.type !== "done") return effects;
    const assign = placed.get(input.assignment);
    placed.delete(input.assignment);
    if (assign === undefined || effects.some(({ type }) => type === "deliver-span")) return effects;
    const { job, chunk, offset, count, assignment } = assign;
    return [...effects, { type: "deliver-span", job, chunk, offset, count, assignment }];
  };
}

function firstCaught(
  make: (options: SchedulerOptions) => SchedulerUnderTest,
  override: Partial<SwarmOptions>,
): RunReport | undefined {
  for (const seed of seeds(300)) {
    const report = runSeed(seed, { make, override });
    if (report.failure !== undefined) return report;
  }
  return undefined;
}

function failed(reports: readonly RunReport[]): string[] {
  return reports.flatMap(({ seed, failure }) => (failure === undefined ? [] : [`seed ${seed}: ${failure}`]));
}

function seeds(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at + 1);
}
