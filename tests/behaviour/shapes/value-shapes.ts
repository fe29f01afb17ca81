/** A kind of value, made anew each time. `arrives` when it comes as something else on purpose. */
export interface ValueShape {
  readonly name: string;
  readonly make: () => unknown;
  readonly arrives?: () => unknown;
}

class Plain {
  readonly x = 1;
  readonly y = [2];
}

function cycle(): unknown {
  const node: { name: string; self?: unknown; list: unknown[] } = { name: "a", list: [] };
  node.self = node;
  node.list.push(node, node.list);
  return node;
}

function shared(): unknown {
  const one = { n: 1 };
  return { left: one, right: one, map: new Map([[one, one]]) };
}

function deep(levels: number): unknown {
  let value: unknown = "bottom";
  for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { value };
  return value;
}

function chain(): Error {
  return new RangeError("outer", { cause: new TypeError("inner", { cause: "root" }) });
}

function failure(): Error {
  return Object.assign(new Error("with fields"), { code: "E_WEFT", at: { row: 3 } });
}

function holes(): unknown[] {
  const list = new Array<unknown>(5);
  list[1] = undefined;
  list[3] = null;
  return list;
}

const same = (name: string, make: () => unknown): ValueShape => ({ name, make });

/** Every kind of value that may be an argument, a result or captured. */
export const valueShapes: readonly ValueShape[] = [
  same("null", () => null),
  same("undefined", () => undefined),
  same("true", () => true),
  same("false", () => false),
  same("zero", () => 0),
  same("minus zero", () => -0),
  same("a small integer", () => 42),
  same("a negative integer", () => -7),
  same("the largest 32 bit integer", () => 2 ** 31 - 1),
  same("an integer of 53 bits", () => Number.MAX_SAFE_INTEGER),
  same("a fraction", () => 0.1 + 0.2),
  same("the smallest number", () => Number.MIN_VALUE),
  same("infinity", () => Number.POSITIVE_INFINITY),
  same("minus infinity", () => Number.NEGATIVE_INFINITY),
  same("not a number", () => Number.NaN),
  same("a small bigint", () => 5n),
  same("a negative bigint", () => -(2n ** 63n)),
  same("a huge bigint", () => 3n ** 400n),
  same("an empty string", () => ""),
  same("a short string", () => "weft"),
  same("a string of all planes", () => "aé€😀\u0000\ufeff"),
  same("lone surrogates", () => "\ud800 and \udc00"),
  same("a long string", () => "warp ".repeat(50_000)),
  same("an empty array", () => []),
  same("an array of numbers", () => [1, 2.5, -3]),
  same("an array of mixed values", () => [1, "two", null, { three: 3 }, [4]]),
  same("an array with holes", holes),
  same("an array of arrays", () => [[], [[]], [[[]]]]),
  same("an empty object", () => ({})),
  same("a nested object", () => ({ a: { b: { c: [1, { d: null }] } } })),
  same("a field that is undefined", () => ({ a: undefined })),
  same("fields with odd names", () => ({ "": 1, "a b": 2, 7: 3, "😀": 4 })),
  same("an own field named __proto__", () => JSON.parse('{"__proto__": {"x": 1}, "y": 2}')),
  same("an own field named constructor", () => ({ constructor: "mine", prototype: 1 })),
  same("many fields", () => Object.fromEntries(Array.from({ length: 1_000 }, (_, at) => [`field${at}`, at]))),
  {
    name: "an object without a prototype",
    make: () => Object.assign(Object.create(null), { a: 1 }),
    arrives: () => ({ a: 1 }),
  },
  { name: "an instance of a class without methods", make: () => new Plain(), arrives: () => ({ x: 1, y: [2] }) },
  { name: "a frozen object", make: () => Object.freeze({ a: 1 }), arrives: () => ({ a: 1 }) },
  {
    name: "a getter",
    make: () => ({
      get a() {
        return 3;
      },
    }),
    arrives: () => ({ a: 3 }),
  },
  { name: "a symbol as a key", make: () => ({ a: 1, [Symbol("b")]: 2 }), arrives: () => ({ a: 1 }) },
  same(
    "a Map",
    () =>
      new Map<unknown, unknown>([
        ["a", 1],
        [{ k: 1 }, [2]],
        [Number.NaN, -0],
      ]),
  ),
  same("a Map of Maps", () => new Map([[1, new Map([[2, new Map()]])]])),
  same("a Set", () => new Set([1, "1", 1n, { x: 1 }])),
  same("an empty Set", () => new Set()),
  same("a Date", () => new Date(1_700_000_000_123)),
  same("a Date before 1970", () => new Date(-1)),
  same("an invalid Date", () => new Date(Number.NaN)),
  same("a regular expression", () => /^a(?<name>b)+$/giu),
  same("a boxed number", () => Object(5)),
  same("a boxed string", () => Object("s")),
  same("an ArrayBuffer", () => Uint8Array.of(1, 2, 3).buffer),
  same("a Uint8Array", () => Uint8Array.of(0, 255)),
  { name: "a Buffer", make: () => Buffer.from("weft"), arrives: () => Uint8Array.from(Buffer.from("weft")) },
  {
    name: "a view of a part",
    make: () => new Uint8Array([1, 2, 3, 4]).subarray(1, 3),
    arrives: () => Uint8Array.of(2, 3),
  },
  same("an Int8Array", () => Int8Array.of(-128, 127)),
  same("a Uint8ClampedArray", () => Uint8ClampedArray.of(0, 300)),
  same("an Int16Array", () => Int16Array.of(-32_768)),
  same("a Uint16Array", () => Uint16Array.of(65_535)),
  same("an Int32Array", () => Int32Array.of(-(2 ** 31))),
  same("a Uint32Array", () => Uint32Array.of(2 ** 32 - 1)),
  same("a Float32Array", () => Float32Array.of(1.5, Number.NaN)),
  same("a Float64Array", () => Float64Array.from({ length: 1_000 }, (_, at) => at / 3)),
  same("a BigInt64Array", () => BigInt64Array.of(-(2n ** 63n))),
  same("a BigUint64Array", () => BigUint64Array.of(2n ** 64n - 1n)),
  same("a DataView", () => new DataView(Uint8Array.of(9, 8, 7).buffer, 1)),
  same("a cycle", cycle),
  same("one object met twice", shared),
  same("900 levels", () => deep(900)),
  same("an Error", () => new Error("plain")),
  same("an error of a built-in class", () => new SyntaxError("wrong")),
  same("an error with fields", failure),
  same("a chain of causes", chain),
  same("an AggregateError", () => new AggregateError([new TypeError("one"), "two"], "both")),
  same("a megabyte", () => new Uint8Array(1_000_000).fill(7)),
];
