/** What every contender runs, item by item. peers/tasks.py says the same in Python. */

export const noop = (x: number): number => x;

export const cube = (x: number): number => x ** 3;

/** One sample of the integral of x^2 from 0 to 1. */
export const sample = (): number => Math.random() ** 2;

export const add = (a: number, b: number): number => a + b;

export function isPrime(n: number): boolean {
  if (n < 2) return false;
  for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) return false;
  return true;
}

/** A small object as rows of tables are. */
export interface Sale {
  readonly id: number;
  readonly name: string;
  readonly price: number;
}

export interface Taxed {
  readonly id: number;
  readonly name: string;
  readonly total: number;
}

export const taxed = ({ id, name, price }: Sale): Taxed => ({ id, name, total: price * 2 });

export const sales = (count: number): Sale[] =>
  Array.from({ length: count }, (_, id) => ({ id, name: `sale ${id % 100}`, price: id / 4 }));
