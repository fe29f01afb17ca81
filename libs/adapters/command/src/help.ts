import type { Setting } from "./setting.ts";
import { configSetting, flagName, type SettingTable } from "./settings.ts";

/** The help of a command made of settings. `command` is what the user types, such as "heddle agent". */
export function helpText<T extends object>(command: string, summary: string, table: SettingTable<T>): string {
  const settings: [string, Setting<unknown>][] = [
    ...Object.entries<Setting<unknown>>(table),
    ["config", configSetting],
  ];
  const rows: string[][] = settings
    .filter(([, { help }]) => help !== undefined)
    .map(([name, setting]) => [
      setting.isFlag === true ? `--${flagName(name)}` : `--${flagName(name)} <${setting.placeholder}>`,
      described(setting),
    ]);
  rows.push(["-h, --help", "show this help"]);
  const width = Math.max(...rows.map(([flag]) => flag?.length ?? 0));
  const options = rows.map(([flag, help]) => `  ${flag?.padEnd(width)}  ${help}`);
  const rule =
    "Every option is also an environment variable (--data-dir is HEDDLE_DATA_DIR) and a key of the config file (data-dir).\n" +
    "Options win over the environment, the environment over the file.";
  return `Usage: ${command} [options]\n\n${summary}\n\nOptions:\n${options.join("\n")}\n\n${rule}\n`;
}

function described({ help, fallback, isList }: Setting<unknown>): string {
  const shown = typeof fallback === "string" || typeof fallback === "number" ? ` (default: ${fallback})` : "";
  return `${help}${shown}${isList ? " (repeatable)" : ""}`;
}
