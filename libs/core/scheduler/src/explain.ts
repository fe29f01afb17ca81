import type { Millis } from "@heddle/kernel";
import { hasPlaceable } from "./fairness.ts";
import { lackText } from "./lack.ts";
import { expectedMs } from "./lifetimes.ts";
import { couldTake, hasFree } from "./needs.ts";
import { placedSpans } from "./spans.ts";
import type { Job, Node, Span, State } from "./state.ts";
import type { AssignmentId, NodeView } from "./types.ts";
import { nodeView } from "./views.ts";

/** Why chunks of a job are not placed. `chunks`: how many it keeps, spans of split ones counted each. */
export type Wait = { readonly chunks: number } & Cause;

type Cause =
  /** An item of each failed and is tried again later, the first at `nextMs`. */
  | { readonly type: "retry"; readonly nextMs: Millis }
  /** The client reads its results too slowly. */
  | { readonly type: "throttled-client" }
  /** So much is delivered and not taken, and no more may be. */
  | { readonly type: "unread-results"; readonly bytes: number; readonly bytesMax: number }
  /** There is no room for more results of it. */
  | { readonly type: "throttled-job" }
  | { readonly type: "no-node" }
  /** None of the nodes could ever run it. It fails at `failsAtMs`, undefined for never. */
  | { readonly type: "lacking"; readonly lack: string; readonly failsAtMs: Millis | undefined }
  /** Of the nodes that could run it none takes work; how many there are, by state. */
  | {
      readonly type: "no-ready-node";
      readonly states: ReadonlyMap<NodeView["state"] | "on-hold" | "no-credit", number>;
    }
  /** Of the nodes that could run it and take work, all come to their end before a chunk of it would, which takes so long; the last of them is told to end in `longestMs`. */
  | { readonly type: "no-lasting-node"; readonly nodes: number; readonly neededMs: Millis; readonly longestMs: Millis }
  /** Its pool has as many slots in use as it may, or the nodes that have its slots are full. */
  | { readonly type: "pool-bound"; readonly slotsMax: number; readonly used: number }
  /** The nodes that could run it have not enough left of what it takes. */
  | { readonly type: "resources-taken"; readonly nodes: number; readonly resources: readonly string[] }
  /** All that could run it hold as many chunks as they take. */
  | { readonly type: "slots-taken"; readonly nodes: number; readonly slots: number };

/** Some items of a chunk that are not settled; twice when they have a backup, by attempt. */
export interface SpanView {
  readonly offset: number;
  readonly count: number;
  /** Placements so far. */
  readonly attempt: number;
  /** Own errors of its first item, deaths that count against it, and nodes lost with it. */
  readonly failures: number;
  readonly deaths: number;
  readonly losses: number;
  /** When it is tried again; undefined unless it waits for that. */
  readonly retryAtMs: Millis | undefined;
  /** Undefined unless it is placed. */
  readonly assignment: AssignmentId | undefined;
}

/** Why what waits of an open job waits; empty when nothing does. Looks only. O(chunks of the job + nodes). */
export function waitsOf(state: State, job: Job): Wait[] {
  if (job.state !== "running") return [];
  const waits: Wait[] = [];
  const held = job.fresh.size + job.unbegun.size;
  const { client } = job.pool;
  let ready = job.again.size;
  if (job.delayed.size > 0)
    waits.push({ type: "retry", chunks: job.delayed.size, nextMs: Math.min(...job.delayed.values()) });
  if (held > 0) {
    const { unreadBytes: bytes, unreadBytesMax: bytesMax } = job;
    if (client.throttled) waits.push({ type: "throttled-client", chunks: held });
    else if (job.throttled && !(ready === 0 && hasPlaceable(job))) waits.push({ type: "throttled-job", chunks: held });
    else if (bytesMax !== undefined && bytes >= bytesMax && !(ready === 0 && hasPlaceable(job)))
      waits.push({ type: "unread-results", chunks: held, bytes, bytesMax });
    else ready += held;
  }
  if (ready > 0) waits.push({ ...unplaced(state, job), chunks: ready });
  return waits;
}

/** What is left of a chunk, in order; empty when it is settled or was never offered. O(chunks of the job). */
export function spansOf(job: Job, chunk: number): SpanView[] {
  const views: SpanView[] = [];
  const add = (span: Span, more: Partial<SpanView> = {}): void => {
    if (span.chunk.index !== chunk) return;
    const { offset, count, attempt, failures, deaths, losses } = span;
    const base = { offset, count, attempt, failures, deaths, losses, retryAtMs: undefined, assignment: undefined };
    views.push({ ...base, ...more });
  };
  if (job.state === "ended") return [];
  for (const pending of [job.fresh, job.again, job.unbegun]) for (const span of pending) add(span);
  for (const [span, retryAtMs] of job.delayed) add(span, { retryAtMs });
  for (const { span, id, attempt, overtaken } of placedSpans(job))
    if (!overtaken) add(span, { attempt, assignment: id });
  return views.sort((a, b) => a.offset - b.offset || a.attempt - b.attempt);
}

function unplaced(state: State, job: Job): Cause {
  const { fleet, limits } = state;
  const nodes = [...fleet.nodes.values()];
  if (nodes.length === 0) return { type: "no-node" };
  const able = nodes.filter((node) => couldTake(node, job.needs));
  if (job.needs !== undefined && able.length === 0) {
    const { lackingSinceMs } = job;
    const isBounded = lackingSinceMs !== undefined && limits.unschedulableMs > 0;
    const failsAtMs = isBounded ? lackingSinceMs + limits.unschedulableMs : undefined;
    return { type: "lacking", lack: lackText(nodes, job.needs), failsAtMs };
  }
  const ready = able.filter(({ takesWork }) => takesWork);
  if (ready.length === 0) return { type: "no-ready-node", states: statesOf(able) };
  const willing = ready.filter((node) => fleet.lifetimes.lasts(node, job));
  if (willing.length === 0) return tooShort(state, job, ready);
  const { pool, needs } = job;
  const used = [...pool.placed.values()].reduce((sum, { count }) => sum + count, 0);
  if (pool.slotsMax !== undefined && (used >= pool.slotsMax || willing.some(({ rankAt }) => rankAt >= 0)))
    return { type: "pool-bound", slotsMax: pool.slotsMax, used };
  if (needs !== undefined && !willing.some((node) => hasFree(node, needs)))
    return { type: "resources-taken", nodes: willing.length, resources: [...needs.resources.keys()] };
  return { type: "slots-taken", nodes: willing.length, slots: willing.reduce((sum, { slots }) => sum + slots, 0) };
}

function tooShort({ nowMs, limits }: State, job: Job, nodes: readonly Node[]): Cause {
  const longestMs = Math.max(...nodes.map(({ stopsAtMs }) => (stopsAtMs ?? nowMs) - nowMs));
  return { type: "no-lasting-node", nodes: nodes.length, neededMs: expectedMs(job, limits), longestMs };
}

function statesOf(nodes: readonly Node[]): Map<NodeView["state"] | "on-hold" | "no-credit", number> {
  const states = new Map<NodeView["state"] | "on-hold" | "no-credit", number>();
  for (const node of nodes) {
    const { state } = nodeView(node);
    const why = state !== "ready" ? state : node.heldUntilMs === undefined ? "no-credit" : "on-hold";
    states.set(why, (states.get(why) ?? 0) + 1);
  }
  return states;
}
