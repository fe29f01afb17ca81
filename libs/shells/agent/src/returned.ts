import { foldedCount, ProtocolError, unreachable } from "@heddle/kernel";
import type { ChunkReturned, Failure, Payload } from "@heddle/wire";
import { FAILURE_WORDS_MAX, INIT_ERROR_BYTES_MAX, INIT_SUMMARY_BYTES_MAX } from "./limits.ts";
import type { ChunkRecord } from "./records.ts";

type Outcome = ChunkReturned["outcome"];

/** The values in an outcome. Throws ProtocolError when there is no outcome. */
export function valuesOf(outcome: Outcome): Payload | undefined {
  switch (outcome?.$case) {
    case "done":
      return outcome.value;
    case "error":
    case "part":
      return outcome.value.values;
    case "skipped":
    case "initFailure":
      return undefined;
    case undefined:
      throw new ProtocolError("a returned chunk came without its outcome");
    default:
      return unreachable(outcome);
  }
}

/** Values that are sent on only once they are whole: what follows them is said in the same entry, or they may be void. */
export function areKept(outcome: Outcome): boolean {
  return outcome?.$case === "error" || outcome?.$case === "part";
}

/** Throws ProtocolError for an outcome that the chunk cannot have: the coordinator would refuse the whole node for it. */
export function checkOutcome(outcome: Outcome, chunk: ChunkRecord): void {
  const count = itemsOf(chunk);
  switch (outcome?.$case) {
    case "done":
      if (outcome.value.count !== valuesFor(chunk, count))
        throw new ProtocolError(`a worker returned ${outcome.value.count} values for ${count} items`);
      return;
    case "error": {
      const { completed, values, failure } = outcome.value;
      if (completed >= count || values?.count !== valuesFor(chunk, completed))
        throw new ProtocolError(
          `a worker returned ${values?.count} values and an error at item ${completed} of ${count}`,
        );
      if (failure === undefined || wordsOf(failure) > FAILURE_WORDS_MAX)
        throw new ProtocolError("a worker returned an error without its failure, or described it at too great length");
      return;
    }
    case "part": {
      const { completed, values } = outcome.value;
      const isPart = chunk.assign.grain > 0 && completed > 0 && completed < count;
      if (!isPart || values?.count !== valuesFor(chunk, completed))
        throw new ProtocolError(`a worker returned ${values?.count} values for ${completed} of ${count} items`);
      return;
    }
    case "initFailure":
      if (outcome.value.error.length > INIT_ERROR_BYTES_MAX || outcome.value.summary.length > INIT_SUMMARY_BYTES_MAX)
        throw new ProtocolError("a worker described the failure of an initializer at too great length");
      if (chunk.job.description.initializer === undefined || chunk.worker?.joined === true)
        throw new ProtocolError("a worker reported the failure of an initializer that it does not have, or has run");
      return;
    default:
      return;
  }
}

/** Characters in a failure, beside its payload. */
export function wordsOf({ summary, kind }: Failure): number {
  if (kind?.$case === "workerLoss") return summary.length + kind.value.signal.length + kind.value.stderrTail.length;
  if (kind?.$case !== "fabricError") return summary.length;
  const { code, message, path, side, limitName, cause } = kind.value;
  return [summary, code, message, path, side, limitName, cause].reduce((sum, { length }) => sum + length, 0);
}

/** The part of the chunk's items that ran, and how many of its grains that are. */
export function progressOf(outcome: Outcome, chunk: ChunkRecord): { readonly share: number; readonly grains: number } {
  const count = itemsOf(chunk);
  if (outcome?.$case === "part")
    return { share: outcome.value.completed / count, grains: grainsOf(chunk, outcome.value.completed) };
  const ran = outcome?.$case === "error" ? outcome.value.completed + 1 : count;
  return { share: 1, grains: grainsOf(chunk, ran) };
}

/** Grains that the first `count` items of the chunk's span are in. */
export function grainsOf({ assign: { grain, span } }: Pick<ChunkRecord, "assign">, count: number): number {
  if (grain === 0 || count === 0) return 1;
  const offset = span?.offset ?? 0;
  return Math.floor((offset + count - 1) / grain) - Math.floor(offset / grain) + 1;
}

/** Items that the chunk runs. */
export function itemsOf({ assign, input }: Pick<ChunkRecord, "assign" | "input">): number {
  return assign.span?.count ?? input.count;
}

/** Values that the first `count` items of the chunk have. */
function valuesFor({ job, assign: { firstIndex, span } }: ChunkRecord, count: number): number {
  return job.description.combine === undefined ? count : foldedCount(firstIndex + (span?.offset ?? 0), count);
}
