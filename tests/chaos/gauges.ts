import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { machineMs } from "./client-events.ts";
import { ClientRunner } from "./client-runner.ts";
import { GROWTH_AGE_MS, GROWTH_WARM_UP_MS, growthMax, quietMax } from "./limits.ts";
import type { Parties } from "./parties.ts";
import type { RunDirectory } from "./run-directory.ts";
import type { ServerProgram } from "./server-program.ts";
import type { Vitals } from "./vitals.ts";

/** What one process holds at one time. */
export interface Sample {
  readonly atMs: number;
  readonly heapBytes: number;
  readonly rssBytes: number;
  readonly files: number;
  readonly threads: number;
  readonly timers: number;
}

/** How one process has changed: of its first quarter and its last, once it was warm, and by the hour. */
export interface Growth {
  readonly party: string;
  readonly pid: number;
  readonly minutes: number;
  readonly heapMiBPerHour: number;
  readonly rssMiBPerHour: number;
  readonly first: Omit<Sample, "atMs">;
  readonly last: Omit<Sample, "atMs">;
}

/** What one process held all along. */
export interface Series {
  readonly party: string;
  readonly pid: number;
  /** In seconds of the run. */
  readonly samples: readonly ({ readonly atS: number } & Omit<Sample, "atMs">)[];
}

const measures = ["heapBytes", "rssBytes", "files", "threads", "timers"] as const;
/** A process that does not answer within this time is stopped, or busy: no sample of it. */
const ANSWER_MS_MAX = 3_000;
const MIB = 1024 * 1024;

/** Looks at every process that is to run, now and then. */
export class Gauges {
  readonly #parties: Parties;
  readonly #directory: RunDirectory;
  /** By party and process id. */
  readonly #samples = new Map<string, Sample[]>();

  constructor(parties: Parties, directory: RunDirectory) {
    this.#parties = parties;
    this.#directory = directory;
  }

  /** Those of all that answer. */
  async sample(): Promise<void> {
    await Promise.all(
      this.#parties.all.map(async (party) => {
        const sample = await this.look(party);
        if (sample === undefined) return;
        const key = `${party.name} ${party.pid}`;
        this.#samples.set(key, [...(this.#samples.get(key) ?? []), sample]);
      }),
    );
  }

  /** Undefined for one that does not run, or does not answer. */
  async look(party: ServerProgram | ClientRunner): Promise<Sample | undefined> {
    const isThere = party instanceof ClientRunner ? party.isRunning : party.isServing;
    if (!isThere) return undefined;
    const { pid } = party;
    const inner = await (party instanceof ClientRunner ? this.#ask(party) : this.#signal(pid));
    const outer = systemFacts(pid);
    if (inner === undefined || outer === undefined) return undefined;
    return { atMs: machineMs(), heapBytes: inner.heapBytes, timers: inner.resources.Timeout ?? 0, ...outer };
  }

  /** Of each process that has lived for a while. */
  growths(): Growth[] {
    return [...this.#samples].flatMap(([key, all]) => {
      const [party = "", pid] = key.split(" ");
      const startedMs = all[0]?.atMs ?? 0;
      const warm = all.filter(({ atMs }) => atMs - startedMs >= GROWTH_WARM_UP_MS);
      const [first, last] = [middleOf(warm.slice(0, quarter(warm))), middleOf(warm.slice(-quarter(warm)))];
      const minutes = ((warm.at(-1)?.atMs ?? 0) - (warm[0]?.atMs ?? 0)) / 60_000;
      if (warm.length < 4 || first === undefined || last === undefined) return [];
      const [heapMiBPerHour, rssMiBPerHour] = [slope(warm, "heapBytes") / MIB, slope(warm, "rssBytes") / MIB];
      return [{ party, pid: Number(pid), minutes, heapMiBPerHour, rssMiBPerHour, first, last }];
    });
  }

  /** All that was seen of each process, by seconds of a run that began then. */
  series(startMs: number): Series[] {
    return [...this.#samples].map(([key, all]) => {
      const [party = "", pid] = key.split(" ");
      const samples = all.map(({ atMs, ...held }) => ({ atS: Math.round((atMs - startMs) / 100) / 10, ...held }));
      return { party, pid: Number(pid), samples };
    });
  }

  /** What grew too much, in words. */
  complaints(): string[] {
    return this.growths().flatMap(({ party, pid, minutes, first, last }) => {
      if (minutes * 60_000 < GROWTH_AGE_MS) return [];
      const grown = measures.filter((measure) => last[measure] - first[measure] > growthMax[measure]);
      return grown.map(
        (measure) => `${party} (pid ${pid}): ${measure} grew from ${first[measure]} to ${last[measure]}`,
      );
    });
  }

  /** What a server has too much of when everything is over, in words. */
  async leftovers(): Promise<string[]> {
    const all = this.#parties.servers.map(async (server) => {
      const sample = await this.look(server);
      if (sample === undefined) return [`${server.name} does not answer when everything is over`];
      const above = (["files", "threads", "timers"] as const).filter((measure) => sample[measure] > quietMax[measure]);
      return above.map((measure) => `${server.name} has ${sample[measure]} ${measure} when everything is over`);
    });
    return (await Promise.all(all)).flat();
  }

  async #ask(client: ClientRunner): Promise<Vitals | undefined> {
    return (await soon(client.ask("vitals").catch(() => undefined))) as Vitals | undefined;
  }

  async #signal(pid: number): Promise<Vitals | undefined> {
    const file = this.#directory.in("vitals", `${pid}.json`);
    rmSync(file, { force: true });
    process.kill(pid, "SIGUSR2");
    const endMs = machineMs() + ANSWER_MS_MAX;
    while (!existsSync(file)) {
      if (machineMs() > endMs) return undefined;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return JSON.parse(readFileSync(file, "utf8")) as Vitals;
  }
}

