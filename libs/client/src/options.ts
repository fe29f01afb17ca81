import { classOf, described, withArticle } from "./describe.ts";
import {
  CONCURRENCY_MAX,
  ITEM_TIMEOUT_MS_MAX,
  NAME_LENGTH_MAX,
  REQUIREMENT_NAME_MAX,
  REQUIREMENTS_MAX,
} from "./limits.ts";
import { checkInto } from "./result-sinks.ts";
import { checkChunkSize } from "./sizing.ts";

/** Throws TypeError unless `options` is a plain object whose names are all known: `what` is whose options, `example` one of them. */
export function checkOptionNames(
  what: string,
  options: unknown,
  known: readonly string[],
  example: string = known[0] ?? "",
): void {
  if (isSignal(options)) throw new TypeError(`options of ${what} must be an object, as { signal }, got an AbortSignal`);
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    const value = typeof options === "number" ? options : "...";
    throw new TypeError(`options of ${what} must be an object, as { ${example}: ${value} }, got ${described(options)}`);
  }
  const className = classOf(options);
  if (className !== undefined) {
    // a Lock is meant as { lock }
    const meant = known.find((name) => className.toLowerCase().endsWith(name.toLowerCase())) ?? example;
    const got = withArticle(className);
    throw new TypeError(`options of ${what} must be an object such as { ${meant} }, got ${got}`);
  }
  for (const name of Object.keys(options))
    if (!known.includes(name)) throw new TypeError(`${what} has no option ${name}: ${whatThereIs(name, known)}`);
}

/** Options of each kind of call and of pools. */
const CALL_OPTIONS = ["timeoutMs", "signal", "retries", "labels", "resources", "name", "jobId"] as const;
export const APPLY_OPTIONS = [...CALL_OPTIONS, "detach"] as const;
export const CALLBACKS = ["callback", "errorCallback"] as const;
const STREAM_OPTIONS = [
  "chunkSize",
  "itemTimeoutMs",
  "progress",
  "seed",
  "concurrency",
  "speculate",
  ...CALL_OPTIONS,
] as const;
export const MAP_OPTIONS = [...STREAM_OPTIONS, "onError", "into", "effects", "detach"] as const;
export const IMAP_OPTIONS = [...STREAM_OPTIONS, "onError", "bufferSize", "effects"] as const;
export const REDUCE_OPTIONS = [...STREAM_OPTIONS, "initial"] as const;
export const POOL_SETTINGS = [
  "processes",
  "initializer",
  "initArgs",
  "maxTasksPerChild",
  "maxRssPerChildBytes",
  "labels",
  "resources",
  "name",
  "seed",
] as const;

/** Throws TypeError or RangeError for a pool's settings that cannot be. */
export function checkPoolSettings(settings: { readonly [name in (typeof POOL_SETTINGS)[number]]?: unknown }): void {
  checkOptionNames("a pool", settings, POOL_SETTINGS);
  const { initializer, initArgs } = settings;
  checkWholeNumber("processes", settings.processes, 1, 4_096);
  checkWholeNumber("maxTasksPerChild", settings.maxTasksPerChild, 1, 0xffff_ffff);
  checkWholeNumber("maxRssPerChildBytes", settings.maxRssPerChildBytes, 1, Number.MAX_SAFE_INTEGER);
  if (initializer !== undefined && typeof initializer !== "function")
    throw new TypeError(`initializer must be a function, got ${described(initializer)}`);
  if (initArgs !== undefined && !Array.isArray(initArgs))
    throw new TypeError(`initArgs must be an array, got ${described(initArgs)}`);
  if (initArgs !== undefined && initializer === undefined) throw new TypeError("initArgs need an initializer");
  checkLabels(settings.labels);
  checkResources(settings.resources);
  checkSeed(settings.seed);
  checkName(settings.name);
}

/** What calls may be given; of each kind some. */
export interface AnyCallOptions {
  readonly timeoutMs?: unknown;
  readonly signal?: unknown;
  readonly retries?: unknown;
  readonly labels?: unknown;
  readonly resources?: unknown;
  readonly name?: unknown;
  readonly jobId?: unknown;
  readonly detach?: unknown;
  readonly chunkSize?: unknown;
  readonly itemTimeoutMs?: unknown;
  readonly onError?: unknown;
  readonly progress?: unknown;
  readonly into?: unknown;
  readonly seed?: unknown;
  readonly concurrency?: unknown;
  readonly effects?: unknown;
  readonly speculate?: unknown;
  readonly bufferSize?: unknown;
  readonly callback?: unknown;
  readonly errorCallback?: unknown;
}

