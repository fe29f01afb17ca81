/** What a run gave, and how long it took. */
export interface Measured<T> {
  readonly value: T;
  readonly seconds: number;
}

export async function measure<T>(run: () => T | Promise<T>): Promise<Measured<T>> {
  const start = performance.now();
  const value = await run();
  return { value, seconds: (performance.now() - start) / 1_000 };
}

/** Throws when the condition does not hold. */
export function check(condition: boolean, what: string): void {
  if (!condition) throw new Error(`the demo got a wrong result: ${what}`);
}

/** By trial division. */
export function isPrime(n: number): boolean {
  if (n < 2) return false;
  for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) return false;
  return true;
}
