/** How messages name a shared object, never longer than a line: its name in quotes, without the "@" of its id; of one without a name the beginning of its id. */
export function objectText(object: string): string {
  if (/^[0-9a-f]{32}$/.test(object)) return object.slice(0, 8);
  const name = object.startsWith("@") ? object.slice(1) : object;
  return JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}...` : name);
}

/** A noun or the name of a class, with "a" or "an" before it. */
export function withArticle(noun: string): string {
  return `${/^((?!one)[AEIOaeio]|R[A-Z]|rlock)/.test(noun) ? "an" : "a"} ${noun}`;
}

/** What a value is, for people. */
export function described(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "an array";
  if (typeof value !== "object") return withArticle(typeof value);
  const name = classOf(value);
  return name === undefined ? "an object" : withArticle(name);
}

/** The class that it is an instance of: undefined for a plain object, also one of another realm. */
export function classOf(value: object): string | undefined {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (typeof prototype !== "object" || prototype === null || Object.getPrototypeOf(prototype) === null)
    return undefined;
  const { name } = prototype.constructor;
  return name === "" ? "instance of a class" : name;
}

/** A key of a dict as messages show it. */
export function shownKey(key: unknown): string {
  if (typeof key === "bigint") return `${key}n`;
  if (Array.isArray(key)) return `[${key.slice(0, 10).map(shownKey).join(", ")}]`;
  return typeof key === "string" ? JSON.stringify(key.slice(0, 100)) : String(key);
}

/** Why two values have no sum: what is added, to what, and where that is. */
export function cannotAdd(by: unknown, from: unknown, where: string): string {
  return `cannot add ${described(by)} to the ${described(from).replace(/^an? /, "")} ${where}`;
}
