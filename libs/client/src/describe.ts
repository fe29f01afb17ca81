/** What a value is, for people. */
export function described(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "an array";
  if (typeof value !== "object") return `a ${typeof value}`;
  const name = classOf(value);
  return name === undefined ? "an object" : withArticle(name);
}

/** A class's name or a noun, with "a" or "an" before it. */
export function withArticle(noun: string): string {
  return `${/^([AEIOaeio]|R[A-Z])/.test(noun) ? "an" : "a"} ${noun}`;
}

/** The class that it is an instance of: undefined for a plain object, also one of another realm. */
export function classOf(value: object): string | undefined {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (typeof prototype !== "object" || prototype === null || Object.getPrototypeOf(prototype) === null)
    return undefined;
  const { name } = prototype.constructor;
  return name === "" ? "instance of a class" : name;
}
