import { decodePayload, encodePayload } from "@heddle/wire";
import { NO_VALUES } from "./chunk-run.ts";
import type { ChunkOutcome } from "./chunk-state.ts";
import { userFailure } from "./failures.ts";

/**
 * A chunk of which a write to a shared object failed that no task awaited. Its last item that has a value fails with it: those before it keep theirs, and
 * none runs again for it. Folded values belong to no single item: then it is the first item, and nothing is kept.
 */
export function withUnawaited(outcome: ChunkOutcome, error: unknown, firstOffset: number): ChunkOutcome {
  const { values, completed, end } = outcome;
  if (end.type === "failed") return outcome; // an item's own error says more
  const kept = values.count === completed && completed > 0 ? completed - 1 : 0;
  return {
    values: kept === 0 ? NO_VALUES : encodePayload(decodePayload(values, { offset: 0, count: kept }), "result"),
    completed: kept,
    end: { type: "failed", failure: userFailure(firstOffset + kept, error) },
  };
}
