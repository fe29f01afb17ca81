import type { Millis } from "@heddle/kernel";
import { abandonJob } from "./jobs.ts";
import { couldTake } from "./needs.ts";
import type { Job, Node, State } from "./state.ts";
import type { Requirements } from "./types.ts";

/** Requirements that a text names, and values of other nodes' labels. What is beyond is counted. */
const NAMED_MAX = 5;
/** Characters of a label's value in a text; cut there. */
const VALUE_LENGTH_MAX = 63;

/** A job is open: it may ask for what no node has. */
export function lookForNode(state: State, job: Job): void {
  if (job.needs === undefined || job.state !== "running") return;
  const nodes = staying(state);
  if (nodes.length > 0 && !nodes.some((node) => couldTake(node, job.needs))) beginLack(state, job);
}

/** A node joined: what only it could run need not be given up, and where it is the first, what it could not run lacks a node. */
export function nodeCame(state: State, node: Node): void {
  const isFirst = staying(state).length === 1;
  for (const job of state.jobs.values()) {
    if (job.needs === undefined || job.state !== "running") continue;
    if (couldTake(node, job.needs)) job.lackingSinceMs = undefined;
    else if (isFirst) beginLack(state, job);
  }
}

/** A node leaves or is lost. With no node at all everything waits: any may come. */
export function nodeGoes(state: State, gone: Node): void {
  const isLast = staying(state).length === 0;
  for (const job of state.jobs.values()) {
    if (job.needs === undefined) continue;
    if (isLast) job.lackingSinceMs = undefined;
    else if (couldTake(gone, job.needs)) lookForNode(state, job);
  }
}

/** The time to wait for a node is over: unless one came meanwhile, or the job has nothing to run yet, it fails. */
export function giveUpLacking(state: State, job: Job, sinceMs: Millis): void {
  if (job.lackingSinceMs !== sinceMs || job.state !== "running" || job.needs === undefined) return;
  if (job.spansOpen === job.spansPlaced) {
    awaitNode(state, job, sinceMs);
    return;
  }
  const seconds = Math.round((state.nowMs - sinceMs) / 100) / 10;
  const message = `no node could ever run it, and none came in ${seconds} s: ${lackText(staying(state), job.needs)}`;
  abandonJob(state, job, "failed", { code: "unschedulable", message });
}

/** What of the requirements the nodes, of which there is at least one, do not have. */
export function lackText(nodes: readonly LackingNode[], { labels, resources }: Requirements): string {
  const unmet: string[] = [];
  const met: string[] = [];
  const sort = (what: string, having: number, missing: () => string): void => {
    if (having === 0) unmet.push(`needs ${what}: ${missing()}`);
    else met.push(`${what} (${having} of ${nodes.length} have it)`);
  };
  for (const [name, value] of labels) {
    const having = nodes.filter((node) => node.labels.get(name) === value).length;
    sort(`label ${name}=${cut(value)}`, having, () => `${noneText(nodes.length, "it")}${otherValues(nodes, name)}`);
  }
  for (const [name, amount] of resources) {
    const having = nodes.filter((node) => (node.resources.get(name) ?? 0) >= amount).length;
    sort(`${name} ${amount}`, having, () => largestText(nodes, name));
  }
  return unmet.length > 0 ? listed(unmet, "; ") : `no node has all of ${listed(met, ", ")}`;
}

type LackingNode = Pick<Node, "labels" | "resources">;

function beginLack(state: State, job: Job): void {
  if (job.lackingSinceMs !== undefined) return;
  job.lackingSinceMs = state.nowMs;
  awaitNode(state, job, state.nowMs);
}

function awaitNode({ nowMs, limits, timers }: State, job: Job, sinceMs: Millis): void {
  if (limits.unschedulableMs > 0) timers.add(nowMs + limits.unschedulableMs, { type: "give-up-lacking", job, sinceMs });
}

/** Nodes that are there and do not end: whatever keeps them from taking work now may pass. */
function staying({ fleet }: State): Node[] {
  return [...fleet.nodes.values()].filter(({ leaving }) => !leaving);
}

function noneText(nodes: number, what: string): string {
  return nodes === 1 ? `the only node does not have ${what}` : `${nodes} nodes, none has ${what}`;
}

function otherValues(nodes: readonly LackingNode[], name: string): string {
  const values = new Set(nodes.flatMap(({ labels }) => labels.get(name) ?? []));
  return values.size === 0 ? "" : ` (it is ${listed([...values].sort().map(cut), ", ")})`;
}

function largestText(nodes: readonly LackingNode[], name: string): string {
  const largest = Math.max(...nodes.map(({ resources }) => resources.get(name) ?? 0));
  return largest === 0 ? noneText(nodes.length, "any") : `the largest node has ${largest}`;
}

function listed(texts: readonly string[], separator: string): string {
  const more = texts.length - NAMED_MAX;
  return texts.slice(0, NAMED_MAX).join(separator) + (more > 0 ? `${separator}and ${more} more` : "");
}

function cut(text: string): string {
  return text.slice(0, VALUE_LENGTH_MAX);
}
