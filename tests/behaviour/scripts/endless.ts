/** Starts work that never ends, says so, and waits for it. */
import { Pool, range } from "heddle";
import { never, square } from "../../harness/real-functions.ts";

const pool = new Pool();
await pool.map(square, range(4), { chunkSize: 1 });
const endless = pool.map(never, range(8), { chunkSize: 1 });
console.log("started");
await endless;
