import {
  advertiseSetting,
  choice,
  count,
  flag,
  listenSetting,
  type ServerValues,
  type SettingTable,
  serverSettings,
  type TlsValues,
  text,
  tlsSettings,
} from "@heddle/adapter-command";
import { type LogLevel, logLevels } from "@heddle/adapter-system";
import { KEPT_BYTES_MAX, SPILL_BYTES_MAX } from "@heddle/shell-coordinator";

/** Shipped code that a coordinator keeps. Above, what was unused for longest goes, and clients send it again. */
export const ARTIFACTS_BYTES_MAX = 1024 * 1024 * 1024;

/** What a coordinator can be told. */
export interface CoordinatorConfig extends ServerValues, TlsValues {
  readonly listen: string;
  readonly advertise: string | undefined;
  readonly dataDir: string | undefined;
  readonly ephemeral: boolean;
  readonly keptBytes: number;
  readonly spillBytes: number;
  readonly manager: string | undefined;
  readonly unschedulableMs: number;
  readonly logLevel: LogLevel;
  /** For tests. */
  readonly leaseMs: number | undefined;
  readonly heartbeatMs: number | undefined;
}

const DAY_MS = 86_400_000;

export const settings: SettingTable<CoordinatorConfig> = {
  listen: listenSetting("127.0.0.1:7433"),
  advertise: advertiseSetting(),
  dataDir: text(
    "DIR",
    "keep jobs (those of calls with detach or jobId, and what is told of ended ones) and shipped code here; without it in a temporary directory, and they end with this process",
    undefined,
  ),
  ephemeral: flag("keep no jobs on disk, with --data-dir neither: they are in memory, and end with this process"),
  keptBytes: count(
    "BYTES",
    "jobs that are kept, with their results: above it ended ones go, then no more are taken",
    KEPT_BYTES_MAX,
    {
      min: 1_048_576,
      max: Number.MAX_SAFE_INTEGER,
    },
  ),
  spillBytes: count(
    "BYTES",
    "results in --data-dir that wait for programs which read too slowly: above it, and without --data-dir, their jobs begin nothing new instead; 0 for none",
    SPILL_BYTES_MAX,
    { min: 0, max: Number.MAX_SAFE_INTEGER },
  ),
  manager: text(
    "ADDRESS",
    "the manager of this fabric, for shared objects and locks; without it there are none",
    undefined,
  ),
  unschedulableMs: count(
    "MS",
    "how long work waits that no node could ever run, while there are nodes, before it fails; 0 for ever",
    30_000,
    { min: 0, max: DAY_MS },
  ),
  ...tlsSettings,
  ...serverSettings,
  logLevel: choice(logLevels, "least important log entry to write to standard error", "info"),
  leaseMs: count("MS", undefined, undefined, { min: 100, max: DAY_MS }),
  heartbeatMs: count("MS", undefined, undefined, { min: 10, max: DAY_MS }),
};
