/**
 * `npm run demo`: a manager, a coordinator and two node agents as real processes on loopback, and the programs that every course on
 * multiprocessing starts with: pools, beside each a plain loop on one thread, then processes and what they share. With `-- --tls` all
 * of it over mutual TLS, as between machines.
 */
import { connect, range } from "heddle";
import { startFabric } from "./fabric.ts";
import { check, isPrime, type Measured, measure } from "./measure.ts";
import { appendRandomNumbers, collectPrimes, killTeller, shareAndKeep, talk } from "./shared-state.ts";

const CUBES = 10_000_000;
const SAMPLES = 10_000_000;
const PRIMES_BELOW = 1_000_000;
const BUSY_MS = 500;
const STREAMED = 200_000;

/** Keeps a core busy for `ms` milliseconds and gives them back. */
function busy(ms: number): number {
  const until = performance.now() + ms;
  while (performance.now() < until);
  return ms;
}

/** x^2 of a random x in [0, 1) that depends on the sample's index alone: the same on any number of machines. */
function squareOfRandom(index: number): number {
  const state = Math.imul(index + 1, 0x9e3779b9); // mulberry32
  let mixed = Math.imul(state ^ (state >>> 15), state | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  const x = ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  return x * x;
}

const sum = (a: number, b: number): number => a + b;

function report(what: string, items: number, plain: Measured<unknown>, pool: Measured<unknown>): void {
  const perSecond = Math.round(items / pool.seconds).toLocaleString("en-US");
  const speedUp = (plain.seconds / pool.seconds).toFixed(2);
  console.log(
    `  ${what}\n    plain loop ${plain.seconds.toFixed(3)} s   pool ${pool.seconds.toFixed(3)} s   ` +
      `speed-up ${speedUp}x   ${perSecond} items/s`,
  );
}

/** The plain loop a reader would write. */
function loop<R>(count: number, run: (index: number) => R): R[] {
  const results = new Array<R>(count);
  for (let index = 0; index < count; index++) results[index] = run(index);
  return results;
}

const isTls = process.argv.includes("--tls");
console.log(`Starting a coordinator and two node agents${isTls ? ", with certificates for all" : ""} ...`);
await using running = await startFabric({ nodes: 2, tls: isTls, echo: (line) => console.log(`  | ${line}`) });
const { address, tls } = running;
await using fabric = await connect(address, tls === undefined ? {} : { tls });
await using pool = fabric.pool();
for (const node of await waitForNodes(2))
  console.log(`  node ${node.name}: ${node.slots} slot(s), agent pid ${node.pid}`);

const warm = await measure(() =>
  Promise.all([(n: number) => n, squareOfRandom, isPrime].map((fn) => pool.map<number, unknown>(fn, range(8)))),
);
console.log(`  functions captured, shipped and loaded by every worker in ${Math.round(warm.seconds * 1_000)} ms`);

console.log("\n1. apply and applyAsync");
const blocking = await measure(() => pool.apply(busy, [BUSY_MS]));
console.log(`  apply blocks: ${blocking.value} ms of work took ${Math.round(blocking.seconds * 1_000)} ms`);
const pending = pool.applyAsync(busy, [BUSY_MS]);
let polls = 0;
while (!pending.ready()) {
  polls++;
  await new Promise((resolve) => setTimeout(resolve, 50));
}
console.log(`  applyAsync: polled ready() ${polls} times meanwhile, then get() gave ${await pending.get()}`);

console.log(`\n2. cubes of range(${CUBES.toLocaleString("en-US")})`);
const cubesPlain = await measure(() => loop(CUBES, (x) => x ** 3));
const cubes = await measure(() => pool.map((x) => x ** 3, range(CUBES)));
check(cubes.value.length === CUBES && cubes.value.every((value, index) => value === cubesPlain.value[index]), "cubes");
report(
  "all equal, in order (a cube costs less than sending it: functions that compute more gain more)",
  CUBES,
  cubesPlain,
  cubes,
);

console.log(`\n3. Monte Carlo integral of x^2 over [0, 1), ${SAMPLES.toLocaleString("en-US")} samples`);
const plainSum = (): number => {
  let total = 0;
  for (let index = 0; index < SAMPLES; index++) total += squareOfRandom(index);
  return total;
};
const integralPlain = await measure(plainSum);
const integral = await measure(() => pool.mapReduce(squareOfRandom, sum, range(SAMPLES)));
const cutOtherwise = await pool.mapReduce(squareOfRandom, sum, range(SAMPLES), { chunkSize: 70_001 });
check(Math.abs(integral.value / integralPlain.value - 1) < 1e-9 && integral.value === cutOtherwise, "integral");
report(
  `${(integral.value / SAMPLES).toFixed(6)} (exact: 0.333333), folded in the workers: the same to the last bit however it is cut`,
  SAMPLES,
  integralPlain,
  integral,
);

console.log(`\n4. primes below ${PRIMES_BELOW.toLocaleString("en-US")}`);
const count = (flags: readonly boolean[]): number => flags.reduce((sum, flag) => sum + Number(flag), 0);
const primesPlain = await measure(() => count(loop(PRIMES_BELOW, isPrime)));
const primes = await measure(async () => count(await pool.map(isPrime, range(PRIMES_BELOW))));
check(primes.value === primesPlain.value && primes.value === 78_498, "primes");
report(`${primes.value.toLocaleString("en-US")} primes`, PRIMES_BELOW, primesPlain, primes);
console.log(`\n5. a stream of ${STREAMED.toLocaleString("en-US")} results, one item a chunk, from a generator`);
function* numbers(): Generator<number> {
  for (let n = 0; n < STREAMED; n++) yield n;
}
let last = -1;
const stream = await measure(async () => {
  for await (const n of pool.imap((n) => n, numbers())) {
    check(n === last + 1, "stream");
    last = n;
  }
});
check(last === STREAMED - 1, "stream");
console.log(`  in order, ${Math.round(STREAMED / stream.seconds).toLocaleString("en-US")} items/s`);

await using manager = fabric.manager();
const shared = { fabric, pool, manager };
for (const [at, program] of [appendRandomNumbers, talk, shareAndKeep, collectPrimes, killTeller].entries())
  await program(shared, at + 6);
console.log("\nStopping everything ...");

async function waitForNodes(wanted: number) {
  for (;;) {
    const nodes = await fabric.nodes();
    if (nodes.length >= wanted) return nodes;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
