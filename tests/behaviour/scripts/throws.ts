/** Dies of an error while a pool works. */
import { Pool, range } from "heddle";
import { never, square } from "../../harness/real-functions.ts";

const pool = new Pool();
await pool.map(square, range(4), { chunkSize: 1 });
pool.mapAsync(never, range(8), { chunkSize: 1 });
throw new Error("the script's own");
