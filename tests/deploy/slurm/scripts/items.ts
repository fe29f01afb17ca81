// Does items that take some seconds each, in a job that outlives its program: items.ts COUNT SECONDS FILE. Each notes in the file that it begins, and that it is done.
import { appendFileSync } from "node:fs";
import { Pool, range } from "heddle";

const [count = "", seconds = "", file = ""] = process.argv.slice(2);
const pauseMs = Number(seconds) * 1_000;

async function work(item: number): Promise<void> {
  appendFileSync(file, `begin ${item}\n`);
  await new Promise((resolve) => setTimeout(resolve, pauseMs));
  appendFileSync(file, `done ${item}\n`);
}

await using pool = new Pool();
await pool.map(work, range(Number(count)), { chunkSize: 1, jobId: "items", detach: true });
console.log("items.ts has all answers");
