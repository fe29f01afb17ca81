import { SerializationError } from "@heddle/kernel";
import { ValueReader } from "./reader.ts";
import { ValueWriter } from "./writer.ts";

/** What is kept of a text of an error that as a whole is too large. */
const TEXT_LENGTH_MAX = 16 * 1024;

/** Never throws. */
export function writeErrorValue(error: unknown): Uint8Array {
  try {
    return bytesOf(error);
  } catch (reason) {
    return bytesOf(isErrorAfterAll(error) ? shortened(error) : untravelled(reason));
  }
}

function isErrorAfterAll(error: unknown): error is Error {
  try {
    return error instanceof Error;
  } catch {
    return false; // a proxy whose traps throw
  }
}

function bytesOf(value: unknown): Uint8Array {
  const writer = new ValueWriter("error");
  writer.write(value);
  return writer.take();
}

/** Stands for a thrown thing that is no error and cannot travel: the reason why. */
function untravelled(reason: unknown): Error {
  const message = reason instanceof Error ? reason.message : "unknown";
  return new SerializationError(`what was thrown cannot travel: ${message}`, { path: "$", side: "error" });
}

/** The texts of an error, cut to a size that always travels. */
function shortened(error: Error): Error {
  const name = cut(() => error.name);
  const short = new Error(cut(() => error.message));
  short.name = name;
  short.stack = cut(() => error.stack ?? `${name}: ${short.message}`);
  return short;
}

function cut(read: () => unknown): string {
  try {
    return String(read()).slice(0, TEXT_LENGTH_MAX);
  } catch {
    return "unknown"; // the thrower's own getter failed
  }
}

export function readErrorValue(bytes: Uint8Array): unknown {
  const reader = new ValueReader(bytes, "error");
  const value = reader.read();
  reader.end();
  return value;
}
