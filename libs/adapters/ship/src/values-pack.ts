import { createHash } from "node:crypto";
import { ARTIFACT_BYTES_MAX, CAPTURED_INLINE_BYTES_MAX, LimitError } from "@heddle/kernel";
import type { Artifact } from "@heddle/port-shipper";
import { decodeValue, encodeValue } from "@heddle/wire";
import type { CaptureGraph } from "./capture/graph.ts";

/** Bytes as an artifact, named by their hash. */
export function packBytes(bytes: Uint8Array): Artifact {
  return { hash: createHash("sha256").update(bytes).digest("hex"), bytes };
}

/** Captured values as they travel: large ones are an artifact of their own, which is sent once. Throws LimitError naming the largest. */
export function packValues(
  bytes: Uint8Array,
  { cells }: Pick<CaptureGraph, "cells">,
  bytesMax = ARTIFACT_BYTES_MAX,
): Uint8Array | Artifact {
  if (bytes.length <= CAPTURED_INLINE_BYTES_MAX) return bytes;
  if (bytes.length <= bytesMax) return packBytes(bytes);
  const names = cells.flatMap((cell) => (cell.kind === "value" ? [cell.name] : []));
  const words =
    `the values that the function captures have ${bytes.length} bytes, ARTIFACT_BYTES_MAX is ${bytesMax}: ` +
    `${largestOf(bytes, names)}pass large values as arguments, or make them inside`;
  throw new LimitError("ARTIFACT_BYTES_MAX", bytesMax, bytes.length, words);
}

/** Which variable has most of it, in words. What is encoded only tells the sizes when it is taken apart. */
function largestOf(bytes: Uint8Array, names: readonly string[]): string {
  const values = decodeValue(bytes, "value", { reviveFunction: () => undefined }) as readonly unknown[];
  const sizes = values.map((value, at) => ({ name: names[at], size: encodeValue(value, "value").length }));
  const [largest] = sizes.sort((one, other) => other.size - one.size);
  return largest?.name === undefined ? "" : `most of it is ${largest.name} (${largest.size} bytes); `;
}
