import {
  type AssignmentId,
  type Effect,
  type Input,
  type JobView,
  type NodeView,
  Scheduler,
  type SchedulerLimits,
  type SchedulerOptions,
} from "@heddle/core-scheduler";
import { describe, expect, test } from "vitest";
import type { SwarmOptions } from "./scheduler-faults.ts";
import { TailWatch } from "./scheduler-tail.ts";
import { type RunOptions, type RunReport, runSeed, type SchedulerUnderTest } from "./scheduler-world.ts";

const SEEDS = 300;
/** Nothing goes wrong, and any node may run any chunk. */
const evenWorld: Partial<SwarmOptions> = {
  ...{ breaks: 0, crashes: 0, drains: 0, cordons: 0, leaves: 0, startFaults: 0, initFailures: 0, drop: 0, kills: 0 },
  ...{ bounded: 0, needs: 0, nested: 0, unreads: 0, throttles: 0, cancels: 0, poison: 0 },
  mortals: 0,
  sickNodes: 0,
  unschedulableMs: 60_000,
  ...{ model: "stream", nodes: 3, prefetchMax: 4, itemMsMax: 200 },
};
const replayed = process.env.HEDDLE_SIM_SEED;

// HEDDLE_SIM_SEED=n runs that seed alone and prints every step.
if (replayed === undefined) {
  describe("the scheduler in a world of faults", worldOfFaults);
  describe("the net of seeds", netOfSeeds);
} else {
  test(`seed ${replayed} keeps every promise`, () => {
    const report = runSeed(Number(replayed), { trace: (line) => console.log(line) });
    console.log(report);
    expect(report.failure).toBe(undefined);
  });
}

