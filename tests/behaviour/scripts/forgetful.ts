/** Uses a pool and forgets to close it: the script must end by itself when its work is done. */
import { Pool, range } from "heddle";
import { square } from "../../harness/real-functions.ts";

const pool = new Pool();
console.log((await pool.map(square, range(5))).join(","));
