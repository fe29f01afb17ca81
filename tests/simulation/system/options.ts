import { parseArgs } from "node:util";

/** What a run of simulated systems is told. */
export interface SimOptions {
  /** The first seed; those after it follow. */
  readonly first: number;
  /** How many seeds at most; undefined for as many as there is time for. */
  readonly seeds: number | undefined;
  /** How long seeds are begun; undefined for as long as there are some. */
  readonly minutes: number | undefined;
  /** Each seed is run twice, and both runs must be the same to the byte. */
  readonly twice: boolean;
}

export const usage = `npm run sim -- [options]
  --seed S      one seed; with a time, the first of those that follow; by chance unless given
  --seeds N     how many, from the first on
  --minutes M   for how long (1, unless seeds, hours or one seed are given)
  --hours H     the same in hours
  --twice       each seed twice: both runs must be the same`;

/** Somebody asked for what there is not. */
export class OptionsError extends Error {}

/** Throws OptionsError for options that there are not and for values that cannot be. `chance` draws a first seed. */
export function parseOptions(args: readonly string[], chance: () => number): SimOptions {
  const given = valuesOf(args);
  const seed = given.seed === undefined ? undefined : wholeIn(given.seed, "--seed");
  const count = given.seeds === undefined ? undefined : wholeIn(given.seeds, "--seeds");
  const minutes = given.hours === undefined ? timeIn(given.minutes, "--minutes") : 60 * hoursIn(given.hours);
  const isBounded = count !== undefined || minutes !== undefined;
  return {
    first: seed ?? chance(),
    seeds: isBounded ? count : seed === undefined ? undefined : 1,
    minutes: isBounded || seed !== undefined ? minutes : 1,
    twice: given.twice,
  };
}

/** The arguments by which one seed is run again. */
export function argumentsOf(seed: number): string {
  return `--seed ${seed}`;
}

function wholeIn(text: string, name: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 1) return number;
  throw new OptionsError(`${name} must be a whole number from 1, got ${text}`);
}

function hoursIn(text: string): number {
  return timeIn(text, "--hours") ?? 0;
}

function timeIn(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (Number.isFinite(number) && number > 0) return number;
  throw new OptionsError(`${name} must be a number above 0, got ${text}`);
}

function valuesOf(args: readonly string[]) {
  const options = {
    seed: { type: "string" },
    seeds: { type: "string" },
    minutes: { type: "string" },
    hours: { type: "string" },
    twice: { type: "boolean", default: false },
  } as const;
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (cause) {
    throw new OptionsError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