/** Undefined when it does not settle soon. */
async function soon<T>(promise: Promise<T>): Promise<T | undefined> {
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), ANSWER_MS_MAX);
  const value = await Promise.race([promise, late.promise]);
  clearTimeout(timer);
  return value;
}

function systemFacts(pid: number): Pick<Sample, "rssBytes" | "files" | "threads"> | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const numberOf = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0);
    const files = readdirSync(`/proc/${pid}/fd`).length;
    return { rssBytes: numberOf("VmRSS") * 1_024, threads: numberOf("Threads"), files };
  } catch {
    return undefined; // it ended meanwhile
  }
}

const quarter = (samples: readonly Sample[]): number => Math.max(1, Math.floor(samples.length / 4));

/** The median of each measure. */
function middleOf(samples: readonly Sample[]): Omit<Sample, "atMs"> | undefined {
  const middle = (measure: (typeof measures)[number]): number =>
    samples.map((sample) => sample[measure]).toSorted((a, b) => a - b)[Math.floor(samples.length / 2)] ?? 0;
  if (samples.length === 0) return undefined;
  const [heapBytes, rssBytes, files, threads, timers] = [
    middle("heapBytes"),
    middle("rssBytes"),
    middle("files"),
    middle("threads"),
    middle("timers"),
  ];
  return { heapBytes, rssBytes, files, threads, timers };
}

/** Of the line through the samples with the least squares, by the hour. */
function slope(samples: readonly Sample[], measure: "heapBytes" | "rssBytes"): number {
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const times = samples.map(({ atMs }) => atMs / 3_600_000);
  const values = samples.map((sample) => sample[measure]);
  const [time, value] = [mean(times), mean(values)];
  const spread = times.reduce((sum, each) => sum + (each - time) ** 2, 0);
  const common = times.reduce((sum, each, at) => sum + (each - time) * ((values[at] ?? 0) - value), 0);
  return spread === 0 ? 0 : common / spread;
}
