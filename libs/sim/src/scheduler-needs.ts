import type { Effect, JobKey, NodeKey, Requirements } from "@heddle/core-scheduler";
import type { Millis } from "@heddle/kernel";
import { amountsOf, type ItemFacts, type JobFacts, type NodeFacts } from "./scheduler-facts.ts";
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

/** What a node holds that takes room from a job: all that is from outside, or all of its own pool for a job of a task. */
export function sharesRoom(node: NodeFacts, job: JobFacts, jobs: ReadonlyMap<JobKey, JobFacts>): number {
  const held = node.live.values().map((assign) => jobs.get(assign.job));
  return held.filter((other) => (job.depth > 0 ? other?.pool === job.pool : other?.depth === 0)).toArray().length;
}

/** What is new starts within the bound of unread bytes and while there is room, or fills a gap before a result of an ordered job. */
export function judgeUnread(effect: Extract<Effect, { type: "assign-chunk" }>, job: JobFacts): void {
  const { assignment, attempt, chunk, offset } = effect;
  if (!job.throttled && job.unreadBytes < job.unreadBytesMax) return;
  const isBehind = ([number, items]: [number, ItemFacts[]]): boolean =>
    items.slice(number === chunk ? offset : 0).some(({ state }) => number >= chunk && state === "delivered");
  const isAgain = attempt > 1 && job.chunks.entries().some(isBehind);
  const isGap = job.ordered && (isAgain || chunk < job.gapChunks);
  demand(
    isGap,
    `assignment ${assignment} is new with ${job.unreadBytes} bytes unread${job.throttled ? ", and no room" : ""}`,
  );
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
export function hasLackedFor(job: JobFacts | undefined, ms: Millis, nowMs: Millis): boolean {
  return job?.lackingSinceMs !== undefined && nowMs - job.lackingSinceMs >= ms;
}

function couldRun({ labels, resources }: NodeFacts, job: JobFacts): boolean {
  for (const [name, value] of labelsOf(job)) if (labels.get(name) !== value) return false;
  for (const [name, amount] of amountsOf(job)) if ((resources.get(name) ?? 0) < amount) return false;
  return true;
}

function labelsOf({ wants: [own, pool] }: JobFacts): Requirements["labels"] {
  return new Map([...(pool?.labels ?? []), ...(own?.labels ?? [])]);
}
