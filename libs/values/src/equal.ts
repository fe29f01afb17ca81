/** Pairs of objects that are being compared further up, or were compared and found equal. */
type Assumed = Map<object, Set<object>>;

/**
 * Whether two values are the same in structure: NaN equals NaN, -0 is not 0, a hole is not undefined, the order of Map and Set
 * entries counts, the order of an object's fields does not. Cycles are followed; what is no value (a function, say) equals only itself.
 */
export function equalValues(a: unknown, b: unknown): boolean {
  return equal(a, b, new Map());
}

function equal(a: unknown, b: unknown, assumed: Assumed): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  const partners = assumed.get(a) ?? new Set();
  if (partners.has(b)) return true;
  partners.add(b);
  assumed.set(a, partners);
  return equalObjects(a, b, assumed);
}

function equalObjects(a: object, b: object, assumed: Assumed): boolean {
  const kind = kindOf(a);
  if (kind !== kindOf(b)) return false;
  switch (kind) {
    case "[object Array]":
      return (a as unknown[]).length === (b as unknown[]).length && equalFields(a, b, assumed);
    case "[object Map]":
      return equalLists([...(a as Map<unknown, unknown>)].flat(1), [...(b as Map<unknown, unknown>)].flat(1), assumed);
    case "[object Set]":
      return equalLists([...(a as Set<unknown>)], [...(b as Set<unknown>)], assumed);
    case "[object Date]":
    case "[object Number]":
    case "[object String]":
    case "[object Boolean]":
    case "[object BigInt]":
      return Object.is(a.valueOf(), b.valueOf());
    case "[object RegExp]":
      return String(a) === String(b);
    case "[object Error]":
      return equalErrors(a as Error, b as Error, assumed);
    case "[object ArrayBuffer]":
      return equalBytes(new Uint8Array(a as ArrayBuffer), new Uint8Array(b as ArrayBuffer));
    case "[object Object]":
      return equalFields(a, b, assumed);
    default:
      return ArrayBuffer.isView(a) && ArrayBuffer.isView(b) && equalBytes(bytesOf(a), bytesOf(b));
  }
}

function kindOf(value: object): string {
  return Object.prototype.toString.call(value);
}

/** Own enumerable string keys: of an array these are its elements, holes left out. */
function equalFields(a: object, b: object, assumed: Assumed): boolean {
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && equal(Reflect.get(a, name), Reflect.get(b, name), assumed))
  );
}

function equalLists(a: readonly unknown[], b: readonly unknown[], assumed: Assumed): boolean {
  return a.length === b.length && a.every((element, index) => equal(element, b[index], assumed));
}

function equalErrors(a: Error, b: Error, assumed: Assumed): boolean {
  return (
    a.name === b.name &&
    a.message === b.message &&
    equal(Object.hasOwn(a, "cause"), Object.hasOwn(b, "cause"), assumed) &&
    equal(a.cause, b.cause, assumed) &&
    equal(Reflect.get(a, "errors"), Reflect.get(b, "errors"), assumed) &&
    equalFields(a, b, assumed)
  );
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
