import { createServer } from "node:net";
import { Readable } from "node:stream";
import type { Fabric } from "heddle";
import type { ShapeFunction } from "./function-shapes.ts";

/** A function that cannot travel, and what the CaptureError says of it. */
export interface RefusedFunction {
  readonly name: string;
  readonly make: (fabric: Fabric) => ShapeFunction;
  /** `variable` of the error. */
  readonly variable: string;
  /** `path` of the error: inside the variable. */
  readonly path?: string;
  /** No file can be told: it has no text of its own. */
  readonly isNowhere?: true;
  /** What its message must tell. */
  readonly words: RegExp;
}

class Loom {
  readonly width = 3;

  weave(n: number): number {
    return n * this.width;
  }

  weaver(): ShapeFunction {
    return (n: number) => n * this.width;
  }
}

// biome-ignore lint/complexity/noStaticOnlyClass: this is the shape
class Secret {
  static #key = 7;

  static reveal(n: number): number {
    return n + Secret.#key;
  }
}

const loom = new Loom();
const server = createServer();
const stream = Readable.from([]);
const memory = new WeakMap<object, number>();
const members = new WeakSet<object>();
const weak = new WeakRef(loom);
const promised = Promise.resolve(1);
const sign = Symbol("sign");
const rows = [{ id: 1 }, { id: 2, open: { server } }];
const byName = new Map<string, unknown>([["loom", loom]]);
const generator = (function* () {
  yield 1;
})();
const cells = new SharedArrayBuffer(8);
const controller = new AbortController();
const detached = new ArrayBuffer(8);
structuredClone(detached, { transfer: [detached] });

function bound(this: Loom, n: number): number {
  return n * this.width;
}

/** Everything that a program may close over and no machine can send. */
export const refusedFunctions: readonly RefusedFunction[] = [
  {
    name: "an instance of a class with methods",
    make: () => (n: number) => loom.weave(n),
    variable: "loom",
    words: /Loom.*methods/s,
  },
  {
    name: "such an instance inside a Map",
    make: () => () => byName.size,
    variable: "byName",
    path: '.get("loom")',
    words: /Loom/,
  },
  {
    name: "a socket or server inside an object",
    make: () => () => rows.length,
    variable: "rows",
    path: "[1].open.server",
    words: /Server/,
  },
  { name: "a stream", make: () => () => stream.readable, variable: "stream", words: /Readable/ },
  { name: "a WeakMap", make: () => (o: object) => memory.get(o), variable: "memory", words: /WeakMap/ },
  { name: "a WeakSet", make: () => (o: object) => members.has(o), variable: "members", words: /WeakSet/ },
  { name: "a WeakRef", make: () => () => weak.deref()?.width, variable: "weak", words: /WeakRef/ },
  { name: "a promise", make: () => () => promised, variable: "promised", words: /Promise: await it first/ },
  { name: "a symbol of its own", make: () => () => String(sign), variable: "sign", words: /symbol/ },
  { name: "a generator that runs", make: () => () => generator.next(), variable: "generator", words: /Generator/ },
  { name: "shared memory", make: () => () => cells.byteLength, variable: "cells", words: /SharedArrayBuffer/ },
  { name: "a detached buffer", make: () => () => detached.byteLength, variable: "detached", words: /detached/ },
  {
    name: "an AbortController",
    make: () => () => controller.signal.aborted,
    variable: "controller",
    words: /AbortController/,
  },
  {
    name: "a pool",
    make: (fabric) => {
      const pool = fabric.pool();
      return (n: number) => pool.apply(Math.abs, [n]);
    },
    variable: "pool",
    words: /new Pool\(\)/,
  },
  { name: "this of a method around it", make: () => loom.weaver(), variable: "this", words: /this/ },
  { name: "a method that uses this", make: () => loom.weave, variable: "this", words: /=> .*weave\(/ },
  { name: "a method that uses a private name", make: () => Secret.reveal, variable: "reveal", words: /#key/ },
  { name: "a bound function", make: () => bound.bind(loom), variable: "bound bound", isNowhere: true, words: /bound/ },
  {
    name: "arguments of a function around it",
    make() {
      // biome-ignore lint/complexity/noArguments: this is the shape
      return (n: number) => n + arguments.length;
    },
    variable: "arguments",
    words: /arguments/,
  },
  {
    name: "a class instead of a function",
    make: () => Loom as unknown as ShapeFunction,
    variable: "Loom",
    words: /class/,
  },
  {
    name: "eval by its name",
    make: () => {
      const by = loom.width;
      // biome-ignore lint/security/noGlobalEval: this is the shape
      return (n: number) => n * by + eval("by");
    },
    variable: "eval",
    words: /\(0, eval\)/,
  },
];
