import type {
  AssignmentId,
  ClientKey,
  Effect,
  Input,
  JobKey,
  Outcome,
  PoolKey,
  Requirements,
} from "@heddle/core-scheduler";
import type { Millis } from "@heddle/kernel";

type EffectOf<T extends Effect["type"]> = Extract<Effect, { readonly type: T }>;

/** What is known of an item by inputs and effects alone. */
export interface ItemFacts {
  state: "open" | "delivered" | "failed";
  attempt: number;
  /** Its own errors, worker deaths with it in the span, and lost nodes with it in the span, as told to the core. */
  errors: number;
  deaths: number;
  losses: number;
  placedIn: AssignmentId | undefined;
  /** A second assignment while the first one lives. */
  backupIn: AssignmentId | undefined;
  /** It came back unbegun with others: it is placed with none of another grain. */
  cut: boolean;
  /** So it did last, and has not been placed since. */
  isUnbegun: boolean;
}

/** The same of a job. */
export interface JobFacts {
  readonly pool: PoolKey;
  readonly retries: number;
  readonly depth: number;
  readonly collect: boolean;
  readonly ordered: boolean;
  readonly speculate: boolean;
  readonly unreadBytesMax: number;
  readonly wants: readonly (Requirements | undefined)[];
  unreadBytes: number;
  /** There is no room for more results of it. */
  throttled: boolean;
  /** Chunks below this number leave a gap before a result from a session before, when it is ordered. */
  readonly gapChunks: number;
  readonly grains: Map<number, number>;
  readonly chunks: Map<number, ItemFacts[]>;
  readonly released: Set<number>;
  failedItems: number;
  ended: string | undefined;
  cancelRequested: boolean;
  /** Since when there are nodes that stay, none of which could run it. */
  lackingSinceMs: Millis | undefined;
}

/** The same of a pool. */
export interface PoolFacts {
  readonly client: ClientKey;
  readonly slotsMax: number | undefined;
  readonly wants: Requirements | undefined;
  closed: boolean;
  /** Failures of its initializer, no chunk of it having been run in between. */
  initFailures: number;
}

/** The same of a node. */
export interface NodeFacts {
  slots: number;
  readonly labels: ReadonlyMap<string, string>;
  readonly resources: ReadonlyMap<string, number>;
  credit: number;
  silent: boolean;
  cordoned: boolean;
  /** When what is left is to be stopped; undefined when nobody wants it drained. */
  stopAtMs: Millis | undefined;
  /** The same as of the step before: what is due comes before what a step is told. */
  stopBeforeMs: Millis | undefined;
  leaving: boolean;
  /** It was said that nothing is left, since it was last told to drain or leaves. */
  drained: boolean;
  /** Undefined when it is not excluded. */
  excludedUntilMs: Millis | undefined;
  /** It was excluded before. */
  warned: boolean;
  /** Chunks that killed a worker of it or for which none could start, since it joined or came back. */
  readonly troubles: Set<string>;
  /** Of those that live: begun as was told, and asked back. */
  readonly started: Set<AssignmentId>;
  readonly revoked: Map<AssignmentId, "if-unstarted" | "stop">;
  readonly live: Map<AssignmentId, EffectOf<"assign-chunk">>;
  /** Jobs and pools it was given chunks of and not told to forget. */
  readonly jobs: Set<JobKey>;
  readonly pools: Set<PoolKey>;
}

/** An item that was just offered. */
export function newItem(): ItemFacts {
  const none = { attempt: 0, errors: 0, deaths: 0, losses: 0 };
  return { state: "open", ...none, placedIn: undefined, backupIn: undefined, cut: false, isUnbegun: false };
}

/** What an answer says of the items of its span, which begins at `first`. */
export function learnOutcome(items: readonly ItemFacts[], first: number, outcome: Outcome): void {
  switch (outcome.type) {
    case "worker-death":
      for (const item of items) item.deaths++;
      return;
    case "item-error":
      for (const item of items.slice(outcome.completed, outcome.completed + 1)) item.errors++;
      return;
    case "item-overdue":
      for (const item of items.slice(outcome.offset - first).slice(0, 1)) item.errors++;
      return;
    case "part-done":
      for (const item of items.slice(outcome.completed)) item.cut = item.isUnbegun = true;
      return;
    case "done":
    case "not-started":
    case "init-failed":
    case "stopped":
      return;
  }
}

/** A node that has just joined. */
export function newNode({ slots, labels, resources }: Extract<Input, { readonly type: "node-joined" }>): NodeFacts {
  const drain = { stopAtMs: undefined, stopBeforeMs: undefined, leaving: false, drained: false };
  const health = { excludedUntilMs: undefined, warned: false, troubles: new Set<string>() };
  const told = { started: new Set<AssignmentId>(), revoked: new Map() };
  const given = { live: new Map(), jobs: new Set<JobKey>(), pools: new Set<PoolKey>(), ...told };
  return { slots, labels, resources, credit: 0, silent: false, cordoned: false, ...drain, ...health, ...given };
}

/** Neither silent nor cordoned nor leaving nor excluded. */
export function isReady({ silent, cordoned, leaving, excludedUntilMs }: NodeFacts): boolean {
  return !silent && !cordoned && !leaving && excludedUntilMs === undefined;
}

/** What one chunk of a job takes from its node. */
export function amountsOf(job: JobFacts | undefined): ReadonlyMap<string, number> {
  return new Map([...(job?.wants[1]?.resources ?? []), ...(job?.wants[0]?.resources ?? [])]);
}

/** Takes in what was said of an open job; undefined when it was never opened. */
export function learnOfJob(
  job: JobFacts | undefined,
  input: Extract<Input, { type: "results-taken" | "job-throttled" | "job-cancel-requested" }>,
): void {
  if (job === undefined) return;
  if (input.type === "results-taken") job.unreadBytes = Math.max(0, job.unreadBytes - input.bytes);
  else if (input.type === "job-throttled") job.throttled = input.throttled;
  else job.cancelRequested = true;
}
