/** What the function shapes import: a module of the project. */

/** Called through an import. */
export function twice(n: number): number {
  return 2 * n;
}

/** Not exported: what an exported function needs of its own module comes with it. */
const offset = 100;

export const shifted = (n: number): number => n + offset;

export class Counter {
  #count = 0;

  add(n: number): this {
    this.#count += n;
    return this;
  }

  get count(): number {
    return this.#count;
  }
}

export function countOf(...numbers: number[]): number {
  return numbers.reduce((counter, n) => counter.add(n), new Counter()).count;
}

function thrice(n: number): number {
  return 3 * n;
}

// biome-ignore lint/style/noDefaultExport: one of the shapes imports a default
export { thrice as default };
