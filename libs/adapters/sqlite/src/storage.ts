import type { HeddleError } from "@heddle/kernel";

type MakeError = new (message: string, options?: ErrorOptions) => HeddleError;

/** What tells one kind of storage from another to those who use it. */
export interface StorageKind {
  /** What it is called in messages. */
  readonly what: string;
  /** The program of its thread: a file beside this one, in sources and in bundles. */
  readonly thread: URL;
  readonly FullError: MakeError;
  readonly FailedError: MakeError;
  readonly DamagedError: MakeError;
  readonly LockedError: MakeError;
}

/** Where the program of a thread lies: beside whoever asks (`from`: its import.meta.url), in sources and in bundles. */
export function threadBeside(from: string, name: string): URL {
  return new URL(`./${name}.${from.endsWith(".ts") ? "ts" : "js"}`, from);
}
