import type { AssignmentId, Effect, NodeKey } from "@heddle/core-scheduler";
import type { Millis } from "@heddle/kernel";
import type { JobFacts, NodeFacts } from "./scheduler-facts.ts";
import { demand } from "./scheduler-promises.ts";

/** The end of a cordon is the end of a drain. */
export function learnCordon(node: NodeFacts, cordoned: boolean): void {
  node.cordoned = cordoned;
  if (!cordoned) node.stopAtMs = undefined;
}

/** What it holds is to be over. */
export function isEmptying({ stopAtMs, leaving }: NodeFacts): boolean {
  return stopAtMs !== undefined || leaving;
}

/** A node that is to be empty was asked for all that it did not say to have begun, when its time is over for all; when it is, that was said. */
export function checkDrain(nowMs: Millis, key: NodeKey, node: NodeFacts): void {
  if (!isEmptying(node)) return;
  demand(node.live.size > 0 || node.drained, `node ${key} is empty, and nobody is told`);
  const isOver = node.stopAtMs !== undefined && nowMs >= node.stopAtMs;
  for (const assignment of node.live.keys()) {
    const revoked = node.revoked.get(assignment);
    demand(revoked === "stop" || !isOver, `${assignment} outlasts the drain of node ${key}`);
    demand(revoked !== undefined || node.started.has(assignment), `${assignment} is not asked back from node ${key}`);
  }
}

/**
 * What is asked back is live, or `ended` in this very step, in which what was due came first. What nobody gave up, and `mayStop` does not allow
 * for, is stopped by the end of a drain's time alone.
 */
export function judgeRevoke(
  nowMs: Millis,
  { assignment, stop }: Extract<Effect, { type: "revoke-chunk" }>,
  node: NodeFacts | undefined,
  known: { readonly job: JobFacts | undefined; readonly mayStop: boolean; readonly ended: AssignmentId | undefined },
): void {
  const { job, mayStop, ended } = known;
  const isLive = node?.live.has(assignment) === true;
  demand(isLive || ended === assignment, `revoke of ${assignment}, not live`);
  if (isLive) node?.revoked.set(assignment, stop ? "stop" : "if-unstarted");
  const isOver = job === undefined || job.ended !== undefined || job.cancelRequested || job.failedItems > 0;
  const isDue = [node?.stopAtMs, node?.stopBeforeMs].some((atMs) => atMs !== undefined && nowMs >= atMs);
  demand(!stop || isOver || mayStop || isDue, `${assignment} is stopped before its time`);
}
