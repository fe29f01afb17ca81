/** Reads 200 slow results in order: says when it is under way, and at its end how many there were. */
import { setTimeout as sleep } from "node:timers/promises";
import { Pool, range } from "heddle";

async function slow(n: number): Promise<number> {
  await sleep(20);
  return n;
}

await using pool = new Pool();
let next = 0;
for await (const n of pool.imap(slow, range(200))) {
  if (n !== next++) throw new Error(`${n} came in the place of ${next - 1}`);
  if (n === 20) console.log("under way");
}
console.log(`all ${next}`);