/** Throws TypeError or RangeError for options of a call that cannot be. `known`: their names. */
export function checkCallOptions(what: string, options: AnyCallOptions, known: readonly string[]): void {
  checkOptionNames(what, options, known);
  const { signal, onError, into, progress } = options;
  checkName(options.name);
  checkTimeout(options.timeoutMs);
  checkWholeNumber("retries", options.retries, 0, 1_000_000);
  checkSignal(signal);
  checkLabels(options.labels);
  checkResources(options.resources);
  checkJobId(options.jobId);
  if (options.detach !== undefined && typeof options.detach !== "boolean")
    throw new TypeError(`detach must be true or false, got ${described(options.detach)}`);
  checkChunkSize(options.chunkSize);
  checkItemTimeout(options.itemTimeoutMs);
  checkSeed(options.seed);
  checkConcurrency(options.concurrency, options.chunkSize);
  checkEffects(options.effects, options.concurrency);
  if (options.speculate !== undefined && typeof options.speculate !== "boolean")
    throw new TypeError(`speculate must be true or false, got ${described(options.speculate)}`);
  checkWholeNumber("bufferSize", options.bufferSize, 1, Number.MAX_SAFE_INTEGER);
  if (onError !== undefined && onError !== "throw" && onError !== "collect")
    throw new TypeError(`onError must be "throw" or "collect", got ${quoted(onError)}`);
  checkInto(into);
  if (into !== undefined && onError === "collect")
    throw new TypeError('into and onError: "collect" exclude each other: settled results are no numbers');
  if (progress !== undefined && typeof progress !== "boolean" && typeof progress !== "function")
    throw new TypeError(`progress must be true or a function, got ${described(progress)}`);
  for (const name of CALLBACKS)
    if (options[name] !== undefined && typeof options[name] !== "function")
      throw new TypeError(`${name} must be a function, got ${described(options[name])}`);
}

export const PROCESS_SETTINGS = ["target", "args", "name", "daemon", "node", "labels"] as const;

