import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LogFields, Logger } from "@heddle/kernel";

/** A directory of its own for one test; everything in it goes with it. */
export interface Scratch extends Disposable {
  /** A path that is not there yet. */
  readonly fresh: () => string;
}

export function scratchDirectory(): Scratch {
  let path: string | undefined;
  let count = 0;
  return {
    fresh: () => {
      path ??= mkdtempSync(join(tmpdir(), "sqlite-journal-test-"));
      return join(path, String(count++));
    },
    [Symbol.dispose]: () => {
      if (path !== undefined) rmSync(path, { recursive: true, force: true });
    },
  };
}

/** A log that a test can look at. */
export interface KeptLog extends Logger {
  readonly lines: { readonly message: string; readonly fields: LogFields | undefined }[];
}

export function keptLog(): KeptLog {
  const lines: KeptLog["lines"] = [];
  const keep = (message: string, fields?: LogFields): void => {
    lines.push({ message, fields });
  };
  return { lines, debug: keep, info: keep, warn: keep, error: keep };
}
