/**
 * `npm run bench`: Heddle beside Python's multiprocessing and plain loops, all in one run on this machine. Medians of `--runs` (3) runs.
 * Prints a table and writes dist/bench.json. Figures are worth comparing within one run only.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { connect, Pool, range } from "heddle";
import { ProcessCluster } from "../harness/process-cluster.ts";
import { cube, isPrime, noop } from "./tasks.ts";

const { values: options } = parseArgs({
  options: { runs: { type: "string", default: "3" }, quick: { type: "boolean", default: false } },
});
const runs = Number(options.runs);
const scale = options.quick ? 0.05 : 1;
const sizes = {
  noops: Math.round(100_000 * scale),
  applies: Math.round(2_000 * scale),
  cubes: Math.round(10_000_000 * scale),
  primes: Math.round(1_000_000 * scale),
};
/** Servers and workers live for long: what is measured is not how fast their code is compiled. */
const WARM_UPS = 3;
const WARM_UP_ITEMS = 50_000;
type Seconds = Record<"noop" | "apply" | "cubes" | "primes", number>;

async function timed(run: () => unknown): Promise<number> {
  const start = performance.now();
  await run();
  return (performance.now() - start) / 1_000;
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

async function ours(pool: Pool): Promise<Seconds> {
  for (const fn of [noop, cube, isPrime])
    for (let turn = 0; turn < WARM_UPS; turn++) await pool.map<number, unknown>(fn, range(WARM_UP_ITEMS));
  await pool.map(noop, range(WARM_UP_ITEMS), { chunkSize: 1 });
  const trips: number[] = [];
  for (let trip = 0; trip < sizes.applies; trip++) trips.push(await timed(() => pool.apply(noop, [1])));
  return {
    noop: await timed(() => pool.map(noop, range(sizes.noops), { chunkSize: 1 })),
    apply: median(trips),
    cubes: await timed(() => pool.map(cube, range(sizes.cubes))),
    primes: await timed(() => pool.map(isPrime, range(sizes.primes))),
  };
}

async function embedded(): Promise<Seconds> {
  await using pool = new Pool({ processes: 2 });
  return await ours(pool);
}

async function served(): Promise<Seconds> {
  await using cluster = await ProcessCluster.start({ nodes: 1, slots: 2, leaseMs: 15_000 });
  await using fabric = await connect(cluster.address);
  await using pool = fabric.pool();
  return await ours(pool);
}

/** What one thread does without any pool: the plain loop a reader would write. */
async function plain(): Promise<Seconds> {
  const loop = (count: number, run: (index: number) => unknown): unknown[] => {
    const results = new Array<unknown>(count);
    for (let index = 0; index < count; index++) results[index] = run(index);
    return results;
  };
  return {
    noop: await timed(() => loop(sizes.noops, noop)),
    apply: Number.NaN,
    cubes: await timed(() => loop(sizes.cubes, cube)),
    primes: await timed(() => loop(sizes.primes, isPrime)),
  };
}

function python(): Promise<Seconds> {
  const peer = join(import.meta.dirname, "peers/multiprocessing_peer.py");
  return Promise.resolve(
    JSON.parse(execFileSync("python3", [peer, JSON.stringify(sizes)], { encoding: "utf8" })) as Seconds,
  );
}

const contenders = {
  "heddle (gRPC, 2 workers)": served,
  "heddle (embedded, 2)": embedded,
  "Python Pool(2)": python,
  "plain loop": plain,
};
const results = new Map<string, Seconds>();
for (const [name, run] of Object.entries(contenders)) {
  process.stderr.write(`${name} ...\n`);
  const all: Seconds[] = [];
  for (let turn = 0; turn < runs; turn++) all.push(await run());
  const middle = (key: keyof Seconds): number => median(all.map((seconds) => seconds[key]));
  results.set(name, { noop: middle("noop"), apply: middle("apply"), cubes: middle("cubes"), primes: middle("primes") });
}

const rows = [["", "no-op items/s, chunkSize 1", "apply p50", `cubes of ${sizes.cubes}`, `primes < ${sizes.primes}`]];
for (const [name, seconds] of results)
  rows.push([
    name,
    Math.round(sizes.noops / seconds.noop).toLocaleString("en-US"),
    Number.isNaN(seconds.apply) ? "-" : `${Math.round(seconds.apply * 1e6)} us`,
    `${seconds.cubes.toFixed(3)} s`,
    `${seconds.primes.toFixed(3)} s`,
  ]);
const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
for (const row of rows)
  console.log(
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("   ")
      .trimEnd(),
  );

const out = join(import.meta.dirname, "../../dist");
mkdirSync(out, { recursive: true });
writeFileSync(
  join(out, "bench.json"),
  `${JSON.stringify({ runs, sizes, seconds: Object.fromEntries(results) }, null, 2)}\n`,
);
