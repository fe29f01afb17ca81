import {
  choice,
  count,
  flag,
  list,
  listenSetting,
  packageVersion,
  type ServerValues,
  type SettingTable,
  serverSettings,
  text,
} from "@heddle/adapter-command";
import { type LogLevel, logLevels } from "@heddle/adapter-system";

/** Where a coordinator is when nobody says so. */
export const DEFAULT_ADDRESS = "127.0.0.1:7433";

/** Node runs the sources; built, everything lies side by side in one folder. */
const fromSource = import.meta.url.endsWith(".ts");

/** The servers' own programs: this one starts them, or becomes them. */
export const programs = {
  manager: new URL(fromSource ? "../../manager/src/main.ts" : "./manager.js", import.meta.url),
  coordinator: new URL(fromSource ? "../../coordinator/src/main.ts" : "./coordinator.js", import.meta.url),
  agent: new URL(fromSource ? "../../agent/src/main.ts" : "./agent.js", import.meta.url),
} as const;

/** What Node needs before a program or a script of the user's: sources resolve to sources. */
export const nodeOptions: readonly string[] = fromSource ? ["--conditions=@heddle/source"] : [];

/** This release. */
export const build = (): string => packageVersion(import.meta.url);

/** What `heddle up` can be told. */
export interface UpConfig extends ServerValues {
  readonly nodes: number;
  readonly processes: number | undefined;
  readonly listen: string;
  readonly tls: boolean;
  /** More names of this machine, with TLS. */
  readonly host: readonly string[];
  readonly dataDir: string | undefined;
  readonly ephemeral: boolean;
  readonly keptBytes: number | undefined;
  readonly spillBytes: number | undefined;
  readonly unschedulableMs: number | undefined;
  readonly logLevel: LogLevel;
  /** For tests. */
  readonly leaseMs: number | undefined;
  readonly heartbeatMs: number | undefined;
}

export const upSettings: SettingTable<UpConfig> = {
  nodes: count("N", "agents to start", 1, { min: 1, max: 1_000 }),
  processes: count("N", "worker processes of each agent (default: the cores of this machine, divided)", undefined, {
    min: 1,
    max: 65_536,
  }),
  listen: listenSetting(DEFAULT_ADDRESS),
  tls: flag(
    "speak TLS, with certificates that are made for this fabric and kept in DATA-DIR/tls: clients need one, too",
  ),
  host: list(
    "HOST",
    "with --tls: a name or IP address of this machine for its certificate; the first is what others are told",
  ),
  dataDir: text(
    "DIR",
    "keep shared objects, jobs (of calls with detach or jobId) and shipped code here; without it in temporary directories, and they end with it",
    undefined,
  ),
  ephemeral: flag("keep no jobs on disk, with --data-dir neither: they are in memory, and end with the coordinator"),
  keptBytes: count(
    "BYTES",
    "jobs that are kept, with their results: above it ended ones go, then no more are taken",
    undefined,
    {
      min: 1_048_576,
      max: Number.MAX_SAFE_INTEGER,
    },
  ),
  spillBytes: count(
    "BYTES",
    "results in --data-dir that wait for programs which read too slowly: above it their jobs begin nothing new instead; 0 for none (default: 2 GiB)",
    undefined,
    { min: 0, max: Number.MAX_SAFE_INTEGER },
  ),
  unschedulableMs: count(
    "MS",
    "how long work waits that no node could ever run before it fails; 0 for ever (default: 30000)",
    undefined,
    { min: 0, max: 86_400_000 },
  ),
  ...serverSettings,
  logLevel: choice(logLevels, "least important log entry to write to standard error", "warn"),
  leaseMs: count("MS", undefined, undefined, { min: 100, max: 86_400_000 }),
  heartbeatMs: count("MS", undefined, undefined, { min: 10, max: 86_400_000 }),
};

/** The address that client commands talk to: the option, else HEDDLE_ADDRESS, else the usual place. */
export function addressOf(option: string | undefined, environment: NodeJS.ProcessEnv = process.env): string {
  return givenAddress(option, environment) ?? DEFAULT_ADDRESS;
}

/** The same without the usual place: undefined when nobody said anything. */
export function givenAddress(
  option: string | undefined,
  environment: NodeJS.ProcessEnv = process.env,
): string | undefined {
  const given = option ?? environment.HEDDLE_ADDRESS ?? "";
  return given === "" ? undefined : given;
}

/** Set by the published bin when it had to start another Node: the descriptor of a pipe that it holds. */
export function takeParentFd(environment: NodeJS.ProcessEnv = process.env): number | undefined {
  const fd = environment.HEDDLE_PARENT_FD;
  delete environment.HEDDLE_PARENT_FD;
  return fd !== undefined && /^[1-9]\d{0,4}$/.test(fd) ? Number(fd) : undefined;
}
