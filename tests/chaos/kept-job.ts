import { type AsyncResult, type Fabric, type Manager, WorkerLostError } from "heddle";
import { errorWords } from "./companion-side.ts";
import { onceObjects } from "./once-lane.ts";
import { type Marked, markedSquare, type OnceObjects, writeOnce } from "./tasks.ts";

/** A detached job, the same whoever submits it. */
export interface KeptJob {
  readonly jobId: string;
  readonly items: number;
  readonly chunkSize: number;
  /** Of each item: how long it runs. */
  readonly ms: number;
  /** What its items write counts once; its results are collected. */
  readonly isOnce: boolean;
}

/** What a program is told that submits one, in its only argument as JSON. */
export interface SubmitterSettings {
  readonly address: string;
  readonly tlsDirectory: string;
  readonly ttlMs: number;
  readonly unavailableTimeoutMs: number;
  readonly job: KeptJob;
}

/** Submits it: once, whoever else does. */
export function submitKept(pool: ReturnType<Fabric["pool"]>, manager: Manager, job: KeptJob): AsyncResult<unknown> {
  const { jobId, items, chunkSize, ms, isOnce } = job;
  const numbers = Array.from({ length: items }, (_, n) => n);
  const options = { jobId, chunkSize, detach: true, name: isOnce ? "kept once" : "kept" } as const;
  if (!isOnce) {
    const inputs = numbers.map((n): [number, number] => [n, ms]);
    return pool.starmapAsync(markedSquare, inputs, options);
  }
  const objects = onceObjects(manager, jobId);
  const inputs = numbers.map((n): [number, OnceObjects] => [n, objects]);
  return pool.starmapAsync(writeOnce, inputs, { ...options, effects: "once", onError: "collect", retries: 2 });
}

/** An error as another process tells of it. */
export interface RemoteError {
  readonly name: string;
  readonly message: string;
}

/** What whoever attaches hears, in a form that travels: of each item its value or its error, or the error by which the whole job failed. */
export type Heard = readonly KeptResult[] | { readonly failure: RemoteError };
type KeptResult = { readonly value: Marked } | { readonly error: RemoteError };

/** Attaches to it and waits for its end. Rejects when that is not heard. */
export async function attachKept(fabric: Fabric, { jobId, isOnce }: KeptJob): Promise<Heard> {
  const result = fabric.attach(jobId);
  if (isOnce) {
    const settled = (await result.get()) as readonly PromiseSettledResult<Marked>[];
    return settled.map((one) =>
      one.status === "fulfilled" ? { value: one.value } : { error: errorWords(one.reason) },
    );
  }
  try {
    return ((await result.get()) as readonly Marked[]).map((value) => ({ value }));
  } catch (error) {
    if (!(error instanceof WorkerLostError)) throw error;
    return { failure: errorWords(error) };
  }
}
