import { InvalidArgumentError } from "@heddle/kernel";
import { didYouMean } from "./nearest.ts";
import { type Setting, text } from "./setting.ts";

/** Settings by name, in camelCase: dataDir is the flag --data-dir, the variable HEDDLE_DATA_DIR and the key data-dir of a config file. */
export type SettingTable<T> = { readonly [K in keyof T]: Setting<T[K]> };

/** Where settings are looked for. */
export interface SettingSources {
  /** What follows the command's name. */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The content of a config file. Throws when it cannot be read. */
  readonly readFile: (path: string) => string;
  /** Turns it into values. Throws when it is malformed. */
  readonly parseFile: (content: string) => unknown;
}

/** The user asked for help, or said what is wanted. */
export type Resolution<T> = { readonly type: "help" } | { readonly type: "values"; readonly values: T };

/** Where every command that has settings looks for its config file. */
export const configSetting = text("FILE", "take settings from this YAML or JSON file", undefined);

/** What one source says, by setting. `says` names a setting as that source writes it. */
interface Layer {
  readonly texts: ReadonlyMap<string, readonly string[]>;
  readonly says: (name: string) => string;
}

/** Finds every setting: a flag wins over the environment, that over the config file, that over the fallback. Throws InvalidArgumentError. */
export function resolveSettings<T extends object>(table: SettingTable<T>, sources: SettingSources): Resolution<T> {
  const settings = new Map<string, Setting<unknown>>(Object.entries(table));
  const all = new Map(settings).set("config", configSetting);
  const flags = flagLayer(all, sources.args);
  if (flags === "help") return { type: "help" };
  const environment = environmentLayer(all, sources.environment);
  const path = [flags, environment]
    .map(({ texts }) => texts.get("config")?.at(-1))
    .find((given) => given !== undefined);
  const file = path === undefined ? undefined : fileLayer(settings, path, sources);
  const layers = [flags, environment, ...(file === undefined ? [] : [file])];
  const values = [...settings].map(([name, setting]) => [name, chosen(name, setting, layers)]);
  return { type: "values", values: Object.fromEntries(values) as T }; // each value came from the setting of that name
}

/** The flag of a setting, without its dashes; also its key in a config file. */
export function flagName(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** The environment variable of a setting. */
function variableName(name: string): string {
  return `HEDDLE_${flagName(name).replaceAll("-", "_").toUpperCase()}`;
}

function chosen(name: string, setting: Setting<unknown>, layers: readonly Layer[]): unknown {
  for (const { texts, says } of layers) {
    const given = texts.get(name);
    if (given === undefined) continue;
    try {
      return setting.parse(given);
    } catch (error) {
      if (!(error instanceof InvalidArgumentError)) throw error;
      throw new InvalidArgumentError(`${says(name)}: ${error.message}`, { cause: error });
    }
  }
  return setting.fallback;
}

function flagLayer(settings: ReadonlyMap<string, Setting<unknown>>, args: readonly string[]): Layer | "help" {
  const names = new Map([...settings.keys()].map((name) => [`--${flagName(name)}`, name]));
  const texts = new Map<string, string[]>();
  for (let index = 0; index < args.length; index++) {
    const given = args[index] ?? "";
    if (given === "-h" || given === "--help") return "help";
    if (!given.startsWith("-")) throw new InvalidArgumentError(`unexpected argument ${JSON.stringify(given)}`);
    const [flag = "", inline] = splitOnce(given, "=");
    const name = names.get(flag);
    if (name === undefined) {
      const known = [...settings].filter(([, { help }]) => help !== undefined).map(([key]) => `--${flagName(key)}`);
      throw new InvalidArgumentError(`unknown option ${flag}${didYouMean(flag, known)}`);
    }
    const value = inline ?? (settings.get(name)?.isFlag === true ? "true" : args[++index]);
    if (value === undefined)
      throw new InvalidArgumentError(`${flag} needs a value: ${flag} ${placeholder(settings, name)}`);
    texts.set(name, [...(texts.get(name) ?? []), value]);
  }
  return { texts, says: (name) => `--${flagName(name)}` };
}

function placeholder(settings: ReadonlyMap<string, Setting<unknown>>, name: string): string {
  return settings.get(name)?.placeholder ?? "";
}

function splitOnce(given: string, separator: string): [string, string | undefined] {
  const at = given.indexOf(separator);
  return at < 0 ? [given, undefined] : [given.slice(0, at), given.slice(at + 1)];
}

/** An empty variable is as good as none. */
function environmentLayer(
  settings: ReadonlyMap<string, Setting<unknown>>,
  environment: SettingSources["environment"],
): Layer {
  const texts = new Map<string, readonly string[]>();
  for (const [name, { isList }] of settings) {
    const value = environment[variableName(name)];
    if (value !== undefined && value !== "") texts.set(name, isList ? value.split(",") : [value]);
  }
  return { texts, says: variableName };
}

function fileLayer(settings: ReadonlyMap<string, Setting<unknown>>, path: string, sources: SettingSources): Layer {
  const names = new Map([...settings.keys()].map((name) => [flagName(name), name]));
  const texts = new Map<string, readonly string[]>();
  for (const [key, value] of Object.entries(contentOf(path, sources))) {
    const name = names.get(key);
    if (name === undefined) {
      const known = [...settings].filter(([, { help }]) => help !== undefined).map(([known]) => flagName(known));
      throw new InvalidArgumentError(`${path}: unknown key ${JSON.stringify(key)}${didYouMean(key, known)}`);
    }
    texts.set(name, textsIn(value, `${path}: ${key}`));
  }
  return { texts, says: (name) => `${path}: ${flagName(name)}` };
}

function contentOf(path: string, { readFile, parseFile }: SettingSources): object {
  let content: unknown;
  try {
    content = parseFile(readFile(path)) ?? {}; // an empty file sets nothing
  } catch (cause) {
    throw new InvalidArgumentError(`config file ${path}: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
  if (typeof content === "object" && content !== null && !Array.isArray(content)) return content;
  throw new InvalidArgumentError(`config file ${path}: expected keys and values, such as "listen: 127.0.0.1:7433"`);
}

/** A scalar, a list of them, or keys and values: as a user would write them as flags. */
function textsIn(value: unknown, where: string): readonly string[] {
  if (Array.isArray(value)) return value.flatMap((item) => textsIn(item, where));
  if (typeof value === "object" && value !== null) {
    return Object.entries(value).flatMap(([key, inner]) => textsIn(inner, where).map((item) => `${key}=${item}`));
  }
  if (["string", "number", "boolean"].includes(typeof value)) return [String(value)];
  throw new InvalidArgumentError(`${where}: a value is missing`);
}
