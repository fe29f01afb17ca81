import { InvalidArgumentError } from "@heddle/kernel";
import { durationOf } from "./duration.ts";

/** One thing a user can set: by a flag, an environment variable or a key of a config file. */
export interface Setting<T> {
  /** What stands for the value in the help, such as DIR. */
  readonly placeholder: string;
  /** One line of help. Undefined: not for users, not shown. */
  readonly help: string | undefined;
  /** The value when nobody sets it. */
  readonly fallback: T;
  /** Given without a value it is as good as "true". */
  readonly isFlag?: boolean;
  /** May be given several times; an environment variable holds several values with commas between. */
  readonly isList: boolean;
  /** From the given texts, at least one. Throws InvalidArgumentError that says what is expected; the caller names the setting. */
  readonly parse: (texts: readonly string[]) => T;
}

/** Any text but the empty one. */
export function text<F extends string | undefined>(
  placeholder: string,
  help: string | undefined,
  fallback: F,
): Setting<string | F> {
  return { placeholder, help, fallback, isList: false, parse: last };
}

/** A whole number within bounds, both inclusive. */
export function count<F extends number | undefined>(
  placeholder: string,
  help: string | undefined,
  fallback: F,
  { min, max }: { readonly min: number; readonly max: number },
): Setting<number | F> {
  const parse = (texts: readonly string[]): number => {
    const given = last(texts);
    const value = /^\d{1,15}$/.test(given) ? Number(given) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`${JSON.stringify(given)} is not a whole number from ${min} to ${max}`);
  };
  return { placeholder, help, fallback, isList: false, parse };
}

/** A length of time from 1 ms on, such as 90s or 1h30m, in milliseconds. */
export function period(placeholder: string, help: string | undefined): Setting<number | undefined> {
  const parse = (texts: readonly string[]): number => {
    const ms = durationOf(last(texts));
    if (ms > 0) return ms;
    throw new InvalidArgumentError("it must be longer than nothing");
  };
  return { placeholder, help, fallback: undefined, isList: false, parse };
}

/** One of a few words. */
export function choice<C extends string>(choices: readonly C[], help: string | undefined, fallback: C): Setting<C> {
  const parse = (texts: readonly string[]): C => {
    const given = last(texts);
    const chosen = choices.find((word) => word === given);
    if (chosen !== undefined) return chosen;
    throw new InvalidArgumentError(`${JSON.stringify(given)} is not one of ${choices.join(", ")}`);
  };
  return { placeholder: choices.join("|"), help, fallback, isList: false, parse };
}

/** Yes or no: the flag alone says yes. */
export function flag(help: string | undefined): Setting<boolean> {
  const parse = (texts: readonly string[]): boolean => {
    const given = last(texts).toLowerCase();
    if (["true", "1", "yes"].includes(given)) return true;
    if (["false", "0", "no"].includes(given)) return false;
    throw new InvalidArgumentError(`${JSON.stringify(given)} is not true or false`);
  };
  return { placeholder: "", help, fallback: false, isFlag: true, isList: false, parse };
}

/** Several texts: the flag repeated, or one value with commas. */
export function list(placeholder: string, help: string | undefined): Setting<readonly string[]> {
  const parse = (texts: readonly string[]): string[] =>
    texts
      .flatMap((item) => item.split(","))
      .map((item) => item.trim())
      .filter((item) => item !== "");
  return { placeholder, help, fallback: [], isList: true, parse };
}

/** Several `key=value`. */
export function pairs(placeholder: string, help: string | undefined): Setting<Readonly<Record<string, string>>> {
  const parse = (texts: readonly string[]): Record<string, string> => Object.fromEntries(texts.map(pair));
  return { placeholder, help, fallback: {}, isList: true, parse };
}

function pair(given: string): [string, string] {
  const split = given.indexOf("=");
  if (split < 1) throw new InvalidArgumentError(`${JSON.stringify(given)} is not key=value`);
  return [given.slice(0, split).trim(), given.slice(split + 1).trim()];
}

/** Who says a thing twice means the second. */
function last(texts: readonly string[]): string {
  const given = texts.at(-1) ?? "";
  if (given === "") throw new InvalidArgumentError("a value is missing");
  return given;
}

/** Where to serve, for whoever serves TCP. */
export function listenSetting(fallback: string): Setting<string> {
  const help =
    "serve here: HOST:PORT (0 picks a free one), [::1]:PORT or unix:PATH; beyond this machine (0.0.0.0) only with TLS";
  return text("ADDRESS", help, fallback);
}

/** What others are told of where a server is, for whoever serves TCP. */
export function advertiseSetting(): Setting<string | undefined> {
  const help =
    "what others are told of where this is, such as a name that leads here: HOST, or HOST:PORT (default: where it listens)";
  return text("ADDRESS", help, undefined);
}

/** What others are told: as it was given, with the port that is listened at where it has none; else where that is. Of unix sockets that is all there is. */
export function advertised(address: string, given: string | undefined): string {
  if (given === undefined || address.startsWith("unix:")) return address;
  const host = /^[^[\]:]+$|^\[[^\]]+\]$/.test(given);
  return host ? `${given}:${address.slice(address.lastIndexOf(":") + 1)}` : given;
}
