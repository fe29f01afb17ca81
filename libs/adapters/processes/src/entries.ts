import {
  type NestedEntry,
  type Payload,
  RunRequestEntry,
  RunResponseEntry,
  type WorkerRequestEntry,
  type WorkerResponseEntry,
} from "@heddle/wire";

/** Field tags, numbers and short texts of an entry, generously. */
const ENTRY_OVERHEAD_BYTES = 256;

/** About the encoded size of an entry to a worker, in bytes; never much less than it is. */
export function requestBytes({ kind }: WorkerRequestEntry): number {
  switch (kind?.$case) {
    case "part":
      return ENTRY_OVERHEAD_BYTES + kind.value.data.length;
    case "runChunk":
      return ENTRY_OVERHEAD_BYTES + payloadBytes(kind.value.input) + payloadBytes(kind.value.restored?.state);
    case "stopNotice":
      return ENTRY_OVERHEAD_BYTES + 3 * kind.value.reason.length;
    case "prepareJob":
      return prepareBytes(kind.value);
    case "artifactPlace":
      return ENTRY_OVERHEAD_BYTES + 3 * (kind.value.location.length + kind.value.missing.length);
    case "runProcess":
      return (
        ENTRY_OVERHEAD_BYTES + targetBytes(kind.value.target) + 3 * (kind.value.name.length + kind.value.path.length)
      );
    case "nestedResponse":
      return sum(kind.value.entries, nestedResponseBytes);
    case "objectReplies":
      return ENTRY_OVERHEAD_BYTES + payloadBytes(kind.value.batch);
    case "objectRevoked":
      return ENTRY_OVERHEAD_BYTES + 3 * (kind.value.object.length + kind.value.reason.length);
    case "nestedEnded":
    case "objectsState":
      return ENTRY_OVERHEAD_BYTES + 3 * kind.value.message.length;
    default:
      return ENTRY_OVERHEAD_BYTES;
  }
}

/** About the encoded size of an entry from a worker, in bytes; never much less than it is. */
export function responseBytes({ kind }: WorkerResponseEntry): number {
  switch (kind?.$case) {
    case "part":
      return ENTRY_OVERHEAD_BYTES + kind.value.data.length;
    case "chunkReturned":
      return ENTRY_OVERHEAD_BYTES + outcomeBytes(kind.value.outcome);
    case "checkpoint":
      return ENTRY_OVERHEAD_BYTES + payloadBytes(kind.value.state);
    case "nestedRequest":
      return sum(kind.value.entries, nestedRequestBytes);
    case "objectOperations":
      return ENTRY_OVERHEAD_BYTES + payloadBytes(kind.value.batch) + 9 * kind.value.acknowledged.length;
    default:
      return ENTRY_OVERHEAD_BYTES;
  }
}

type Prepare = Extract<WorkerRequestEntry["kind"], { $case: "prepareJob" }>["value"];

function prepareBytes(prepare: Prepare): number {
  const { combine, initializer } = prepare;
  const combineBytes = combine === undefined ? 0 : placedBytes(combine);
  return placedBytes(prepare) + combineBytes + targetBytes(initializer);
}

/** Of a call that is made once. */
function targetBytes(target: Prepare["initializer"]): number {
  if (target === undefined) return 0;
  const { function: fn, args, argsLocation } = target;
  return (fn === undefined ? 0 : placedBytes(fn)) + args.length + 3 * argsLocation.length;
}

/** Of a function and where it lies. */
function placedBytes(placed: NonNullable<Prepare["combine"]>): number {
  const texts = placed.location.length + placed.capturedLocation.length + placed.exportName.length;
  return ENTRY_OVERHEAD_BYTES + placed.captured.length + 3 * texts;
}

function sum<T>(all: readonly T[], bytesOf: (one: T) => number): number {
  return all.reduce((bytes, one) => bytes + bytesOf(one), ENTRY_OVERHEAD_BYTES);
}

function nestedResponseBytes(entry: RunResponseEntry): number {
  if (entry.kind?.$case === "part") return ENTRY_OVERHEAD_BYTES + entry.kind.value.data.length;
  if (entry.kind?.$case === "spanDone") return ENTRY_OVERHEAD_BYTES + payloadBytes(entry.kind.value.values);
  return ENTRY_OVERHEAD_BYTES + RunResponseEntry.encode(entry).finish().length; // rare, and full of words
}

function nestedRequestBytes({ entry }: NestedEntry): number {
  if (entry === undefined) return ENTRY_OVERHEAD_BYTES;
  if (entry.kind?.$case === "part") return ENTRY_OVERHEAD_BYTES + entry.kind.value.data.length;
  if (entry.kind?.$case === "offerChunk") return ENTRY_OVERHEAD_BYTES + payloadBytes(entry.kind.value.input);
  return ENTRY_OVERHEAD_BYTES + RunRequestEntry.encode(entry).finish().length;
}

type Outcome = Extract<WorkerResponseEntry["kind"], { $case: "chunkReturned" }>["value"]["outcome"];

function outcomeBytes(outcome: Outcome): number {
  if (outcome?.$case === "done") return payloadBytes(outcome.value);
  if (outcome?.$case === "part") return payloadBytes(outcome.value.values);
  if (outcome?.$case === "initFailure") return outcome.value.error.length + 3 * outcome.value.summary.length;
  if (outcome?.$case !== "error") return 0;
  const { values, failure } = outcome.value;
  const error = failure?.kind?.$case === "userError" ? payloadBytes(failure.kind.value) : 0;
  const refusal = failure?.kind?.$case === "fabricError" ? 3 * failure.kind.value.message.length : 0;
  return payloadBytes(values) + error + refusal + 3 * (failure?.summary.length ?? 0);
}

function payloadBytes(payload: Payload | undefined): number {
  return payload?.data.length ?? 0;
}
