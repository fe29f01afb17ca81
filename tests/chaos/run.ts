import { setTimeout } from "node:timers/promises";
import { systemEnvironment } from "@heddle/adapter-system";
import { settles } from "../harness/waiting.ts";
import { machineMs } from "./client-events.ts";
import { Ending } from "./ending.ts";
import { beginFault, FaultSkipped, type Heal } from "./faults.ts";
import { Gauges } from "./gauges.ts";
import { Histories } from "./histories.ts";
import { isOpen, type JobFacts } from "./job-facts.ts";
import { explaining, type FaultRecord } from "./judge.ts";
import { type KeptCounts, KeptJobs, type KeptJobsOptions } from "./kept-jobs.ts";
import { Ledger } from "./ledger.ts";
import { ABANDONED_LEASES, hangMs, KEPT_COMEBACK_MS, QUIET_LEASES, UNDECIDED_SHARE_MAX } from "./limits.ts";
import type { ChaosOptions } from "./options.ts";
import { Parties } from "./parties.ts";
import { type PlannedFault, planOf } from "./plan.ts";
import type { ExplainedCall, Report } from "./report.ts";
import { leftInSystem, RunDirectory, removeCgroups, removeLeftovers } from "./run-directory.ts";
import { runsIn } from "./runs.ts";

/** Between two looks at all processes: a twentieth of a short run. */
const SAMPLE_MS_MAX = 15_000;
const ATTEMPTS_LOST = "heddle_coordinator_attempts_lost_total";

/** What a run says while it runs. */
export type Say = (line: string) => void;

/** Runs a fabric through the faults of a seed, lets it become quiet, and looks at what is left. Rejects only when that cannot be done, or `signal` aborts. `logs`: where the logs of a run that failed are kept. */
export async function runChaos(options: ChaosOptions, say: Say, signal: AbortSignal, logs: string): Promise<Report> {
  removeLeftovers();
  const run = new Run(options, say, signal);
  let report: Report;
  try {
    report = await run.through(logs);
  } finally {
    await run[Symbol.asyncDispose]();
  }
  const left = run.leftInSystem();
  for (const what of left) say(`WRONG: ${what} is left`);
  return { ...report, problems: [...report.problems, ...left.map((what) => `${what} is left`)] };
}

class Run implements AsyncDisposable {
  readonly #options: ChaosOptions;
  readonly #say: Say;
  readonly #signal: AbortSignal;
  readonly #directory = new RunDirectory();
  readonly #ledger: Ledger;
  readonly #faults: FaultRecord[] = [];
  readonly #skipped: string[] = [];
  readonly #problems: string[] = [];
  readonly #healing = new Set<Promise<void>>();
  readonly #abandoned = new Set<Promise<void>>();
  readonly #lost = { before: 0, now: 0 };
  #parties: Parties | undefined;
  #startMs = machineMs();

