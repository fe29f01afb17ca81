import {
  choice,
  count,
  list,
  pairs,
  period,
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
  readonly lifetime: number | undefined;
  /** In milliseconds since 1970. */
  readonly endsAt: number | undefined;
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
  lifetime: period(
    "TIME",
    "this agent ends so long after its start, such as 55m: what would not be over by then does not begin here",
  ),
  endsAt: moment(
    "WHEN",
    "the same as a time, such as 2027-01-31T12:00:00Z, or in seconds since 1970 (default: SLURM_JOB_END_TIME)",
  ),
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

/** A point in time, in milliseconds since 1970. */
function moment(placeholder: string, help: string): Setting<number | undefined> {
  const given = text(placeholder, help, undefined);
  return { ...given, fallback: undefined, parse: (texts) => momentOf(given.parse(texts) ?? "") };
}

function momentOf(text: string): number {
  const ms = /^\d{1,11}(\.\d{1,6})?$/.test(text)
    ? Number(text) * 1_000
    : /^\d{4}-\d\d-\d\dT/.test(text)
      ? Date.parse(text)
      : Number.NaN;
  if (Number.isFinite(ms)) return ms;
  throw new InvalidArgumentError(
    `${JSON.stringify(text)} is not a time: say 2027-01-31T12:00:00Z, or seconds since 1970`,
  );
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

/**
 * How long the agent has at a time of day: by what it was told, else by its Slurm job, where Slurm says so (22.05 does not); undefined when nobody knows. Throws
 * InvalidArgumentError when it is told twice, or its end has passed.
 */
export function lifetimeOf(
  { lifetime, endsAt }: Pick<AgentConfig, "lifetime" | "endsAt">,
  nowMs: number,
  environment: NodeJS.ProcessEnv = process.env,
): number | undefined {
  if (lifetime !== undefined && endsAt !== undefined)
    throw new InvalidArgumentError("--lifetime and --ends-at say the same thing: give one of them");
  if (lifetime !== undefined) return lifetime;
  if (endsAt === undefined && !/^\d{1,11}$/.test(environment.SLURM_JOB_END_TIME ?? "")) return undefined;
  const name = endsAt === undefined ? "SLURM_JOB_END_TIME" : "--ends-at";
  const leftMs = (endsAt ?? Number(environment.SLURM_JOB_END_TIME) * 1_000) - nowMs;
  if (leftMs > 0) return leftMs;
  throw new InvalidArgumentError(`${name} has passed: this agent would end at once`);
}

/** The module that worker processes run. */
export function workerEntry(): URL {
  return new URL(import.meta.resolve("heddle/worker"));
}
