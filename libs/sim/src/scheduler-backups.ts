import type { AssignmentId, Effect, JobKey, NodeKey, Outcome } from "@heddle/core-scheduler";
import { type ItemFacts, isReady, type JobFacts, type NodeFacts } from "./scheduler-facts.ts";
import { demand } from "./scheduler-promises.ts";

type Assign = Extract<Effect, { readonly type: "assign-chunk" }>;

/** Of the slots of nodes that are ready; one in any case. */
const BACKUP_SHARE_MAX = 0.25;

/** Whether what was assigned has told of an item with this: then the other assignment of the same items counts no more. */
export function isAnswer({ offset, count }: Assign, outcome: Outcome): boolean {
  if (outcome.type === "done") return true;
  if (outcome.type === "item-error") return outcome.completed >= 0 && outcome.completed < count;
  if (outcome.type === "part-done") return outcome.completed > 0 && outcome.completed < count;
  return outcome.type === "item-overdue" && outcome.offset >= offset && outcome.offset < offset + count;
}

/** A second assignment of what runs: the same items, on another node, the only one, and while nothing fresh of the job waits. */
export function judgeBackup(
  backup: Assign,
  original: Assign,
  known: {
    readonly items: readonly ItemFacts[];
    readonly job: JobFacts;
    readonly nodes: ReadonlyMap<NodeKey, NodeFacts>;
    readonly jobs: ReadonlyMap<JobKey, JobFacts>;
  },
): void {
  const { items, job, nodes, jobs } = known;
  const what = `backup ${backup.assignment} of ${original.assignment}`;
  demand(job.speculate && job.depth === 0, `${what}: nobody wants it`);
  demand(backup.offset === original.offset && backup.count === original.count, `${what} is of other items`);
  demand(backup.node !== original.node, `${what} is on the same node`);
  demand(!items.some(({ backupIn }) => backupIn !== undefined), `${what} is not the first`);
  const node = nodes.get(original.node);
  demand(node?.started.has(original.assignment), `${what}, which has not begun`);
  demand(node?.revoked.get(original.assignment) !== "stop", `${what}, which is to be stopped`);
  const isFresh = (item: ItemFacts): boolean => item.state === "open" && item.attempt === 0;
  demand(![...job.chunks.values()].flat().some(isFresh), `${what} while its job has something fresh`);
  let [slots, others] = [0, 0];
  for (const facts of nodes.values()) {
    if (isReady(facts)) slots += facts.slots;
    for (const live of facts.live.values()) others += Number(isBackup(live, jobs.get(live.job)));
  }
  demand(others < Math.max(1, Math.floor(BACKUP_SHARE_MAX * slots)), `${what}: there are ${others} on ${slots} slots`);
}

/** What was answered by another one was told to stop. `node`: where it is; undefined when that was lost. */
export function judgeOvertaken(assignment: AssignmentId, node: NodeFacts | undefined): void {
  const isStopped = node === undefined || node.revoked.get(assignment) === "stop";
  demand(isStopped, `${assignment} is not told to stop, though its items are answered`);
}

function isBackup(live: Assign, job: JobFacts | undefined): boolean {
  if (job?.ended !== undefined) return false;
  return job?.chunks.get(live.chunk)?.[live.offset]?.backupIn === live.assignment;
}
