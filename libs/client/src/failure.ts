import {
  heddleError,
  ItemTimeoutError,
  LimitError,
  SerializationError,
  type SerializationSide,
  WorkerLostError,
} from "@heddle/kernel";
import { decodeError, type FabricError, type Failure } from "@heddle/wire";
import { ownError } from "./own-errors.ts";

/** Where a task failed: the own property `remote` of the error that its caller gets. */
export interface RemotePlace {
  /** The node's name. */
  readonly node: string;
  /** The worker's process id there. */
  readonly pid: number;
  readonly jobId: string;
  /** Number of the chunk in its job. */
  readonly chunk: number;
  /** Index of the item in the call's inputs. */
  readonly index: number;
  /** Which placement of the item it was, from 1. */
  readonly attempt: number;
  /** The stack as the worker saw it, with files named as they are called here; "" when no code of the user threw. */
  readonly stack: string;
}

/** What a failure was about, beside what it says itself. */
export interface FailureContext {
  readonly jobId: string;
  readonly chunk: number;
  readonly index: number;
  /** Names the files in a worker's stack as they are called here. */
  readonly localStack: (stack: string) => string;
}

/** The error to give to the caller of a failed item. `userError` holds the bytes of the user's own error. */
export function failureError(failure: Failure, userError: Uint8Array | undefined, context: FailureContext): unknown {
  const { kind, place } = failure;
  switch (kind?.$case) {
    case "userError": {
      const error = userError === undefined ? new Error(failure.summary) : ownError(decodeError(userError));
      localise(error, context.localStack, new Set());
      return withRemote(error, failure, context, error instanceof Error ? (error.stack ?? "") : "");
    }
    case "workerLoss": {
      const { signal, exitCode, rssBytes, stderrTail } = kind.value;
      const loss = {
        index: context.index,
        node: place?.node ?? "",
        pid: place?.pid ?? 0,
        signal: signal === "" ? null : signal,
        exitCode: exitCode ?? null,
        rssBytes,
        attempts: place?.attempt ?? 1,
        stderrTail,
      };
      const words = `item ${context.index} was given up after ${loss.attempts} attempts: ${failure.summary} (node ${loss.node}, pid ${loss.pid})`;
      return new WorkerLostError(stderrTail === "" ? words : `${words}\n${stderrTail}`, loss);
    }
    case "itemTimeout": {
      const words = `item ${context.index} ran for longer than ${kind.value.timeoutMs} ms`;
      return withRemote(new ItemTimeoutError(words, context.index), failure, context, "");
    }
    case "fabricError":
      return withRemote(fabricErrorOf(itemNamed(kind.value, context.index)), failure, context, "");
    case undefined:
      return heddleError("internal", failure.summary);
  }
}

/** An error that the fabric raised elsewhere, as its own class. */
export function fabricErrorOf(error: FabricError): Error {
  if (error.code === "serialization")
    return new SerializationError(error.message, { path: error.path, side: error.side as SerializationSide });
  if (error.code === "limit" && error.limitName !== "")
    return new LimitError(error.limitName, error.limit, error.actual, error.message);
  const options = error.cause.byteLength === 0 ? undefined : { cause: ownError(decodeError(error.cause)) };
  return heddleError(error.code, error.message, options);
}

/** A value of an item was refused: the words say which item. */
function itemNamed(error: FabricError, index: number): FabricError {
  const isRefusal = error.code === "serialization" || error.code === "limit";
  return isRefusal ? { ...error, message: `item ${index}: ${error.message}` } : error;
}

/** The stacks of an error, its causes and its errors, with the user's own files in them. */
function localise(error: unknown, localStack: (stack: string) => string, seen: Set<unknown>): void {
  if (!(error instanceof Error) || seen.has(error)) return;
  seen.add(error);
  if (typeof error.stack === "string") {
    const value = localStack(error.stack);
    Object.defineProperty(error, "stack", { value, enumerable: false, configurable: true, writable: true });
  }
  localise(error.cause, localStack, seen);
  if (error instanceof AggregateError) for (const one of error.errors) localise(one, localStack, seen);
}

/** `stack`: as the worker saw it; "" when the error is not of user code. */
function withRemote(error: unknown, failure: Failure, context: FailureContext, stack: string): unknown {
  if (typeof error !== "object" || error === null || !Object.isExtensible(error)) return error;
  const remote: RemotePlace = {
    node: failure.place?.node ?? "",
    pid: failure.place?.pid ?? 0,
    jobId: context.jobId,
    chunk: context.chunk,
    index: context.index,
    attempt: failure.place?.attempt ?? 1,
    stack,
  };
  return Object.defineProperty(error, "remote", {
    value: remote,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}
