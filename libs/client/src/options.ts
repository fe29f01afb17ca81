import { NAME_LENGTH_MAX } from "./limits.ts";

/** Throws TypeError unless `options` is an object whose names are all known: `what` is whose options, `example` one of them. */
export function checkOptionNames(
  what: string,
  options: unknown,
  known: readonly string[],
  example: string = known[0] ?? "",
): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    const value = typeof options === "number" ? options : "...";
    throw new TypeError(`options of ${what} must be an object, as { ${example}: ${value} }, got ${described(options)}`);
  }
  for (const name of Object.keys(options))
    if (!known.includes(name))
      throw new TypeError(`${what} has no option ${name}: did you mean ${nearest(name, known)}?`);
}

/** Options of each kind of call and of pools. */
export const CALL_OPTIONS = ["timeoutMs", "signal", "retries", "name"] as const;
export const MAP_OPTIONS = ["chunkSize", ...CALL_OPTIONS] as const;
export const POOL_SETTINGS = ["processes", "name"] as const;

/** Throws TypeError or RangeError for a pool's settings that cannot be. */
export function checkPoolSettings(settings: { readonly processes?: unknown; readonly name?: unknown }): void {
  checkOptionNames("a pool", settings, POOL_SETTINGS);
  checkWholeNumber("processes", settings.processes, 1, 4_096);
  checkName(settings.name);
}

/** Throws TypeError or RangeError for what all calls have in common. */
export function checkCallOptions(options: {
  readonly timeoutMs?: unknown;
  readonly signal?: unknown;
  readonly retries?: unknown;
  readonly name?: unknown;
}): void {
  checkName(options.name);
  checkTimeout(options.timeoutMs);
  checkWholeNumber("retries", options.retries, 0, 1_000_000);
  if (options.signal !== undefined && !isSignal(options.signal))
    throw new TypeError(`signal must be an AbortSignal, got ${described(options.signal)}`);
}

/** Throws TypeError unless it is an array: the arguments of one call. */
export function checkArgs(args: unknown): readonly unknown[] {
  if (args === undefined) return [];
  if (!Array.isArray(args)) throw new TypeError(`args must be an array, got ${described(args)}`);
  return args;
}

/** Throws TypeError for what is no number, RangeError for what is less than nothing. */
export function checkTimeout(timeoutMs: unknown): void {
  if (timeoutMs === undefined) return;
  if (typeof timeoutMs !== "number") throw new TypeError(`timeoutMs must be a number, got ${described(timeoutMs)}`);
  if (!(timeoutMs >= 0)) throw new RangeError(`timeoutMs must be a number from 0, got ${timeoutMs}`);
}

/** What a value is, for people. */
export function described(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

function checkWholeNumber(name: string, value: unknown, from: number, to: number): void {
  if (value === undefined) return;
  if (typeof value !== "number") throw new TypeError(`${name} must be a number, got ${described(value)}`);
  if (!Number.isInteger(value) || value < from || value > to)
    throw new RangeError(`${name} must be a whole number from ${from} to ${to}, got ${value}`);
}

function checkName(name: unknown): void {
  if (name === undefined) return;
  if (typeof name !== "string") throw new TypeError(`name must be a string, got ${described(name)}`);
  if (name.length > NAME_LENGTH_MAX)
    throw new RangeError(`name must have at most ${NAME_LENGTH_MAX} characters, got ${name.length}`);
}

/** Also one of another realm. */
function isSignal(value: unknown): boolean {
  return typeof value === "object" && value !== null && "aborted" in value && "addEventListener" in value;
}

function nearest(name: string, known: readonly string[]): string | undefined {
  const distances = known.map((one) => editDistance(name.toLowerCase(), one.toLowerCase()));
  return known[distances.indexOf(Math.min(...distances))];
}

/** How many letters to insert, leave out or change. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (const [at, letter] of [...a.slice(0, NAME_LENGTH_MAX)].entries()) {
    const next = [at + 1];
    for (let to = 1; to <= b.length; to++) {
      const changed = (row[to - 1] ?? 0) + (letter === b[to - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[to] ?? 0) + 1, (next[to - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
