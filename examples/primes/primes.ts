import { Pool, range } from "heddle";
import { isPrime } from "./tasks.ts";

await using pool = new Pool();
const flags = await pool.map(isPrime, range(1_000_000));
console.log(`${flags.filter(Boolean).length} primes below a million, found by ${await pool.capacity()} workers`);
