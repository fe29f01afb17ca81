/** Leaves large results unread until nothing moves any more: prints how large one is, how many inputs were read by then, and the memory of that moment in MB. */
import { Pool } from "heddle";

let read = 0;
function* inputs(): Generator<number> {
  for (;;) yield read++;
}

await using pool = new Pool();
const results = pool.imap((n: number) => new Uint8Array(4 * 1024 * 1024).fill(n), inputs(), { bufferSize: 1_000 });
const first = await results.next();
let before = -1;
while (before !== read) {
  before = read; // until nothing moves any more
  await new Promise((resolve) => setTimeout(resolve, 500));
}
const rssMb = Math.round(process.memoryUsage.rss() / 1024 / 1024);
let seen = 1;
for await (const bytes of results) {
  if (bytes[0] !== seen % 256) throw new Error(`result ${seen} is ${bytes[0]}`);
  if (++seen === 60) break;
}
console.log(`${first.value?.length} ${before} ${rssMb}`);
