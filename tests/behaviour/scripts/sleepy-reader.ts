/**
 * Reads results of 1 MiB in order, and stands still in the midst of them. Arguments: "pause", to wait for a timer, or "block", to hold up its event loop; for how many milliseconds; and how many results there are.
 * Prints "asleep" and "awake", and in the end how many results were right and its own largest memory in MB.
 */
import { Pool, range } from "heddle";

const [how, ms, count] = process.argv.slice(2);
const sleepMs = Number(ms);
const results = Number(count);
await using pool = new Pool();
let seen = 0;
for await (const bytes of pool.imap((n: number) => new Uint8Array(1024 * 1024).fill(n), range(results))) {
  if (bytes.length !== 1024 * 1024 || bytes[0] !== seen % 256 || bytes.at(-1) !== seen % 256)
    throw new Error(`result ${seen} is ${bytes.length} bytes of ${bytes[0]}`);
  if (++seen !== results / 2) continue;
  process.stdout.write("asleep\n");
  if (how === "pause") await new Promise((resolve) => setTimeout(resolve, sleepMs));
  else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, sleepMs);
  process.stdout.write("awake\n");
}
console.log(`${seen} ${Math.round(process.resourceUsage().maxRSS / 1024)}`);
