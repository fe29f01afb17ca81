/** The tagged MessagePack profile of proto/VALUES.md: what writer and reader share. */

/** Containers inside containers. Deeper: LimitError when written, SerializationError when read. */
export const VALUE_DEPTH_MAX = 1000;
/** Objects of every kind in one value. More: LimitError when written, SerializationError when read. */
export const VALUE_OBJECTS_MAX = 8 * 1024 * 1024;

/** Extension types. `args` in a comment are values of this profile inside the extension's bytes. */
export const Tag = {
  /** One zero byte. */
  UNDEFINED: 0,
  /** One zero byte: an element that an array does not have, or a field that an error does not have. */
  HOLE: 1,
  /** Big-endian unsigned 1, 2 or 4 bytes: the nth object of this value, from 0, in order of first sight. */
  REFERENCE: 2,
  /** Big-endian two's complement, at least 9 bytes: bigints that int64 and uint64 cannot hold. */
  BIGINT: 3,
  /** Little-endian UTF-16: strings with lone surrogates. */
  STRING16: 4,
  /** Big-endian double: milliseconds since 1970, NaN for an invalid date. */
  DATE: 5,
  /** args: source, flags. */
  REGEXP: 6,
  /** args: key, value, key, value, ... */
  MAP: 7,
  /** args: its elements. */
  SET: 8,
  /** The bytes. */
  ARRAY_BUFFER: 9,
  /** One byte of `arrayKinds`, then the elements, little-endian. Uint8Array is MessagePack's own bin. */
  TYPED_ARRAY: 10,
  /** args: the primitive. */
  BOXED: 11,
  /** args: class, name, message, stack, cause, errors, fields; stack, cause and errors may be HOLE. */
  ERROR: 12,
  /** args: the description that the writer's hook gave for a function. */
  FUNCTION: 13,
  /** args: a record that describes a shared object, with at least `kind` and `object`. */
  SHARED: 14,
} as const;

interface ElementsClass {
  new (buffer: ArrayBuffer): ArrayBufferView;
  readonly BYTES_PER_ELEMENT?: number;
}

/** Views by their kind byte. Float16Array is missing where the host has none. */
export const arrayKinds: readonly {
  readonly name: string;
  readonly view: ElementsClass | undefined;
  readonly width: number;
}[] = [
  { name: "DataView", view: DataView, width: 1 },
  { name: "Int8Array", view: Int8Array, width: 1 },
  { name: "Uint8ClampedArray", view: Uint8ClampedArray, width: 1 },
  { name: "Int16Array", view: Int16Array, width: 2 },
  { name: "Uint16Array", view: Uint16Array, width: 2 },
  { name: "Int32Array", view: Int32Array, width: 4 },
  { name: "Uint32Array", view: Uint32Array, width: 4 },
  { name: "Float16Array", view: (globalThis as { Float16Array?: ElementsClass }).Float16Array, width: 2 },
  { name: "Float32Array", view: Float32Array, width: 4 },
  { name: "Float64Array", view: Float64Array, width: 8 },
  { name: "BigInt64Array", view: BigInt64Array, width: 8 },
  { name: "BigUint64Array", view: BigUint64Array, width: 8 },
];

// biome-ignore lint/style/noRestrictedGlobals: dates are values here; nobody asks for the time
export const DateClass = Date;

/** Built-in error classes that come back as themselves. AggregateError is another matter: its constructor differs. */
export const errorClasses: ReadonlyMap<string, new (message?: string) => Error> = new Map([
  ["Error", Error],
  ["TypeError", TypeError],
  ["RangeError", RangeError],
  ["SyntaxError", SyntaxError],
  ["ReferenceError", ReferenceError],
  ["EvalError", EvalError],
  ["URIError", URIError],
]);
