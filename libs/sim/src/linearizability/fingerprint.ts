/**
 * 16 hex digits of a value's structure, for telling states apart: different values have the same by a chance of 2^-64; no defence against somebody who wants
 * that. As `equalValues`: the order of a record's fields does not count, that of Map and Set entries does. Throws TypeError for what is no value.
 */
export function fingerprint(value: unknown): string {
  const print = new Print();
  print.add(value);
  return print.hex();
}

/** What a value begins with, so that [1] is not 1 and "1" is not 1. */
const Mark = {
  undefined: 1,
  null: 2,
  true: 3,
  false: 4,
  integer: 5,
  float: 6,
  bigint: 7,
  string: 8,
  array: 9,
  map: 10,
  set: 11,
  record: 12,
  bytes: 13,
  date: 14,
} as const;

const float = new Float64Array(1);
const halves = new Uint32Array(float.buffer);

/** Two lanes of MurmurHash3's mixing, with seeds and constants of their own. */
class Print {
  #low = 0x2f0b4c47;
  #high = 0x5d1e3a95;

  hex(): string {
    return [finish(this.#high), finish(this.#low)].map((lane) => (lane >>> 0).toString(16).padStart(8, "0")).join("");
  }

  add(value: unknown): void {
    switch (typeof value) {
      case "undefined":
        return this.#mix(Mark.undefined);
      case "boolean":
        return this.#mix(value ? Mark.true : Mark.false);
      case "number":
        return this.#number(value);
      case "bigint":
        return this.#text(Mark.bigint, value.toString(36));
      case "string":
        return this.#text(Mark.string, value);
      case "object":
        return value === null ? this.#mix(Mark.null) : this.#object(value);
      default:
        throw new TypeError(`a ${typeof value} is no value`);
    }
  }

  #object(value: object): void {
    if (Array.isArray(value)) return this.#items(Mark.array, value);
    if (value instanceof Map) return this.#items(Mark.map, [...value].flat(1));
    if (value instanceof Set) return this.#items(Mark.set, [...value]);
    if (Object.prototype.toString.call(value) === "[object Date]") return this.#items(Mark.date, [value.valueOf()]);
    if (ArrayBuffer.isView(value)) {
      this.#text(Mark.bytes, value.constructor.name);
      return this.#items(Mark.bytes, [...new Uint8Array(value.buffer, value.byteOffset, value.byteLength)]);
    }
    const names = Object.keys(value).sort();
    this.#items(Mark.record, names);
    for (const name of names) this.add(Reflect.get(value, name));
  }

  #items(mark: number, items: readonly unknown[]): void {
    this.#mix(mark);
    this.#mix(items.length);
    for (const item of items) this.add(item);
  }

  #number(value: number): void {
    if (Object.is(value | 0, value)) {
      this.#mix(Mark.integer);
      return this.#mix(value);
    }
    float[0] = value;
    this.#mix(Mark.float);
    this.#mix(halves[0] ?? 0);
    return this.#mix(halves[1] ?? 0);
  }

  #text(mark: number, text: string): void {
    this.#mix(mark);
    this.#mix(text.length);
    for (let at = 0; at < text.length; at++) this.#mix(text.charCodeAt(at));
  }

  #mix(unit: number): void {
    const low = Math.imul(turn(Math.imul(unit, 0xcc9e2d51), 15), 0x1b873593);
    const high = Math.imul(turn(Math.imul(unit, 0x239b961b), 17), 0x38b34ae5);
    this.#low = (Math.imul(turn(this.#low ^ low, 13), 5) + 0xe6546b64) | 0;
    this.#high = (Math.imul(turn(this.#high ^ high, 19), 5) + 0x561ccd1b) | 0;
  }
}

function turn(lane: number, by: number): number {
  return (lane << by) | (lane >>> (32 - by));
}

/** Every bit of the lane counts in every bit of the result. */
function finish(lane: number): number {
  let mixed = Math.imul(lane ^ (lane >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
