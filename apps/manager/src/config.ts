import {
  advertiseSetting,
  choice,
  count,
  listenSetting,
  type ServerValues,
  type SettingTable,
  serverSettings,
  type TlsValues,
  text,
  tlsSettings,
} from "@heddle/adapter-command";
import { type LogLevel, logLevels } from "@heddle/adapter-system";

/** What a manager can be told. */
export interface ManagerConfig extends ServerValues, TlsValues {
  readonly listen: string;
  readonly advertise: string | undefined;
  readonly dataDir: string | undefined;
  readonly logLevel: LogLevel;
  /** A directory of `heddle up` that goes with this process, unless that is killed. */
  readonly scratch: string | undefined;
  /** For tests. */
  readonly leaseMs: number | undefined;
  readonly heartbeatMs: number | undefined;
  readonly ttlMinMs: number | undefined;
  readonly ttlMaxMs: number | undefined;
}

const DAY_MS = 86_400_000;

export const settings: SettingTable<ManagerConfig> = {
  listen: listenSetting("127.0.0.1:7435"),
  advertise: advertiseSetting(),
  dataDir: text(
    "DIR",
    "keep objects, locks and sessions here; without it in a temporary directory, and they end with it",
    undefined,
  ),
  ...tlsSettings,
  ...serverSettings,
  logLevel: choice(logLevels, "least important log entry to write to standard error", "info"),
  scratch: text("DIR", undefined, undefined),
  leaseMs: count("MS", undefined, undefined, { min: 100, max: DAY_MS }),
  heartbeatMs: count("MS", undefined, undefined, { min: 10, max: DAY_MS }),
  ttlMinMs: count("MS", undefined, undefined, { min: 10, max: DAY_MS }),
  ttlMaxMs: count("MS", undefined, undefined, { min: 10, max: DAY_MS }),
};
