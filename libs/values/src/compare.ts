/**
 * A total order over values: below 0 when `a` comes first, above 0 when `b` does, 0 exactly when `equalValues(a, b)` for values without
 * cycles. Kinds come in this order: undefined, null, booleans, numbers, bigints, strings, dates, regular expressions, bytes and other
 * typed arrays, boxed primitives, errors, arrays, sets, maps, objects. Numbers by value with -0 right below 0 and NaN last; strings by
 * UTF-16 units; arrays, sets and maps element by element, the shorter first; objects by their field names in order, then by the fields.
 * Throws RangeError for values deeper than 1,000, cyclic ones included.
 */
export function compareValues(a: unknown, b: unknown): number {
  return compare(a, b, 0);
}

/** As the profile's VALUE_DEPTH_MAX: what is deeper is no value. */
const DEPTH_MAX = 1_000;

function compare(a: unknown, b: unknown, depth: number): number {
  if (Object.is(a, b)) return 0;
  if (depth > DEPTH_MAX) throw new RangeError(`values deeper than ${DEPTH_MAX} have no order`);
  const kind = kindOf(a);
  const difference = order.indexOf(kind) - order.indexOf(kindOf(b));
  return difference === 0 ? comparers[kind](a as never, b as never, depth) : difference;
}

type Kind = (typeof order)[number];

const order = [
  "undefined",
  "null",
  "boolean",
  "number",
  "bigint",
  "string",
  "date",
  "regexp",
  "buffer",
  "view",
  "boxed",
  "error",
  "array",
  "set",
  "map",
  "object",
] as const;

const tags: Readonly<Record<string, Kind>> = {
  "[object Date]": "date",
  "[object RegExp]": "regexp",
  "[object ArrayBuffer]": "buffer",
  "[object Number]": "boxed",
  "[object String]": "boxed",
  "[object Boolean]": "boxed",
  "[object BigInt]": "boxed",
  "[object Error]": "error",
  "[object Array]": "array",
  "[object Set]": "set",
  "[object Map]": "map",
};

function kindOf(value: unknown): Kind {
  switch (typeof value) {
    case "object":
      if (value === null) return "null";
      if (ArrayBuffer.isView(value)) return "view";
      return tags[Object.prototype.toString.call(value)] ?? "object";
    case "undefined":
    case "boolean":
    case "number":
    case "bigint":
    case "string":
      return typeof value as Kind;
    default:
      throw new TypeError(`a ${typeof value} is no value and has no order`);
  }
}

const comparers: Readonly<Record<Kind, (a: never, b: never, depth: number) => number>> = {
  undefined: () => 0,
  null: () => 0,
  boolean: (a: boolean, b: boolean) => Number(a) - Number(b),
  number: compareNumbers,
  bigint: (a: bigint, b: bigint) => (a < b ? -1 : 1),
  string: compareStrings,
  date: (a: { valueOf(): number }, b: { valueOf(): number }) => compareNumbers(a.valueOf(), b.valueOf()),
  regexp: (a: RegExp, b: RegExp) => compareStrings(String(a), String(b)),
  buffer: (a: ArrayBuffer, b: ArrayBuffer) => compareBytes(new Uint8Array(a), new Uint8Array(b)),
  view: compareViews,
  boxed: (a: object, b: object, depth) => compare(a.valueOf(), b.valueOf(), depth),
  error: compareErrors,
  array: compareArrays,
  set: (a: Set<unknown>, b: Set<unknown>, depth) => compareLists([...a], [...b], depth),
  map: (a: Map<unknown, unknown>, b: Map<unknown, unknown>, depth) =>
    compareLists([...a].flat(1), [...b].flat(1), depth),
  object: compareFields,
};

function compareNumbers(a: number, b: number): number {
  if (a < b) return -1;
  if (a > b) return 1;
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return Number(Object.is(b, -0)) - Number(Object.is(a, -0));
}

function compareStrings(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let at = 0; at < shared; at++) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** By class, then by bytes. */
function compareViews(a: ArrayBufferView, b: ArrayBufferView): number {
  const [one, other] = [a, b].map((view) => Object.prototype.toString.call(view)) as [string, string];
  return compareStrings(one, other) || compareBytes(bytesOf(a), bytesOf(b));
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** A hole comes before any element. */
function compareArrays(a: readonly unknown[], b: readonly unknown[], depth: number): number {
  const shared = Math.min(a.length, b.length);
  for (let at = 0; at < shared; at++) {
    const difference = Number(at in a) - Number(at in b) || compare(a[at], b[at], depth + 1);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

function compareLists(a: readonly unknown[], b: readonly unknown[], depth: number): number {
  const shared = Math.min(a.length, b.length);
  for (let at = 0; at < shared; at++) {
    const difference = compare(a[at], b[at], depth + 1);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

function compareFields(a: object, b: object, depth: number): number {
  const [names, others] = [Object.keys(a).sort(), Object.keys(b).sort()];
  const difference = compareLists(names, others, depth);
  if (difference !== 0) return difference;
  for (const name of names) {
    const inside = compare(Reflect.get(a, name), Reflect.get(b, name), depth + 1);
    if (inside !== 0) return inside;
  }
  return 0;
}

function compareErrors(a: Error, b: Error, depth: number): number {
  const parts = (error: Error): readonly unknown[] => [
    error.name,
    error.message,
    Object.hasOwn(error, "cause"),
    error.cause,
    Reflect.get(error, "errors"),
  ];
  return compareLists(parts(a), parts(b), depth) || compareFields(a, b, depth);
}
