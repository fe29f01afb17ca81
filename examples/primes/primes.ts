import { Pool, range } from "heddle";

/** By trial division. */
function isPrime(n: number): boolean {
  if (n < 2) return false;
  for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) return false;
  return true;
}

await using pool = new Pool();
const flags = await pool.map(isPrime, range(1_000_000));
console.log(`${flags.filter(Boolean).length} primes below a million, found by ${await pool.capacity()} workers`);