/** Throws TypeError or RangeError for a process's settings that cannot be. */
export function checkProcessSettings(
  settings: {
    readonly [name in (typeof PROCESS_SETTINGS)[number]]?: unknown;
  },
): void {
  checkOptionNames("a process", settings, PROCESS_SETTINGS);
  const { target, args, name, daemon, node, labels } = settings;
  if (typeof target !== "function") throw new TypeError(`target must be a function, got ${described(target)}`);
  checkArgs(args);
  checkName(name);
  if (name === "") throw new RangeError("name must have at least one character");
  if (daemon !== undefined && typeof daemon !== "boolean")
    throw new TypeError(`daemon must be true or false, got ${described(daemon)}`);
  if (node !== undefined && typeof node !== "string")
    throw new TypeError(`node must be a name, got ${described(node)}`);
  checkLabels(labels);
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

/** Throws TypeError for options of a wait that cannot be. 0 and less only look. */
export function checkWait(
  what: string,
  options: { readonly timeoutMs?: unknown; readonly signal?: unknown },
  known: readonly string[] = ["timeoutMs"],
): void {
  checkOptionNames(what, options, known);
  const { timeoutMs, signal } = options;
  if (timeoutMs !== undefined && (typeof timeoutMs !== "number" || Number.isNaN(timeoutMs)))
    throw new TypeError(
      `timeoutMs must be a number, got ${typeof timeoutMs === "number" ? "NaN" : described(timeoutMs)}`,
    );
  checkSignal(signal);
}

function checkSignal(signal: unknown): void {
  if (signal !== undefined && !isSignal(signal))
    throw new TypeError(`signal must be an AbortSignal, got ${described(signal)}`);
}

/** Items of one chunk run side by side: a smaller chunk would quietly do less than was asked for. */
function checkConcurrency(concurrency: unknown, chunkSize: unknown): void {
  checkWholeNumber("concurrency", concurrency, 1, CONCURRENCY_MAX);
  if (typeof concurrency === "number" && typeof chunkSize === "number" && chunkSize < concurrency)
    throw new RangeError(
      `concurrency counts items of one chunk: with ${concurrency} a chunkSize of ${chunkSize} is too small, leave it out or give ${concurrency} at least`,
    );
}

/** Writes of items that run side by side could not be told from one another's reads. */
function checkEffects(effects: unknown, concurrency: unknown): void {
  if (effects !== undefined && effects !== "live" && effects !== "once")
    throw new TypeError(`effects must be "live" or "once", got ${quoted(effects)}`);
  if (effects === "once" && typeof concurrency === "number" && concurrency > 1)
    throw new RangeError(`with effects: "once" items of a chunk run one after the other: concurrency must be 1`);
}

function checkItemTimeout(itemTimeoutMs: unknown): void {
  if (itemTimeoutMs === undefined) return;
  if (typeof itemTimeoutMs !== "number")
    throw new TypeError(`itemTimeoutMs must be a number, got ${described(itemTimeoutMs)}`);
  if (!(itemTimeoutMs > 0 && itemTimeoutMs <= ITEM_TIMEOUT_MS_MAX))
    throw new RangeError(`itemTimeoutMs must be above 0 and at most ${ITEM_TIMEOUT_MS_MAX}, got ${itemTimeoutMs}`);
}

function checkSeed(seed: unknown): void {
  if (seed === undefined) return;
  if (typeof seed !== "number") throw new TypeError(`seed must be a number, got ${described(seed)}`);
  if (!Number.isSafeInteger(seed)) throw new RangeError(`seed must be a whole number up to 2^53, got ${seed}`);
}

/** Throws TypeError for a call that cannot be detached. `isTask`: it is made by a task. */
export function checkDetach(what: string, options: unknown, { isTask }: { readonly isTask: boolean }): void {
  if (typeof options !== "object" || options === null || !("detach" in options) || options.detach !== true) return;
  const isCombined = what === "mapReduce";
  if (isCombined || what.startsWith("i"))
    throw new TypeError(
      `${what} cannot be detached: its results are ${isCombined ? "combined" : "read one by one"} in this program. Use mapAsync with detach`,
    );
  if (isTask)
    throw new TypeError(`${what} in a task or a Process cannot be detached: what is called there ends with it`);
}

/** Throws TypeError or RangeError for what is no job's id. Undefined is left to the caller. */
export function checkJobId(jobId: unknown): void {
  if (jobId === undefined) return;
  if (typeof jobId !== "string") throw new TypeError(`jobId must be a string, got ${described(jobId)}`);
  if (!JOB_ID.test(jobId))
    throw new RangeError(`jobId must be 1 to 128 of A-Z, a-z, 0-9, ".", "_" and "-", got ${quoted(jobId)}`);
}

/** As the JobId of the kernel. */
const JOB_ID = /^[A-Za-z0-9._-]{1,128}$/;

function checkLabels(labels: unknown): void {
  for (const [name, value] of entriesOf("labels", labels))
    if (typeof value !== "string") throw new TypeError(`label ${name} must be a string, got ${described(value)}`);
}

function checkResources(resources: unknown): void {
  for (const [name, amount] of entriesOf("resources", resources)) {
    if (typeof amount !== "number") throw new TypeError(`resource ${name} must be a number, got ${described(amount)}`);
    if (!(amount >= 0 && amount < Number.POSITIVE_INFINITY))
      throw new RangeError(`resource ${name} must be a finite number from 0, got ${amount}`);
  }
}

function entriesOf(what: string, record: unknown): [string, unknown][] {
  if (record === undefined) return [];
  if (typeof record !== "object" || record === null || Array.isArray(record))
    throw new TypeError(`${what} must be an object, got ${described(record)}`);
  if (Symbol.iterator in record)
    throw new TypeError(`${what} must be an object, as { name: value }, not a Map or the like`);
  const entries = Object.entries(record);
  if (entries.length > REQUIREMENTS_MAX)
    throw new RangeError(`${what} must be at most ${REQUIREMENTS_MAX}, got ${entries.length}`);
  for (const [name] of entries)
    if (name.length > REQUIREMENT_NAME_MAX)
      throw new RangeError(`${what}: a name has at most ${REQUIREMENT_NAME_MAX} characters, got ${name.length}`);
  return entries;
}

function quoted(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, NAME_LENGTH_MAX)) : described(value);
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

/** The name that was meant, when one is near; else all there are. */
function whatThereIs(name: string, known: readonly string[]): string {
  const distances = known.map((one) => editDistance(name.toLowerCase(), one.toLowerCase()));
  const least = Math.min(...distances);
  if (least <= Math.max(2, name.length / 4)) return `did you mean ${known[distances.indexOf(least)]}?`;
  return `there are ${known.join(", ")}`;
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
