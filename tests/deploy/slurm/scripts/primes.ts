// Counts the primes below a million in 200 blocks: primes.ts [PAUSE_MS [JOB_ID RUNS_FILE]]. Says how many, and which nodes computed them.
import { appendFileSync } from "node:fs";
import { Pool, range, task } from "heddle";

const BLOCK = 5_000;
const [pauseMs = "0", jobId, runsFile] = process.argv.slice(2);
const pause = Number(pauseMs);

function isPrime(n: number): boolean {
  if (n < 2) return false;
  for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) return false;
  return true;
}

/** Of one block; takes at least the pause, and notes in the file that it has run. */
async function countPrimes(block: number): Promise<{ readonly count: number; readonly node: string }> {
  await new Promise((resolve) => setTimeout(resolve, pause));
  let count = 0;
  for (let n = block * BLOCK; n < (block + 1) * BLOCK; n++) if (isPrime(n)) count++;
  if (runsFile !== undefined) appendFileSync(runsFile, `${block}\n`);
  return { count, node: task().node };
}

await using pool = new Pool();
console.log("primes.ts begins");
const kept = jobId === undefined ? {} : { jobId, detach: true };
const blocks = await pool.map(countPrimes, range(1_000_000 / BLOCK), { chunkSize: 1, ...kept });
const nodes = new Set(blocks.map(({ node }) => node.replace(/-.*/, "")));
console.log(`${blocks.reduce((sum, { count }) => sum + count, 0)} primes by ${[...nodes].sort().join(" ")}`);
