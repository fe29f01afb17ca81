import {
  choice,
  count,
  list,
  pairs,
  type ServerValues,
  type Setting,
  type SettingTable,
  serverSettings,
  type TlsValues,
  text,
  tlsSettings,
} from "@heddle/adapter-command";
import { type LogLevel, logLevels } from "@heddle/adapter-system";
import { InvalidArgumentError, NodeName } from "@heddle/kernel";

/** Shipped code that an agent keeps. Above, what was unused for longest goes, and the coordinator sends it again. */
export const ARTIFACTS_BYTES_MAX = 1024 * 1024 * 1024;

/** Where a coordinator is when nobody says so. */
const DEFAULT_ADDRESS = "127.0.0.1:7433";

/** What an agent can be told. */
export interface AgentConfig extends ServerValues, TlsValues {
  readonly coordinator: readonly string[];
  readonly name: string | undefined;
  readonly processes: number | undefined;
  readonly label: Readonly<Record<string, string>>;
  readonly resource: Readonly<Record<string, number>>;
  readonly dataDir: string | undefined;
  readonly logLevel: LogLevel;
}

export const settings: SettingTable<AgentConfig> = {
  coordinator: list("ADDRESS", `coordinators, tried in turn (default: HEDDLE_ADDRESS, else ${DEFAULT_ADDRESS})`),
  name: nodeName("the node's name, unique in the fabric; a later agent of the same name replaces this one"),
  processes: count("N", "worker processes at a time (default: the cores of this machine)", undefined, {
    min: 1,
    max: 65_536,
  }),
  label: pairs("KEY=VALUE", "say something about this node"),
  resource: amounts("NAME=AMOUNT", "say how much of something this node has, for work that asks for it"),
  dataDir: text("DIR", "keep shipped code here; without it in a temporary directory", undefined),
  ...tlsSettings,
  ...serverSettings,
  logLevel: choice(logLevels, "least important log entry to write to standard error", "info"),
};

/** Amounts by name, from 0 on. */
function amounts(placeholder: string, help: string): Setting<Readonly<Record<string, number>>> {
  const texts = pairs(placeholder, help);
  const parse = (given: readonly string[]): Record<string, number> =>
    Object.fromEntries(Object.entries(texts.parse(given)).map(([name, text]) => [name, amount(name, text)]));
  return { ...texts, fallback: {}, parse };
}

function amount(name: string, text: string): number {
  const given = text === "" ? Number.NaN : Number(text);
  if (Number.isFinite(given) && given >= 0) return given;
  throw new InvalidArgumentError(`the amount of resource ${name} must be a number from 0, not ${JSON.stringify(text)}`);
}

/** A legal name: it becomes part of a path. */
function nodeName(help: string): Setting<string | undefined> {
  const name = text("NAME", help, undefined);
  return { ...name, parse: (texts) => NodeName(name.parse(texts) ?? "") };
}

/** Coordinators to try: those given, else what clients use, else the usual place. */
export function addressesOf(config: AgentConfig, environment: NodeJS.ProcessEnv = process.env): readonly string[] {
  if (config.coordinator.length > 0) return config.coordinator;
  const usual = environment.HEDDLE_ADDRESS ?? "";
  return (usual === "" ? DEFAULT_ADDRESS : usual).split(",").map((address) => address.trim());
}

/** The module that worker processes run. */
export function workerEntry(): URL {
  return new URL(import.meta.resolve("heddle/worker"));
}
