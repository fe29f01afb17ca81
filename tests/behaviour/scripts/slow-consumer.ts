/** Consumes an endless stream slowly, many times as long as any buffer. Prints how much of it, and its own largest memory in MB. */
import { Pool, range } from "heddle";

const SEEN = 60_000;
await using pool = new Pool();
let seen = 0;
for await (const text of pool.imap((n: number) => String(n).repeat(50), range(100_000_000))) {
  if (!text.startsWith(String(seen))) throw new Error(`result ${seen} is ${text.slice(0, 20)}`);
  if (++seen % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  if (seen === SEEN) break;
}
console.log(`${seen} ${Math.round(process.resourceUsage().maxRSS / 1024)}`);
