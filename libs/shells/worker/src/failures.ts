import { type HeddleError, ITEM_BYTES_MAX, LimitError, SerializationError } from "@heddle/kernel";
import {
  type ChunkReturned,
  type EncodedPayload,
  Encoding,
  encodeError,
  type FabricError,
  type Failure,
  type Place,
} from "@heddle/wire";
import { INIT_ERROR_BYTES_MAX, SUMMARY_BYTES_MAX } from "./limits.ts";
import { trimStacks } from "./stacks.ts";

/** What a worker says of an initializer that failed. */
export type ReturnedInitFailure = Extract<ChunkReturned["outcome"], { $case: "initFailure" }>["value"];

/** A failing item before it is put on the wire: the user's error still is a payload to be sent in parts, if need be. */
export interface ItemFailure {
  /** Counted from the chunk's first item. */
  readonly offset: number;
  readonly summary: string;
  readonly kind:
    | { readonly type: "user"; readonly error: EncodedPayload }
    | { readonly type: "fabric"; readonly error: FabricError };
}

/** The function, or its module, threw this. Whatever it is, it travels. */
export function userFailure(offset: number, error: unknown): ItemFailure {
  const summary = summaryOf(error);
  trimStacks(error);
  let bytes = encodeError(error);
  if (bytes.length > ITEM_BYTES_MAX) bytes = encodeError(new Error(`${summary} (too large to travel in full)`));
  return { offset, summary, kind: { type: "user", error: { encoding: Encoding.MSGPACK, count: 1, bytes } } };
}

/** The fabric refused: an argument or a result that cannot travel, code that is not what it should be. */
export function fabricFailure(offset: number, error: HeddleError, side: string): ItemFailure {
  const wordsMax = 4 * SUMMARY_BYTES_MAX;
  const path = error instanceof SerializationError ? cut(error.path, wordsMax) : "";
  const at = error instanceof SerializationError ? { path, side } : { path, side: "" };
  const { limitName, limit, actual } = error instanceof LimitError ? error : { limitName: "", limit: 0, actual: 0 };
  const message = cut(error.message, wordsMax);
  const value = { code: error.code, message, ...at, limitName, limit, actual, cause: new Uint8Array(0) };
  return { offset, summary: summaryOf(error), kind: { type: "fabric", error: value } };
}

/** A pool's initializer threw this. Where it is too large to travel its summary has to do. */
export function initFailure(error: unknown): ReturnedInitFailure {
  const summary = summaryOf(error);
  trimStacks(error);
  const bytes = encodeError(error);
  return { summary, error: bytes.length > INIT_ERROR_BYTES_MAX ? new Uint8Array(0) : bytes };
}

/** An error of ours that says that a value cannot travel. */
export function isRefusal(error: unknown): error is SerializationError | LimitError {
  return error instanceof SerializationError || error instanceof LimitError;
}

/** The failure as it is sent; `userError` is the header of the user's error. */
export function failureMessage(failure: ItemFailure, place: Place, userError: Failure["kind"]): Failure {
  const { offset, summary, kind } = failure;
  if (kind.type === "user") return { offset, place, summary, kind: userError };
  return { offset, place, summary, kind: { $case: "fabricError", value: kind.error } };
}

/** Name and message of whatever was thrown, on one line, at most SUMMARY_BYTES_MAX. */
function summaryOf(error: unknown): string {
  return cut(text(error).replaceAll(/\s*\n\s*/g, " "), SUMMARY_BYTES_MAX);
}

function text(error: unknown): string {
  try {
    if (error instanceof Error) return error.message === "" ? error.name : `${error.name}: ${error.message}`;
    return typeof error === "string" ? error : `thrown: ${String(error)}`;
  } catch {
    return "something was thrown that cannot be described"; // its own getters or toString failed
  }
}

/** The longest beginning of a text that has at most so many bytes in UTF-8. */
function cut(whole: string, bytesMax: number): string {
  if (whole.length * 3 <= bytesMax) return whole;
  const { read } = new TextEncoder().encodeInto(whole, new Uint8Array(bytesMax));
  return whole.slice(0, read);
}
