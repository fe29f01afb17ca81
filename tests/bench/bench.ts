/**
 * `npm run bench`: Heddle beside Python's multiprocessing, the pools of Node and plain loops, in one run on this machine; docs/performance.md
 * says how to read it. Prints the medians, the targets and how everybody was called, and writes dist/bench.json. Ends with 1 when something failed
 * to be measured; a target that is missed is no failure.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, constants, cpus } from "node:os";
import { join } from "node:path";
import { type ContenderId, DASK_SHARE, type Entry, entries } from "./contenders.ts";
import { disturbanceLines } from "./disturbance.ts";
import { type FiguresByContender, medians } from "./figures.ts";
import { howLines } from "./how-lines.ts";
import { type BenchOptions, OptionsError, parseOptions, usage } from "./options.ts";
import { pythonWith } from "./pythons.ts";
import { type Rounds, runRounds } from "./rounds.ts";
import { planOf, rowTitles, schedulerSizesOf, sizesOf, WARM_UP_SHARE, WARM_UPS } from "./rows.ts";
import { memoryDiskLines, programInPath, versionOf } from "./server-process.ts";
import { figuresTable, targetsTable } from "./table.ts";
import { targetsOf, verdictOf } from "./targets.ts";

const say = (...lines: readonly string[]): void => console.log(lines.join("\n"));
const tell = (line: string): boolean => process.stderr.write(`${line}\n`);

/** Who takes part, with which interpreter, and why somebody does not. */
interface Field {
  readonly entries: readonly Entry[];
  readonly pythons: ReadonlyMap<ContenderId, string>;
  readonly versions: string;
  readonly skipped: readonly string[];
}

function fieldOf({ rows, all }: BenchOptions): Field {
  const wanted = entries.filter((entry) => (all || !entry.isExtra) && entry.rows.some((row) => rows.includes(row)));
  const python = pythonWith("multiprocessing");
  const dask = all ? pythonWith("distributed") : undefined;
  const skipped = [
    ...(python === undefined ? ["Python: skipped, there is no python3 here: apt-get install python3"] : []),
    ...(all && dask === undefined
      ? ["Dask: skipped, it is not installed here: apt-get install python3-distributed, or pip install distributed"]
      : []),
  ];
  const pythons = new Map<ContenderId, string>();
  if (python !== undefined) for (const id of ["python", "python-manager"] as const) pythons.set(id, python.python);
  if (dask !== undefined) pythons.set("dask", dask.python);
  const servers = serversFor(wanted);
  const isThere = ({ id }: Entry): boolean =>
    (!pythonContenders.has(id) || pythons.has(id)) && !servers.missing.has(id);
  const versions = [
    `Node ${process.versions.node}`,
    ...(python === undefined ? [] : [`Python ${python.versions}`]),
    ...(dask === undefined ? [] : [`Dask (Python and distributed) ${dask.versions}`]),
    ...["piscina", "poolifier", ...(all ? ["tinypool", "workerpool"] : [])].map(packageVersion),
    ...servers.versions,
  ].join(", ");
  return { entries: wanted.filter(isThere), pythons, versions, skipped: [...skipped, ...servers.skipped] };
}

const pythonContenders: ReadonlySet<ContenderId> = new Set(["python", "python-manager", "dask"]);

/** Servers that contenders need and this machine may not have. */
const neededServers = [
  { program: "redis-server", for: ["redis", "redis-benchmark"], install: "redis-server", client: "@redis/client" },
  { program: "etcd", for: ["etcd"], install: "etcd-server", client: "etcd3" },
] as const satisfies readonly { program: string; for: readonly ContenderId[]; install: string; client: string }[];

/** Which of the contenders cannot take part, what to say of it, and the versions of what those that can need. */
function serversFor(wanted: readonly Entry[]) {
  const isWanted = (id: ContenderId): boolean => wanted.some((entry) => entry.id === id);
  const needed = neededServers.filter((server) => server.for.some(isWanted));
  const absent = needed.filter(({ program }) => programInPath(program) === undefined);
  return {
    missing: new Set<ContenderId>(absent.flatMap((server) => server.for)),
    skipped: absent.map(
      ({ program, install }) => `${program}: skipped, it is not installed here: apt-get install ${install}`,
    ),
    versions: needed
      .filter((server) => !absent.includes(server))
      .map(({ program, client }) => `${versionOf(program)} with ${packageVersion(client)}`),
  };
}

/** As the root's package.json pins it. */
function packageVersion(name: string): string {
  const { devDependencies } = createRequire(import.meta.url)("../../package.json") as {
    devDependencies: Record<string, string>;
  };
  return `${name} ${devDependencies[name] ?? "?"}`;
}

