/** What the benchmarks run: the same functions as in peers/multiprocessing_peer.py. */

export const noop = (x: number): number => x;

export const cube = (x: number): number => x ** 3;

export function isPrime(n: number): boolean {
  if (n < 2) return false;
  for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) return false;
  return true;
}
