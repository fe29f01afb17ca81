/**
 * A job that outlives its program. Run it, interrupt it (Ctrl-C, or kill -9), run it again: the job goes on meanwhile, runs once, and the run that waits to the end prints its result.
 *
 *     npx heddle up                                              # in another terminal
 *     npx heddle run examples/detached/detached.ts               # submits, or finds the job there, and waits
 *     npx heddle run examples/detached/detached.ts --submit      # submits, and ends at once
 */
import { connect, range } from "heddle";

/** The longest walk to 1 from the numbers of a block, by halving even ones and tripling odd ones and adding one. */
function longestWalk(block: number): number {
  let longest = 0;
  for (let start = block * 10_000 + 1; start <= (block + 1) * 10_000; start++) {
    let steps = 0;
    for (let n = start; n !== 1; steps++) n = n % 2 === 0 ? n / 2 : 3 * n + 1;
    longest = Math.max(longest, steps);
  }
  return longest;
}

const fabric = await connect();
const result = fabric.pool().mapAsync(longestWalk, range(100), { detach: true, jobId: "walks-1e6", chunkSize: 1 });
await result.accepted();
console.log(`job ${result.jobId} is on the coordinator's disk`);
if (!process.argv.includes("--submit"))
  console.log(`the longest walk below a million takes ${Math.max(...(await result))} steps`);
