import { writeSync } from "node:fs";
import type { LogFields, Logger } from "@heddle/kernel";

/** From the most to the least talkative. */
export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LogOptions {
  /** Entries below it are dropped. */
  readonly level: LogLevel;
  /** One JSON object a line instead of text. */
  readonly json?: boolean;
  /** Takes one line with its line end; standard error by default. */
  readonly write?: (line: string) => void;
  /** Now, for people; the wall clock by default. */
  readonly now?: () => Date;
}

/** A logger that writes one line per entry, synchronously, so that the last words of a dying process are not lost. */
export function stderrLogger(options: LogOptions): Logger {
  const write = options.write ?? writeToStderr;
  const now = options.now ?? (() => new Date());
  const format = options.json === true ? jsonLine : textLine;
  const lowest = logLevels.indexOf(options.level);
  const at = (level: LogLevel) => {
    if (logLevels.indexOf(level) < lowest) return () => undefined;
    return (message: string, fields?: LogFields) => write(format(now(), level, message, fields));
  };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** A log must never be what kills the process: a closed or full standard error loses the line. */
function writeToStderr(line: string): void {
  try {
    writeSync(2, line);
  } catch {
    // Nowhere is left to say so.
  }
}

function jsonLine(time: Date, level: LogLevel, message: string, fields: LogFields | undefined): string {
  return `${JSON.stringify({ time: time.toISOString(), level, message, ...fields })}\n`;
}

function textLine(time: Date, level: LogLevel, message: string, fields: LogFields | undefined): string {
  let line = `${time.toISOString()} ${level.padEnd(5)} ${quoted(message, false)}`;
  for (const [name, value] of Object.entries(fields ?? {})) {
    if (value !== undefined) line += ` ${name}=${typeof value === "string" ? quoted(value, true) : value}`;
  }
  return `${line}\n`;
}

/** One line, whatever the text: control characters are written as JSON writes them. */
function quoted(text: string, spaces: boolean): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  const plain = spaces ? /^[^\s"=\x00-\x1f\x7f-\x9f]+$/ : /^[^\x00-\x1f\x7f-\x9f]*$/;
  if (plain.test(text)) return text;
  const escaped = JSON.stringify(text).replace(
    /[\x7f-\x9f]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return spaces ? escaped : escaped.slice(1, -1);
}
