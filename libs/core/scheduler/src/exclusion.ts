import { backoffMs, type Millis } from "@heddle/kernel";
import { announceCapacity } from "./capacity.ts";
import { type Cause, type Exclusion, type Health, newHealth, rateOf } from "./health.ts";
import { revoke } from "./jobs.ts";
import { type Chunk, type Death, isReady, type Node, type Span, type State } from "./state.ts";

/**
 * A worker died. Whatever of what died on this node before has been running elsewhere for long speaks against the node now, so that long
 * chunks need not end first. O(assignments), on deaths only.
 */
export function noteDeath(state: State, node: Node, livedMs: Millis): Omit<Death, "items"> {
  const { nowMs, limits } = state;
  for (const { span, node: other, startedMs, overtaken } of state.assignments.values()) {
    const { died } = span;
    if (overtaken || died?.node !== node || other === node || startedMs === undefined) continue;
    if (nowMs - startedMs >= died.livedMs + limits.survivalMs) speakFor(state, span);
  }
  return { node, livedMs };
}

/** Items under which a worker died have run: the death was not theirs, and so its node's. */
export function speakFor(state: State, span: Span): void {
  const { died, chunk, count } = span;
  span.died = undefined;
  if (died?.items === count && state.fleet.nodes.has(died.node.key)) blame(state, died.node, chunk, "death");
}

/** The node could not start a worker for the chunk. */
export function noteStartFault(state: State, node: Node, chunk: Chunk, fault: string): void {
  node.health.startFault = fault;
  blame(state, node, chunk, "start-fault");
}

/** The node gets nothing for a while that grows with `times`. */
export function hold(state: State, node: Node, times: number): void {
  if (node.heldUntilMs !== undefined) return;
  node.heldUntilMs = state.nowMs + backoffMs(state.limits.hold, times, state.random);
  state.timers.add(node.heldUntilMs, { type: "release-hold", node });
  state.fleet.refresh(node);
}

/** The node takes work again, on probation. */
export function readmit(state: State, node: Node): void {
  const { health } = node;
  if (health.exclusion === undefined || !state.fleet.nodes.has(node.key)) return;
  const { exclusions } = health;
  node.health = { ...newHealth(), exclusions, warnedMs: state.nowMs };
  state.fleet.refresh(node);
  state.effects.push({ type: "readmit-node", node: node.key });
  announceCapacity(state);
}

/** Nodes went away: those whose time out ends first take work again, until no more of what there is are excluded than may be. */
export function keepShare(state: State): void {
  const excluded = [...state.fleet.nodes.values()].filter(isOnlyExcluded).sort((a, b) => endOf(a) - endOf(b));
  for (const node of excluded) {
    if (leavesEnough(state, 0)) return;
    readmit(state, node);
  }
}

function endOf({ health }: Node): Millis {
  return health.exclusion?.untilMs ?? 0;
}

function blame(state: State, node: Node, chunk: Chunk, cause: Cause): void {
  const { health } = node;
  const { nowMs, limits } = state;
  if (health.exclusion !== undefined) return;
  if (health.warnedMs !== undefined && nowMs - health.warnedMs >= limits.forgivenAfterMs) {
    health.exclusions = 0;
    health.warnedMs = undefined;
  }
  const { causes } = health;
  const key = `${chunk.job.key}/${chunk.index}`;
  causes.delete(key);
  causes.set(key, { cause, atMs: nowMs });
  for (const [old, { atMs }] of causes)
    if (causes.size > limits.exclusionCauses || nowMs - atMs > limits.causeAgeMs) causes.delete(old);
  const enough = health.warnedMs === undefined ? limits.exclusionCauses : 1;
  if (health.warnedMs !== undefined) health.warnedMs = nowMs;
  if (causes.size < enough || !isReady(node) || !leavesEnough(state, 1)) return;
  const own = rateOf(health, nowMs, limits) ?? 0;
  const others = othersRate(state, node);
  if (own > Math.max(limits.exclusionRateMin, limits.exclusionRateFactor * others)) exclude(state, node, own, others);
}

/** What runs goes on, what has not begun comes back. */
function exclude(state: State, node: Node, own: number, others: number): void {
  const { health } = node;
  const { firstMs, maxMs } = state.limits.exclusion;
  const untilMs = state.nowMs + Math.min(maxMs, firstMs * 2 ** Math.min(health.exclusions, 30));
  const exclusion: Exclusion = { untilMs, reason: reasonOf(health, own, others) };
  health.exclusion = exclusion;
  health.exclusions++;
  health.causes.clear();
  state.timers.add(untilMs, { type: "readmit", node, exclusion });
  for (const assignment of node.assignments)
    if (assignment.startedMs === undefined) revoke(state, assignment, "if-unstarted");
  state.fleet.refresh(node);
  state.effects.push({ type: "exclude-node", node: node.key, untilMs, reason: exclusion.reason });
  announceCapacity(state);
}

function reasonOf({ causes, startFault }: Health, own: number, others: number): string {
  const count = (cause: Cause): number => [...causes.values()].filter((it) => it.cause === cause).length;
  const [deaths, faults] = [count("death"), count("start-fault")];
  const parts: string[] = [];
  if (deaths > 0) parts.push(`workers died there under ${chunksText(deaths)} that other workers ran`);
  if (faults > 0) parts.push(`no worker could start for ${chunksText(faults)} (the last time: ${startFault})`);
  return `${parts.join(", and ")}: ${percent(own)} of what it was given failed, on other nodes ${percent(others)}`;
}

function chunksText(count: number): string {
  return count === 1 ? "a chunk" : `${count} chunks`;
}

function percent(rate: number): string {
  return `${Math.round(100 * rate)} %`;
}

/** Whether, with so many more excluded, enough of the nodes take work that would all take work if none were excluded. */
function leavesEnough({ fleet, limits }: State, more: number): boolean {
  const all = [...fleet.nodes.values()];
  const excluded = all.filter(isOnlyExcluded).length;
  const ready = all.filter(isReady).length;
  return ready - more >= Math.max(1, Math.ceil((ready + excluded) * limits.keptShareMin));
}

/** It would take work, but for its exclusion. */
function isOnlyExcluded(node: Node): boolean {
  return isWilling(node) && node.health.exclusion !== undefined;
}

function isWilling({ silent, cordoned, leaving }: Node): boolean {
  return !silent && !cordoned && !leaving;
}

/** The median of the other nodes that have answered lately; 0 when none has. */
function othersRate({ fleet, nowMs, limits }: State, node: Node): number {
  const rates: number[] = [];
  for (const other of fleet.nodes.values()) {
    if (other === node || other.health.exclusion !== undefined) continue;
    const rate = rateOf(other.health, nowMs, limits);
    if (rate !== undefined) rates.push(rate);
  }
  rates.sort((a, b) => a - b);
  const [low = 0, high = low] = rates.slice((rates.length - 1) >> 1);
  return rates.length % 2 === 0 ? (low + high) / 2 : low;
}
