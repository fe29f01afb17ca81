import { ProtocolError, SerializationError } from "@heddle/kernel";
import { decodeValue, type PrepareJob } from "@heddle/wire";
import type { Functions } from "./functions.ts";
import { MissingPart } from "./missing.ts";

/** A pool's initializer, ready to be run. */
export type PlacedInitializer = NonNullable<PrepareJob["initializer"]>;

/** Runs a pool's initializer to its end. Rejects with what it throws, or with what keeps it from being run. */
export async function runInitializer(placed: PlacedInitializer, functions: Functions): Promise<void> {
  if (placed.function === undefined) throw new ProtocolError("an initializer came without its function");
  const fn = await functions.load(placed.function);
  const bytes =
    placed.argsArtifact === "" ? placed.args : await functions.read(placed.argsLocation, placed.argsArtifact);
  const args = await argumentsOf(bytes, functions);
  await fn(...args);
}

async function argumentsOf(bytes: Uint8Array, functions: Functions): Promise<readonly unknown[]> {
  let args: unknown;
  try {
    args = decodeValue(bytes, "argument", functions.hooks);
  } catch (error) {
    if (!(error instanceof MissingPart)) throw error;
    args = await withFunctions(bytes, functions);
  }
  if (Array.isArray(args)) return args;
  throw new SerializationError("arguments of an initializer are no array", { path: "$", side: "argument" });
}

async function withFunctions(bytes: Uint8Array, functions: Functions): Promise<unknown> {
  try {
    await functions.fetch((hooks) => void decodeValue(bytes, "argument", hooks));
    return decodeValue(bytes, "argument", functions.hooks);
  } finally {
    functions.forget();
  }
}
