import { createHash } from "node:crypto";
import * as path from "node:path";
import { basename } from "node:path";
import { parseExpressionAt } from "acorn";
import { range } from "heddle";
import * as helpers from "./helpers.ts";
import thrice, { Counter, countOf, twice as doubled, shifted } from "./helpers.ts";
import legacy from "./legacy.cjs";
import loom from "./loom.json" with { type: "json" };

// biome-ignore lint/suspicious/noExplicitAny: shapes of every signature
export type ShapeFunction = (item: any) => unknown;

/** One way to write a function: what it gives for each input, run here, is what it must give there. */
export interface FunctionShape {
  readonly name: string;
  /** Made anew for each run, as in a program of the user. */
  readonly make: () => ShapeFunction;
  readonly inputs: readonly unknown[];
}

const NUMBERS = [0, 1, 2, 3] as const;

const constant = 40;
let variable = 1;
variable++;
const settings = { scale: 3, deep: { list: [1, { two: 2 }], none: undefined } };
const lookup = new Map<number, { readonly word: string }>([
  [1, { word: "one" }],
  [2, { word: "two" }],
]);
const odd = new Set([1, 3]);
const start = new Date(1_700_000_000_000);
const weights = Float64Array.of(0.5, 0.25, 0.125, 0.0625);
const bytes = new Uint8Array([250, 251, 252, 253]);
const huge = 2n ** 80n;
const pattern = /^(\d)$/u;
const shared = { hits: 0 };
const pair = { left: shared, right: shared };
const ring: { self?: unknown; n: number } = { n: 5 };
ring.self = ring;

function plain(n: number): number {
  return n + constant;
}
const arrow = (n: number): number => plain(n) * 2;
function fibonacci(n: number): number {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}
function isEven(n: number): boolean {
  return n === 0 || isOdd(n - 1);
}
function isOdd(n: number): boolean {
  return n !== 0 && isEven(n - 1);
}

class Shape {
  #name: string;
  static made = 0;
  static #registry = new Map<string, number>();
  readonly sides: number;

  constructor(name: string, sides: number) {
    this.#name = name;
    this.sides = sides;
    Shape.made++;
    Shape.#registry.set(name, sides);
  }

  get name(): string {
    return this.#name;
  }

  area(): number {
    return 0;
  }

  static known(name: string): number | undefined {
    return Shape.#registry.get(name);
  }
}

class Rectangle extends Shape {
  readonly #size: readonly [number, number];

  constructor(width: number, height: number) {
    super("rectangle", 4);
    this.#size = [width, height];
  }

  override area(): number {
    const [width, height] = this.#size;
    return width * height;
  }
}

class Square extends Rectangle {
  static readonly unit = constant;

  constructor(side: number) {
    super(side, side);
  }

  override area(): number {
    return super.area() + Square.unit;
  }
}

// biome-ignore lint/complexity/noStaticOnlyClass: this is the shape
class Tools {
  static triple(n: number): number {
    return n * constant * 3;
  }
}

class TooLarge extends RangeError {
  readonly limit: number;

  constructor(limit: number) {
    super(`more than ${limit}`);
    this.name = "TooLarge";
    this.limit = limit;
  }
}

function makeAdder(n: number): (x: number) => number {
  return (x) => x + n;
}

/** Two closures over one variable that both may change. */
function makeCounter(from: number): { next: () => number; now: () => number } {
  let count = from;
  return { next: () => ++count, now: () => count };
}

function compose<A, B, C>(f: (a: A) => B, g: (b: B) => C): (a: A) => C {
  return (a) => g(f(a));
}

const operations: Readonly<Record<string, (n: number) => number>> = {
  negate: (n) => -n,
  halve(n) {
    return n / 2;
  },
};

const keyed = new Map<string, (n: number) => number>([
  ["add", makeAdder(1)],
  ["double", doubled],
]);

function memoised(n: number): number {
  memoised.calls++;
  return n * memoised.factor;
}
memoised.factor = 6;
memoised.calls = 0;