function worldOfFaults(): void {
  test(`keeps every promise for ${SEEDS} seeds, and every job ends once faults are over`, () => {
    const reports = seeds(SEEDS).map((seed) => runSeed(seed));
    const failed = reports.filter((report) => report.failure !== undefined);
    expect(failed.map(retell)).toEqual([]);
    const ends = new Set(reports.flatMap((report) => [...report.ends.values()]));
    expect(ends).toEqual(new Set(["done", "failed", "cancelled"]));
    expect(new Set(reports.map((report) => report.options.model))).toEqual(new Set(["stream", "hostile"]));
  });

  test("finds each item that kills its worker by its index, and fails no other", () => {
    const quiet = {
      sickNodes: 0,
      unschedulableMs: 60_000,
      broken: 0,
      cancels: 0,
      kills: 0,
      markLoss: 0,
      breaks: 0,
      crashes: 0,
      startFaults: 0,
      drop: 0,
    };
    const reports = seeds(60).map((seed) => runSeed(seed, { override: { ...quiet, flaky: 0, poison: 0.02 } }));
    expect(reports.filter((report) => report.failure !== undefined).map(retell)).toEqual([]);
    const ends = new Set(reports.flatMap((report) => [...report.ends.values()]));
    expect(ends).toEqual(new Set(["done", "failed"]));
  });

  test("never fails a job for what the system did, below the bounds of blame", () => {
    const system = {
      sickNodes: 0,
      unschedulableMs: 60_000,
      poison: 0,
      flaky: 0,
      broken: 0,
      cancels: 0,
      kills: 0,
      startFaults: 0,
      initFailures: 0,
      drop: 0,
    };
    const override = { ...system, breaks: 1, crashes: 1, drains: 1, cordons: 1, leaves: 1, troubleEveryMs: 1_000 };
    const reports = seeds(60).map((seed) => runSeed(seed, { override }));
    expect(reports.filter((report) => report.failure !== undefined).map(retell)).toEqual([]);
    expect(new Set(reports.flatMap((report) => [...report.ends.values()]))).toEqual(new Set(["done"]));
  });

  test("excludes a node whose workers die, tries it again, and fails no job for it", () => {
    const faults = { breaks: 0, crashes: 0, startFaults: 0, initFailures: 0, drop: 0, kills: 0, drains: 0, leaves: 0 };
    const quiet = {
      ...faults,
      poison: 0,
      flaky: 0,
      broken: 0,
      cancels: 0,
      needs: 0,
      cordons: 0,
      throttles: 0,
      mortals: 0,
    };
    const override: Partial<SwarmOptions> = { ...quiet, sickNodes: 1, nodes: 3, model: "stream", faultsUntilMs: 5_000 };
    const seen = { excluded: 0, readmitted: 0, again: 0 };
    const reports = seeds(200).map((seed) => {
      let times = 0;
      const trace = (line: string): void => {
        if (line.includes('"exclude-node"')) times++;
        if (line.includes('"readmit-node"')) seen.readmitted++;
      };
      const report = runSeed(seed, { override, trace });
      seen.excluded += Number(times > 0);
      seen.again += Number(times > 1);
      return report;
    });
    expect(reports.filter((report) => report.failure !== undefined).map(retell)).toEqual([]);
    expect(new Set(reports.flatMap((report) => [...report.ends.values()]))).toEqual(new Set(["done"]));
    expect(Math.min(seen.excluded, seen.readmitted, seen.again)).toBeGreaterThan(10);
  });

  test("lets no slot idle for long beside chunks that wait at full nodes, once nothing else is left to place", () => {
    let handedBack = 0;
    const reports = seeds(60).map((seed) => {
      const tail = new TailWatch();
      const report = runSeed(seed, { override: evenWorld, tail });
      handedBack += tail.handedBack;
      return report;
    });
    expect(reports.filter((report) => report.failure !== undefined).map(retell)).toEqual([]);
    expect(handedBack).toBeGreaterThan(60);
  });

  test.each([
    ["item-overdue", /"cause":"item-overdue"/],
    ["part-done", /"part-done","completed":[1-9].*"deliver-span"/],
    ["init-failed", /"init-failed".*"outcome":"failed","fault":{"code":"pool-init","message":"no database"/],
    ["results-taken", /"results-taken".*"assign-chunk"/],
    ["unschedulable", /"outcome":"failed","fault":{"code":"unschedulable"/],
    ["grain", /"assign-chunk".*"grain":[1-9]/],
    ["a chunk that is offered again", /"settled":\[{.*"assign-chunk"/],
    ["a gap of a resumed job", /"job-opened".*"ordered":true.*"gapChunks":[1-9]/],
    ["handed back", /"timer-fired".*"stop":false/],
    ["the end of a drain's time", /"timer-fired".*"stop":true/],
    ["a drain that is undone", /"cordoned":false.*"assign-chunk"/],
    ["a node that says when it ends", /"node-joined".*"lastsMs":\d/],
  ])("comes across what there is to decide: %s", (_what, told) => {
    let met = 0;
    const trace = (line: string): void => {
      if (told.test(line)) met++;
    };
    for (const seed of seeds(60)) runSeed(seed, { trace, override: { drains: 1 } });
    expect(met).toBeGreaterThan(0);
  });

  test("takes the same way for the same seed", () => {
    for (const seed of seeds(20)) expect(runSeed(seed)).toEqual(runSeed(seed));
  });
}

function netOfSeeds(): void {
  test("catches results that are accepted from stale assignments", () => {
    const caught = firstCaught((options) => new AcceptsStaleResults(new Scheduler(options)));
    expect(caught?.failure).toMatch(/^PromiseBroken: delivery of /);
  });

  test("catches a lost node whose chunks are not placed again", () => {
    const caught = firstCaught((options) => new ForgetsLostNodes(new Scheduler(options)));
    expect(caught?.failure).toMatch(/^PromiseBroken: the nodes shown|^Error: no progress/);
  });

  test.each([
    ["a bound of unread results that is not kept", { unreadBytesMax: undefined }, /is new with \d+ bytes unread/],
    ["requirements that are not kept", { requirements: undefined }, /goes where zone|no gpu left/],
    ["a job that gives up though it collects", { collect: false }, /is released with items open|nothing failed/],
    ["an ordered job without its lowest chunk", { ordered: false }, /^Error: no progress/],
    [
      "what a resumed job has unread that is forgotten",
      { resumed: undefined },
      /is new with \d+ bytes|^Error: no progress/,
    ],
  ])("catches %s", (_what, forgotten, broken) => {
    const caught = firstCaught((options) => new ForgetsOf(new Scheduler(options), forgotten));
    expect(caught?.failure).toMatch(broken);
  });

  test("catches slots that idle beside chunks that wait", () => {
    const make = (options: SchedulerOptions) => new Scheduler({ ...options, limits: { handBackAfterMs: 1e6 } });
    const reports = seeds(20).map((seed) => runSeed(seed, { override: evenWorld, make, tail: new TailWatch() }));
    const caught = reports.find(({ failure }) => failure !== undefined);
    expect(caught?.failure).toMatch(/a slot idles since \d+ beside chunks that wait/);
  });

  test.each<[string, Partial<SchedulerLimits>, RegExp]>([
    ["a node that is excluded for two chunks", { exclusionCauses: 2 }, /exclusion of node \d+ for 2 chunks/],
    ["too many nodes that are excluded", { keptShareMin: 0.1, exclusionRateFactor: 0 }, /leaves too few/],
    ["what no node has and is never given up", { unschedulableMs: 0 }, /waits for what no node has/],
    ["what is given up too early", { unschedulableMs: 10 }, /a node could run it|is released with items open/],
  ])("catches %s", (_what, limits, broken) => {
    const make = ({ limits: usual, ...options }: SchedulerOptions) =>
      new Scheduler({ ...options, limits: { ...usual, ...limits } });
    const override = { startFaults: 1, kills: 0.3, nodes: 4, sickNodes: 3, needs: 1, unschedulableMs: 500 };
    const caught = seeds(SEEDS).find((seed) => runSeed(seed, { make, override }).failure !== undefined);
    expect(runSeed(caught ?? 0, { make, override }).failure).toMatch(broken);
  });

  test("catches a node that stays excluded for ever", () => {
    const caught = firstCaught((options) => new NeverReadmits(new Scheduler(options)));
    expect(caught?.failure).toMatch(
      /^PromiseBroken: (node \d+ is excluded for too long|the announced capacity is stale|assignment \d+ to node \d+, not ready)/,
    );
  });

  test("catches a drain that does not keep new chunks away", () => {
    const caught = firstCaught((options) => new IgnoresDrains(new Scheduler(options)));
    expect(caught?.failure).toMatch(/^PromiseBroken: /);
  });

  test.each<[what: string, Hearing, broken: RegExp]>([
    ["a drain without an end", { "node-drain-requested": { stopAfterMs: 1e6 } }, /outlasts the drain of node/],
    [
      "a drain that stops too early",
      { "node-drain-requested": { stopAfterMs: 0 } },
      /: \d+ is stopped before its time/,
    ],
    ["a drain that is not undone", { "node-cordoned": { cordoned: true } }, /capacity is stale|is shown as drained/],
    ["settled items that run again", { "chunk-offered": { settled: undefined } }, /runs what is done or running/],
  ])("catches %s", (_what, hearing, broken) => {
    const caught = firstCaught((options) => new Mishears(new Scheduler(options), hearing));
    expect(caught?.failure).toMatch(broken);
  });
}

function firstCaught(make: NonNullable<RunOptions["make"]>): RunReport | undefined {
  for (const seed of seeds(SEEDS)) {
    const report = runSeed(seed, { make });
    if (report.failure !== undefined) return report;
  }
  return undefined;
}

function seeds(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at + 1);
}

function retell({ seed, options, failure }: RunReport): string {
  return `HEDDLE_SIM_SEED=${seed}: ${failure} with ${JSON.stringify(options)}`;
}

/** A scheduler with a bug: it is told and wishes something else. */
abstract class Planted implements SchedulerUnderTest {
  protected readonly sound: Scheduler;

  constructor(sound: Scheduler) {
    this.sound = sound;
  }

  abstract step(nowMs: number, input: Input): readonly Effect[];

  validate(): void {
    this.sound.validate();
  }

  jobs(): JobView[] {
    return this.sound.jobs();
  }

  nodes(): NodeView[] {
    return this.sound.nodes();
  }
}

/** Delivers what an assignment brings, also when its node was lost and the chunk placed again. */
class AcceptsStaleResults extends Planted {
  readonly #placed = new Map<AssignmentId, Extract<Effect, { type: "assign-chunk" }>>();
  readonly #stale = new Set<AssignmentId>();

  override step(nowMs: number, input: Input): readonly Effect[] {
    const effects = this.sound.step(nowMs, input);
    for (const effect of effects) if (effect.type === "assign-chunk") this.#placed.set(effect.assignment, effect);
    if (input.type === "node-lost") {
      for (const [id, { node }] of this.#placed) if (node === input.node) this.#stale.add(id);
    }
    if (input.type !== "chunk-finished") return effects;
    const assign = this.#placed.get(input.assignment);
    this.#placed.delete(input.assignment);
    if (assign === undefined || !this.#stale.has(input.assignment) || input.outcome.type !== "done") return effects;
    const { job, chunk, offset, count, assignment } = assign;
    return [...effects, { type: "deliver-span", job, chunk, offset, count, assignment }];
  }
}

/** Takes a lost node for one that is silent for ever. */
class ForgetsLostNodes extends Planted {
  override step(nowMs: number, input: Input): readonly Effect[] {
    if (input.type !== "node-lost") return this.sound.step(nowMs, input);
    return this.sound.step(nowMs, { type: "node-silent", node: input.node, silent: true });
  }

  override nodes(): NodeView[] {
    return this.sound.nodes().filter((node) => node.state !== "silent");
  }
}

/** Takes excluded nodes back without a word. */
class NeverReadmits extends Planted {
  override step(nowMs: number, input: Input): readonly Effect[] {
    return this.sound.step(nowMs, input).filter(({ type }) => type !== "readmit-node");
  }
}

/** Does not hear some of what a job asks for. */
class ForgetsOf extends Planted {
  readonly #forgotten: object;

  constructor(sound: Scheduler, forgotten: object) {
    super(sound);
    this.#forgotten = forgotten;
  }

  override step(nowMs: number, input: Input): readonly Effect[] {
    return this.sound.step(nowMs, input.type === "job-opened" ? { ...input, ...this.#forgotten } : input);
  }
}

/** What is understood of facts in place of what was said, by their type. */
type Hearing = Readonly<Record<string, object>>;

/** Hears something else than it was told. */
class Mishears extends Planted {
  readonly #hearing: Hearing;

  constructor(sound: Scheduler, hearing: Hearing) {
    super(sound);
    this.#hearing = hearing;
  }

  override step(nowMs: number, input: Input): readonly Effect[] {
    return this.sound.step(nowMs, { ...input, ...this.#hearing[input.type] });
  }
}

/** Drains by taking back, but goes on giving. */
class IgnoresDrains extends Planted {
  override step(nowMs: number, input: Input): readonly Effect[] {
    return input.type === "node-drain-requested" ? [] : this.sound.step(nowMs, input);
  }
}