  constructor(options: ChaosOptions, say: Say, signal: AbortSignal) {
    this.#options = options;
    this.#say = say;
    this.#signal = signal;
    this.#ledger = new Ledger(hangMs(options.leaseMs), {
      wrong: (problem) => this.#wrong(problem),
      hangs: (problem) => void this.#tellHang(problem),
    });
  }

  async through(logs: string): Promise<Report> {
    const parties = await this.#start();
    const gauges = new Gauges(parties, this.#directory);
    const histories = this.#histories(parties);
    const kept = this.#keptJobs(parties);
    const lines = [histories, ...kept];
    const told = Promise.all(lines.map((line) => line.run())).then(() => undefined);
    const sampling = this.#sampling(gauges);
    await this.#makeFaults(parties);
    this.#say("every fault is over; what was begun is to end");
    for (const line of lines) line.finish();
    await this.#becomeQuiet(parties, told);
    await sampling[Symbol.asyncDispose]();
    await this.#countLost();
    const ending = new Ending(parties, { directory: this.#directory, wrong: (problem) => this.#wrong(problem) });
    await ending.look(this.#ledger, gauges);
    await ending.stopServers(this.#ledger.once.open());
    const explained = this.#judgeErrors();
    const { undecided, histories: judged } = histories.counts;
    if (undecided > UNDECIDED_SHARE_MAX * judged) this.#wrong(`${undecided} of ${judged} histories are undecided`);
    for (const complaint of gauges.complaints()) this.#wrong(complaint);
    await ending.lookForLeftovers();
    if (this.#problems.length > 0) this.#directory.keepLogs(logs);
    return this.#report(gauges, { histories, kept }, explained);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parties?.[Symbol.asyncDispose]();
    removeCgroups();
    this.#directory[Symbol.dispose]();
  }

  /** What there is in the system of a run that is over. */
  leftInSystem(): string[] {
    const { namespaces = [] } = this.#parties?.hosts ?? {};
    return leftInSystem(this.#directory.path, namespaces);
  }

  async #start(): Promise<Parties> {
    const { seed, agents, clients } = this.#options;
    const parties = await Parties.start({
      options: this.#options,
      directory: this.#directory,
      hears: (event, { name }, life) => this.#ledger.hear(event, name, life),
      died: (how) => this.#wrong(how),
    });
    this.#parties = parties;
    this.#startMs = machineMs();
    this.#say(`seed ${seed}: coordinator, manager, ${agents} agents and ${clients} clients run`);
    return parties;
  }

  #histories({ clients }: Parties): Histories {
    const { seed, leaseMs } = this.#options;
    return new Histories({
      seed,
      leaseMs,
      clients,
      clock: { ...systemEnvironment().clock, nowMs: machineMs },
      failed: (client, { name, message }, fromMs) =>
        this.#ledger.failed.push({
          ...{ client: client.name, lane: "history", name, message },
          ...{ fromMs, untilMs: machineMs() },
        }),
      wrong: (message) => this.#wrong(message),
    });
  }

  #keptJobs(parties: Parties): KeptJobs[] {
    const { seed, leaseMs } = this.#options;
    const options: Omit<KeptJobsOptions, "clients" | "line"> = {
      ...{ seed, leaseMs },
      submitter: (client, job, hears) => parties.submitter(client, job, hears),
      failed: (call) => this.#ledger.failed.push(call),
      once: (state) => this.#ledger.once.hear(state),
      wrong: (message) => this.#wrong(message),
    };
    return parties.teams.map((clients, line) => new KeptJobs({ ...options, clients, line }));
  }

  #sampling(gauges: Gauges): AsyncDisposable {
    const everyMs = Math.min(SAMPLE_MS_MAX, (this.#options.minutes * 60_000) / 20);
    let last = Promise.resolve();
    const timer = setInterval(() => {
      last = last.then(() => Promise.all([gauges.sample(), this.#countLost()])).then(() => undefined);
    }, everyMs);
    return {
      [Symbol.asyncDispose]: async () => {
        clearInterval(timer);
        await last;
      },
    };
  }

  /** A coordinator that was started anew counts from 0 again. */
  async #countLost(): Promise<void> {
    const page = await this.#parties?.metrics("coordinator").catch(() => undefined);
    if (page === undefined) return;
    const now = Object.entries(page)
      .filter(([name]) => name.startsWith(ATTEMPTS_LOST))
      .reduce((sum, [, count]) => sum + count, 0);
    if (now < this.#lost.now) this.#lost.before += this.#lost.now;
    this.#lost.now = now;
  }

  async #makeFaults(parties: Parties): Promise<void> {
    const endMs = this.#startMs + this.#options.minutes * 60_000;
    for (const fault of planOf(this.#options)) {
      const atMs = this.#startMs + fault.atMs;
      await this.#until(Math.min(atMs, endMs));
      if (atMs >= endMs) break;
      const healed = this.#makeFault(parties, fault);
      this.#healing.add(healed);
      const over = (): boolean => this.#healing.delete(healed);
      healed.then(over, over); // that the run was ended is said by the wait for the next fault
    }
    await Promise.all(this.#healing);
  }

  /** Resolves when it is undone. */
  async #makeFault(parties: Parties, fault: PlannedFault): Promise<void> {
    const { number, kind, target, forMs } = fault;
    const name = `${number} ${kind} of ${target}`;
    const record: FaultRecord = { number, kind, target, fromMs: machineMs(), untilMs: Number.POSITIVE_INFINITY };
    let heal: Heal;
    try {
      heal = await beginFault(fault, {
        parties,
        directory: this.#directory,
        abandoned: (life, pid) => this.#watchAbandoned(parties, life, pid),
      });
    } catch (error) {
      if (error instanceof FaultSkipped) this.#skipped.push(`${name}: ${error.message}`);
      else this.#wrong(`fault ${name} could not be made: ${String(error)}`);
      return;
    }
    this.#faults.push(record);
    this.#say(`${((record.fromMs - this.#startMs) / 1_000).toFixed(1)} s: ${name} for ${forMs} ms`);
    await this.#until(record.fromMs + forMs);
    await heal().catch((error: unknown) => this.#wrong(`fault ${name} could not be undone: ${String(error)}`));
    record.untilMs = machineMs();
  }

  /** The jobs of a client that is gone must end. */
  #watchAbandoned({ observer }: Parties, life: string, pid: number): void {
    this.#ledger.killed(life);
    const sinceMs = machineMs();
    const look = async (): Promise<void> => {
      for (;;) {
        const jobs = (await observer.ask("jobs").catch(() => undefined)) as readonly JobFacts[] | undefined;
        const running = jobs?.filter((job) => isOpen(job) && !job.detached && job.client.endsWith(` pid ${pid}`));
        if (running?.length === 0) return;
        const comebackMs = running?.some(({ kept }) => kept) ? KEPT_COMEBACK_MS : 0;
        const ageMs = machineMs() - sinceMs;
        if (running !== undefined && ageMs > ABANDONED_LEASES * this.#options.leaseMs + comebackMs) {
          const seconds = Math.round(ageMs / 1_000);
          this.#wrong(`${running.map(({ jobId }) => jobId)} of ${life} are open ${seconds} s after it was killed`);
          return;
        }
        await setTimeout(1_000);
      }
    };
    this.#abandoned.add(look());
  }

  /** Lets everything end that was begun. */
  async #becomeQuiet(parties: Parties, told: Promise<void>): Promise<void> {
    const quietMs = QUIET_LEASES * this.#options.leaseMs + KEPT_COMEBACK_MS;
    const finish = async (name: string, ending: Promise<unknown>): Promise<void> => {
      try {
        const code = await settles(ending, () => "it hangs", quietMs);
        if (code !== undefined && code !== 0) this.#wrong(`${name} ended with ${String(code)}`);
      } catch (error) {
        this.#wrong(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    };
    await finish("the last histories and kept jobs", told);
    await Promise.all(parties.clients.map((client) => finish(client.name, client.finish())));
    await Promise.all([...this.#abandoned].map((look) => finish("jobs of killed clients", look)));
    await finish("the fabric", parties.whole(quietMs));
  }

  /** Each error is told with the faults that explain it, or is wrong. */
  #judgeErrors(): ExplainedCall[] {
    const secondOf = (ms: number): number => Math.round((ms - this.#startMs) / 100) / 10;
    return this.#ledger.failed.flatMap((call) => {
      const { client, lane, name, message, fromMs, untilMs } = call;
      const [fromS, untilS] = [secondOf(fromMs), secondOf(untilMs)];
      const faults = explaining(call, this.#faults, this.#options.leaseMs);
      if (faults.length === 0)
        this.#wrong(`${client} ${lane}, ${fromS} to ${untilS} s: no fault explains ${name}: ${message}`);
      const told = faults.map(({ number, kind, target }) => `${number} ${kind} of ${target}`);
      return faults.length === 0 ? [] : [{ client, lane, error: `${name}: ${message}`, fromS, untilS, faults: told }];
    });
  }

  /** With all that runs at that time. */
  async #tellHang(problem: string): Promise<void> {
    this.#wrong(problem);
    const lines = await this.#parties?.observer.ask("state").catch(String);
    for (const line of [lines].flat()) this.#say(`  ${String(line)}`);
  }

  #wrong(problem: string): void {
    this.#problems.push(problem);
    this.#say(`WRONG at ${((machineMs() - this.#startMs) / 1_000).toFixed(1)} s: ${problem}`);
  }

  async #until(atMs: number): Promise<void> {
    const pauseMs = Math.max(0, atMs - machineMs());
    await setTimeout(pauseMs, undefined, { signal: this.#signal });
  }

  #report(gauges: Gauges, { histories, kept }: Lines, explained: readonly ExplainedCall[]): Report {
    const { failed } = this.#ledger;
    const { jobs, items, overtaken } = this.#ledger.tally();
    const counts = kept.map((line) => line.counts);
    const sum = (part: keyof KeptCounts): number => counts.reduce((total, each) => total + each[part], 0);
    const runs = runsIn(this.#directory.in("runs"));
    return {
      options: this.#options,
      seconds: (machineMs() - this.#startMs) / 1_000,
      faults: countBy(this.#faults, ({ kind }) => kind),
      skipped: this.#skipped,
      done: this.#ledger.done(),
      histories: { ...histories.counts },
      work: { jobs: jobs + sum("jobs"), items: items + sum("items"), overtaken },
      kept: {
        ...{ jobs: sum("jobs"), items: sum("items"), submissions: sum("submissions") },
        ...{ killedSubmitters: sum("killedSubmitters"), listeners: sum("listeners") },
      },
      runs: { noted: runs.runs, items: runs.items, again: runs.runs - runs.items },
      attemptsLost: this.#lost.before + this.#lost.now,
      errors: countBy(failed, ({ name, lane }) => `${name} of ${lane}`),
      explained,
      growth: gauges.growths(),
      samples: gauges.series(this.#startMs),
      problems: this.#problems,
    };
  }
}

interface Lines {
  readonly histories: Histories;
  readonly kept: readonly KeptJobs[];
}

function countBy<T>(all: readonly T[], of: (each: T) => string): Record<string, number> {
  const groups = Map.groupBy(all, of);
  return Object.fromEntries([...groups].map(([name, { length }]) => [name, length]));
}
