// Does items that take some seconds each, in a job that outlives its program: items.ts COUNT SECONDS FILE [GO]. Each notes in the file that it begins, and
// that it is done; its seconds begin when there is a file GO.
import { appendFileSync, existsSync } from "node:fs";
import { Pool, range } from "heddle";

const [count = "", seconds = "", file = "", go] = process.argv.slice(2);
const pauseMs = Number(seconds) * 1_000;

async function work(item: number): Promise<void> {
  appendFileSync(file, `begin ${item}\n`);
  while (go !== undefined && !existsSync(go)) await new Promise((resolve) => setTimeout(resolve, 50));
  await new Promise((resolve) => setTimeout(resolve, pauseMs));
  appendFileSync(file, `done ${item}\n`);
}

await using pool = new Pool();
await pool.map(work, range(Number(count)), { chunkSize: 1, jobId: "items", detach: true });
console.log("items.ts has all answers");
