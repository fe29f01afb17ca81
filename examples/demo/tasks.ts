/** The functions that the demo ships to worker processes: plain exports of a plain module. */

/** Keeps a core busy for `ms` milliseconds and gives them back. */
export function busy(ms: number): number {
  const until = performance.now() + ms;
  while (performance.now() < until);
  return ms;
}

export const cube = (x: number): number => x ** 3;

/** Samples of one Monte Carlo chunk. */
export const SAMPLES_PER_CHUNK = 100_000;

/** Mean of x^2 over random x in [0, 1), with random numbers of its own for each chunk: the same on any number of machines. */
export function meanOfSquares(chunk: number): number {
  let state = (chunk + 1) * 0x9e3779b9;
  let sum = 0;
  for (let sample = 0; sample < SAMPLES_PER_CHUNK; sample++) {
    state = (state + 0x6d2b79f5) | 0; // mulberry32
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    const x = ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
    sum += x * x;
  }
  return sum / SAMPLES_PER_CHUNK;
}

/** By trial division. */
export function isPrime(n: number): boolean {
  if (n < 2) return false;
  for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) return false;
  return true;
}