function print(options: BenchOptions, field: Field, rounds: Rounds, figures: FiguresByContender): void {
  const sizes = sizesOf(options.quick);
  const { nodes, chunks } = schedulerSizesOf(options.quick);
  const whole = (count: number): string => count.toLocaleString("en-US");
  const counts = {
    a: `${whole(sizes.noops)} items`,
    b: `${whole(sizes.apply)} calls`,
    c: whole(sizes.cubes),
    d: whole(sizes.samples),
    e: whole(sizes.primes),
    f: `${whole(nodes)} nodes, ${whole(chunks)} chunks`,
    g: whole(sizes.objects),
    h: `${whole(sizes.appends)} items`,
    i: `${whole(sizes.sets)} calls`,
    j: `${whole(sizes.manySets)} calls`,
    k: `${whole(sizes.gets)} calls`,
    l: `${whole(sizes.lockPairs)} pairs; ${whole(sizes.manyLockPairs)} pairs`,
    m: whole(sizes.collectedPrimes),
    n: `${whole(sizes.securedNoops)} items; ${whole(sizes.securedApply)} calls`,
  };
  const cpu = `${availableParallelism()} x ${cpus()[0]?.model ?? "unknown processor"}`;
  say(
    `${field.versions}; ${cpu}. Medians of ${options.runs}, two workers each.`,
    `Each contender in a process of its own; before each timed run ${WARM_UPS} runs of ${WARM_UP_SHARE * 100} % of it.`,
    ...(options.quick ? ["--quick: a twentieth of everything. These figures say only that the benchmark works."] : []),
    ...disturbanceLines(rounds.busyShares),
    ...memoryDiskLines(),
    "",
    ...options.rows.map((row) => `${row}  ${rowTitles[row]}: ${counts[row]}`),
    "",
    ...figuresTable(field.entries, figures),
    "",
    ...targetsTable(targetsOf(figures, options.rows)),
    "",
    "How each was called:",
    ...howLines(field.entries, rounds.hows),
    ...(figures.has("dask") ? [`Dask made ${DASK_SHARE * 100} % of the calls of rows a and b.`] : []),
    ...field.skipped,
    ...rounds.failures.map((line) => `FAILED ${line}`),
  );
}

function write(options: BenchOptions, field: Field, rounds: Rounds, figures: FiguresByContender): void {
  const out = join(import.meta.dirname, "../../dist");
  const targets = targetsOf(figures, options.rows).map((target) => ({ ...target, ...verdictOf(target) }));
  const json = {
    options,
    versions: field.versions,
    sizes: sizesOf(options.quick),
    schedulerSizes: schedulerSizesOf(options.quick),
    medians: Object.fromEntries(figures),
    runs: Object.fromEntries(rounds.figures),
    hows: Object.fromEntries(rounds.hows),
    targets,
    skipped: field.skipped,
    busyShares: rounds.busyShares,
    failures: rounds.failures,
  };
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, "bench.json"), `${JSON.stringify(json, null, 2)}\n`);
}

/** Why the benchmark ends before its time. */
class Stopped extends Error {
  readonly exitCode: number;

  constructor(name: "SIGINT" | "SIGTERM" | "SIGHUP") {
    super(`stopped by ${name}`);
    this.exitCode = 128 + constants.signals[name];
  }
}

/** Aborts when somebody wants this program to end: children have process groups of their own and would live on. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(name, () => stop.abort(new Stopped(name)));
  return stop.signal;
}

async function main(options: BenchOptions): Promise<void> {
  const field = fieldOf(options);
  const rounds = await runRounds(field.entries, {
    runs: options.runs,
    plan: planOf(options.rows, sizesOf(options.quick)),
    schedulerSizes: schedulerSizesOf(options.quick),
    pythons: field.pythons,
    signal: stopSignal(),
    onStart: ({ label }, round) => tell(`round ${round} of ${options.runs}: ${label} ...`),
  });
  const figures = new Map([...rounds.figures].map(([id, runs]) => [id, medians(runs)]));
  print(options, field, rounds, figures);
  write(options, field, rounds, figures);
  if (rounds.failures.length > 0) process.exitCode = 1;
}

try {
  await main(parseOptions(process.argv.slice(2)));
} catch (error) {
  if (error instanceof Stopped) {
    tell(error.message);
    process.exitCode = error.exitCode;
  } else if (error instanceof OptionsError) {
    tell(`${error.message}\n${usage}`);
    process.exitCode = 2;
  } else throw error;
}