/** Every way to write a function that people were seen to pass to a pool. */
export const functionShapes: readonly FunctionShape[] = [
  // how it is written
  { name: "an arrow without anything around it", make: () => (n: number) => n * n, inputs: NUMBERS },
  {
    name: "a function expression",
    make() {
      // biome-ignore lint/complexity/useArrowFunction: this is the shape
      return function (n: number) {
        return n + 1;
      };
    },
    inputs: NUMBERS,
  },
  {
    name: "a named function expression that calls itself",
    make: () =>
      function factorial(n: number): number {
        return n <= 1 ? 1 : n * factorial(n - 1);
      },
    inputs: NUMBERS,
  },
  { name: "a declared function that is not exported", make: () => plain, inputs: NUMBERS },
  { name: "an arrow held by a constant that calls another", make: () => arrow, inputs: NUMBERS },
  { name: "an async arrow", make: () => async (n: number) => n + 1, inputs: NUMBERS },
  {
    name: "an async function that awaits",
    make: () =>
      async function later(n: number) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        return n * 2;
      },
    inputs: NUMBERS,
  },
  { name: "a method of an object literal", make: () => operations.halve ?? plain, inputs: NUMBERS },
  { name: "a static method without this", make: () => Tools.triple, inputs: NUMBERS },
  { name: "a function of the language", make: () => parseInt, inputs: ["12px", "7"] },
  { name: "a function of Node.js", make: () => basename, inputs: ["/a/b.ts", "c"] },
  {
    name: "a function that was made by new Function",
    make: () => new Function("n", "return n * 11") as ShapeFunction,
    inputs: NUMBERS,
  },
  // its parameters
  {
    name: "default parameters",
    make:
      () =>
      (n: number, by: number = constant) =>
        n + by,
    inputs: NUMBERS,
  },
  {
    name: "destructured parameters with defaults",
    make:
      () =>
      ({ a, b: [first = 9, ...rest] = [], ...others }: { a: number; b?: number[]; c?: number }) => [
        a,
        first,
        rest,
        others,
      ],
    inputs: [{ a: 1, b: [2, 3, 4], c: 5 }, { a: 6 }],
  },
  {
    name: "rest parameters",
    make:
      () =>
      (...all: number[]) =>
        all.length,
    inputs: NUMBERS,
  },
  {
    name: "a default that uses a captured function",
    make:
      () =>
      (n: number, by = doubled(constant)) =>
        n + by,
    inputs: NUMBERS,
  },
  {
    name: "names inside that hide captured ones",
    make: () => (n: number) => {
      const constant = n;
      const inner = (settings: number) => settings + constant;
      return inner(1);
    },
    inputs: NUMBERS,
  },
  // values it closes over
  { name: "a captured number", make: () => (n: number) => n + constant, inputs: NUMBERS },
  { name: "a captured variable that was changed before", make: () => (n: number) => n + variable, inputs: NUMBERS },
  { name: "a captured object, nested", make: () => (n: number) => ({ n, ...settings }), inputs: NUMBERS },
  { name: "a captured field as a shorthand", make: () => (n: number) => ({ n, constant }), inputs: NUMBERS },
  { name: "a captured Map", make: () => (n: number) => lookup.get(n)?.word, inputs: NUMBERS },
  { name: "a captured Set", make: () => (n: number) => odd.has(n), inputs: NUMBERS },
  { name: "a captured Date", make: () => (n: number) => new Date(start.getTime() + n).toISOString(), inputs: NUMBERS },
  { name: "a captured typed array", make: () => (n: number) => (weights[n] ?? 0) + (bytes[n] ?? 0), inputs: NUMBERS },
  { name: "a captured bigint", make: () => (n: number) => huge + BigInt(n), inputs: NUMBERS },
  { name: "a captured regular expression", make: () => (n: number) => pattern.exec(String(n))?.[1], inputs: NUMBERS },
  {
    name: "a captured symbol of the language",
    make: () => (n: number) => [n][Symbol.iterator]().next(),
    inputs: NUMBERS,
  },
  {
    name: "one object captured by two ways",
    make: () => () => {
      pair.left.hits = 1;
      return [pair.left === pair.right, shared === pair.left];
    },
    inputs: [0],
  },
  { name: "a captured cycle", make: () => (n: number) => [ring.self === ring, ring.n + n], inputs: NUMBERS },
  {
    name: "variables of several functions around it",
    make: () => {
      const outer = 10;
      const middle = (a: number): ShapeFunction => {
        const inner = a + 1;
        return (n: number) => [outer, a, inner, n];
      };
      return middle(20);
    },
    inputs: NUMBERS,
  },
  {
    name: "a variable of a loop",
    make: () => {
      const made: ShapeFunction[] = [];
      for (let at = 0; at < 3; at++) made.push((n: number) => n * 10 + at);
      return made[1] ?? plain;
    },
    inputs: NUMBERS,
  },
  {
    name: "a variable of a catch clause",
    make: () => {
      try {
        throw new RangeError("caught");
      } catch (error) {
        const { message } = error as Error;
        return (n: number) => message + n;
      }
    },
    inputs: NUMBERS,
  },
  // functions and classes it closes over
  { name: "a captured recursive function", make: () => (n: number) => fibonacci(n + 5), inputs: NUMBERS },
  { name: "functions that call each other", make: () => (n: number) => [isEven(n), isOdd(n)], inputs: NUMBERS },
  {
    name: "two closures of one maker over different values",
    make: () => {
      const [ten, twenty] = [makeAdder(10), makeAdder(20)];
      return (n: number) => [ten(n), twenty(n)];
    },
    inputs: NUMBERS,
  },
  {
    name: "closures that share a variable and change it",
    make: () => {
      const { next, now } = makeCounter(4);
      return () => [now(), next(), now()];
    },
    inputs: [0],
  },
  {
    name: "a composition of functions",
    make: () => compose(compose(plain, doubled), String),
    inputs: NUMBERS,
  },
  { name: "functions in a captured object", make: () => (n: number) => operations.negate?.(n), inputs: NUMBERS },
  {
    name: "functions in a captured Map",
    make: () => (n: number) => [...keyed.values()].reduce((value, step) => step(value), n),
    inputs: NUMBERS,
  },
  { name: "a function with fields of its own", make: () => (n: number) => memoised(n), inputs: NUMBERS },
  {
    name: "a generator it consumes",
    make: () => {
      function* upTo(n: number): Generator<number> {
        for (let at = 0; at < n; at++) yield at;
      }
      return (n: number) => [...upTo(n)];
    },
    inputs: NUMBERS,
  },
  {
    name: "an async generator it consumes",
    make: () => {
      async function* upTo(n: number): AsyncGenerator<number> {
        for (let at = 0; at < n; at++) yield at;
      }
      return async (n: number) => {
        const seen: number[] = [];
        for await (const at of upTo(n)) seen.push(at);
        return seen;
      };
    },
    inputs: NUMBERS,
  },
  {
    name: "a class with private fields and inheritance",
    make: () => (n: number) => {
      const square = new Square(n);
      return [square.name, square.sides, square.area(), square instanceof Rectangle, Shape.known("rectangle")];
    },
    inputs: NUMBERS,
  },
  {
    name: "a class of its own error",
    make: () => (n: number) => {
      try {
        if (n > 1) throw new TooLarge(1);
        return n;
      } catch (error) {
        return error instanceof TooLarge && error instanceof RangeError ? error.limit : "other";
      }
    },
    inputs: NUMBERS,
  },
  {
    name: "a class expression",
    make: () => {
      const Point = class {
        readonly x: number;
        readonly y = constant;
        constructor(x: number) {
          this.x = x;
        }
        sum(): number {
          return this.x + this.y;
        }
      };
      return (n: number) => new Point(n).sum();
    },
    inputs: NUMBERS,
  },
  // what it imports
  { name: "an import by another name", make: () => (n: number) => doubled(n), inputs: NUMBERS },
  { name: "an import that needs more of its module", make: () => (n: number) => shifted(n), inputs: NUMBERS },
  { name: "an import that is passed itself", make: () => countOf, inputs: NUMBERS },
  { name: "a default import", make: () => (n: number) => thrice(n), inputs: NUMBERS },
  { name: "an imported class", make: () => (n: number) => new Counter().add(n).add(1).count, inputs: NUMBERS },
  { name: "a namespace", make: () => (n: number) => helpers.twice(n) + helpers.default(n), inputs: NUMBERS },
  { name: "a module of Node.js", make: () => (n: number) => path.posix.join("a", String(n)), inputs: NUMBERS },
  {
    name: "a function of a module of Node.js",
    make: () => (n: number) => createHash("sha256").update(String(n)).digest("hex"),
    inputs: NUMBERS,
  },
  {
    name: "an npm package",
    make: () => (n: number) => parseExpressionAt(`${n} + 1`, 0, { ecmaVersion: 2024 }).type,
    inputs: NUMBERS,
  },
  { name: "a JSON file", make: () => (n: number) => n * loom.factor, inputs: NUMBERS },
  { name: "a CommonJS module", make: () => (n: number) => legacy.join("a", String(n)), inputs: NUMBERS },
  { name: "a function of heddle", make: () => (n: number) => [...range(n)], inputs: NUMBERS },
  {
    name: "a module imported when it runs",
    make: () => async (n: number) => (await import("./helpers.ts")).twice(n),
    inputs: NUMBERS,
  },
  {
    name: "a module of Node.js imported when it runs",
    make: () => async (n: number) => (await import("node:path")).posix.join("b", String(n)),
    inputs: NUMBERS,
  },
];
