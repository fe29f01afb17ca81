import { JobId, NotFoundError, StateError } from "@heddle/kernel";
import { AsyncResult } from "./async-result.ts";
import type { Connection } from "./connection.ts";
import { type JobKeeper, KeptCall } from "./kept-call.ts";
import type { KeptJobFacts, KeptResults } from "./kept-listener.ts";
import type { PoolHost } from "./pool-calls.ts";
import { progressOf } from "./progress.ts";
import { ArraySink, SettledSink, type TypedArrayConstructor, TypedSink } from "./result-sinks.ts";

/** Results of a kept job as whoever attaches to it gets them. */
interface AttachedResults extends KeptResults {
  readonly value: () => unknown;
}

/** Which job is attached to, and where. */
interface Attachment {
  readonly id: string;
  readonly keeper: JobKeeper;
  readonly connection: Connection;
  /** The fabric, for whoever looks for the job in the wrong one; undefined where that is known. */
  readonly place: string | undefined;
}

/** The result of a job that the fabric keeps, whoever has submitted it. It is attached to when somebody wants the result. */
export function attachedResult<R>(host: PoolHost, { place, ...at }: Attachment): AsyncResult<R> {
  const { clock } = host.env;
  const sinceMs = clock.nowMs();
  let results: AttachedResults | undefined;
  let isOnce = false;
  const call = new KeptCall({
    ...{ ...at, id: JobId(at.id), host, submission: undefined, isDetached: true },
    results: (job) => {
      results = attachedResults(host, job);
      isOnce = job.isOnce;
      return results;
    },
    wanted: () => undefined,
  });
  const outcome = call.outcome.then(
    () => results?.value() as R,
    (error: unknown) => {
      throw results === undefined ? lookedAt(place, error) : error;
    },
  );
  const close = (): void => {
    if (isOnce && call.hasEnded) host.effects?.close(call.id).catch(() => undefined); // its outcomes are kept no longer; it may have been closed by another
  };
  void call.outcome.then(close, close);
  outcome.catch(() => undefined); // an AsyncResult that nobody awaits is no unhandled rejection
  return new AsyncResult<R>(
    {
      ...{ jobId: at.id, outcome, progress: () => progressOf(call.counts, clock.nowMs() - sinceMs) },
      cancel: (reason) => call.cancel(reason),
      accepted: () => call.whenAccepted(),
      want: () => call.want(),
    },
    clock,
  );
}

/** A job that is not there may be elsewhere. */
function lookedAt(place: string | undefined, error: unknown): unknown {
  if (place === undefined || !(error instanceof NotFoundError)) return error;
  return new NotFoundError(`${error.message}; asked was ${place}`, { cause: error });
}

function attachedResults({ results: hooks }: PoolHost, { shape, items }: KeptJobFacts): AttachedResults {
  switch (shape) {
    case "item": {
      const sink = new ArraySink(items, hooks);
      return { sink, onItemError: "fail", value: () => sink.results[0] };
    }
    case "list": {
      const sink = new ArraySink(items, hooks);
      return { sink, onItemError: "fail", value: () => sink.results };
    }
    case "settled": {
      const sink = new SettledSink(items, hooks);
      return { sink, onItemError: "keep", value: () => sink.results };
    }
    default: {
      const into = TYPED_ARRAYS.find(({ name }) => name === shape);
      if (into === undefined)
        throw new StateError(`results of the kind ${JSON.stringify(shape)} are of a newer program`);
      const sink = new TypedSink(into, items);
      return { sink, onItemError: "fail", value: () => sink.results };
    }
  }
}

const TYPED_ARRAYS: readonly TypedArrayConstructor[] = [
  ...[Float64Array, Float32Array, Int32Array, Uint32Array, Int16Array, Uint16Array],
  ...[Int8Array, Uint8Array, Uint8ClampedArray, BigInt64Array, BigUint64Array],
];
