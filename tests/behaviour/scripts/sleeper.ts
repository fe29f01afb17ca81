/** Maps 300 slow items and prints `all right` at the end. Says its process id first, and then when it is under way: a test stops its clock meanwhile. */
import { setTimeout as sleep } from "node:timers/promises";
import { connect, range } from "heddle";

async function slowly(n: number): Promise<number> {
  await sleep(20);
  return n;
}

await using fabric = await connect();
await using pool = fabric.pool();
console.log(`pid ${process.pid}`);
const map = pool.mapAsync(slowly, range(300), { chunkSize: 5 });
while (map.progress.done < 30) await sleep(5);
console.log("under way");
const results = await map.get();
console.log(results.every((n, index) => n === index) && results.length === 300 ? "all right" : results.join());
