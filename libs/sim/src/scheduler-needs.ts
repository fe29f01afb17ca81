import type { Effect, JobKey, NodeKey, Requirements } from "@heddle/core-scheduler";
import type { Millis } from "@heddle/kernel";
import { amountsOf, type JobFacts, type NodeFacts } from "./scheduler-facts.ts";
import { demand } from "./scheduler-promises.ts";

/** The node has what the job and its pool ask for, the job first, beside what it holds, which is of the jobs `held`. */
export function judgeNeeds(
  effect: Extract<Effect, { type: "assign-chunk" }>,
  node: NodeFacts,
  job: JobFacts,
  held: Iterable<JobFacts | undefined>,
): void {
  const what = `assignment ${effect.assignment}`;
  for (const [name, value] of labelsOf(job))
    demand(node.labels.get(name) === value, `${what} goes where ${name} is not ${value}`);
  const amounts = new Map<string, number>();
  for (const one of [...held, job])
    for (const [name, amount] of amountsOf(one)) amounts.set(name, (amounts.get(name) ?? 0) + amount);
  for (const [name, amount] of amountsOf(job))
    demand(amount === 0 || (amounts.get(name) ?? 0) <= (node.resources.get(name) ?? 0), `${what}: no ${name} left`);
}

/** After each step: what no node that stays could ever run is given up in time, if it has anything to run. */
export function checkLack(
  nowMs: Millis,
  key: JobKey,
  job: JobFacts,
  nodes: ReadonlyMap<NodeKey, NodeFacts>,
  unschedulableMs: Millis,
): void {
  const staying = [...nodes.values()].filter(({ leaving }) => !leaving);
  const isLacking = job.ended === undefined && staying.length > 0 && !staying.some((node) => couldRun(node, job));
  if (!isLacking) job.lackingSinceMs = undefined;
  else job.lackingSinceMs ??= nowMs;
  const isOver = !job.collect && job.failedItems > 0;
  const waits = [...job.chunks.values()].some((items) => items.some((it) => it.state === "open" && !it.placedIn));
  const isLate = hasLackedFor(job, 2 * unschedulableMs + 1, nowMs); // twice: it may have had nothing to run at first
  demand(isOver || !waits || !isLate, `job ${key} waits for what no node has`);
}

/** Whether there were nodes for so long, none of which could run it, as of the step before. */
export function hasLackedFor({ lackingSinceMs }: JobFacts, ms: Millis, nowMs: Millis): boolean {
  return lackingSinceMs !== undefined && nowMs - lackingSinceMs >= ms;
}

function couldRun({ labels, resources }: NodeFacts, job: JobFacts): boolean {
  for (const [name, value] of labelsOf(job)) if (labels.get(name) !== value) return false;
  for (const [name, amount] of amountsOf(job)) if ((resources.get(name) ?? 0) < amount) return false;
  return true;
}

function labelsOf({ wants: [own, pool] }: JobFacts): Requirements["labels"] {
  return new Map([...(pool?.labels ?? []), ...(own?.labels ?? [])]);
}
