import type { Effect, Input, JobKey, NodeKey, Outcome } from "@heddle/core-scheduler";
import type { Millis } from "@heddle/kernel";
import type { NodeFacts } from "./scheduler-facts.ts";
import { demand } from "./scheduler-promises.ts";

type Nodes = ReadonlyMap<NodeKey, NodeFacts>;

/** Keeps a chunk that killed a worker of the node, or for which none could start. */
export function learnTrouble(
  node: NodeFacts | undefined,
  chunk: { readonly job: JobKey; readonly chunk: number },
  outcome: Outcome,
): void {
  const isTrouble = outcome.type === "worker-death" || (outcome.type === "not-started" && outcome.fault !== undefined);
  if (isTrouble) node?.troubles.add(`${chunk.job}/${chunk.chunk}`);
}

/** Three different chunks have failed there, or one since it is on probation, and enough other nodes go on. */
export function judgeExclusion(nodes: Nodes, effect: Extract<Effect, { type: "exclude-node" }>): void {
  const node = nodes.get(effect.node);
  const what = `exclusion of node ${effect.node}`;
  demand(node !== undefined && node.excludedUntilMs === undefined, `${what}, which is not there to be excluded`);
  if (node === undefined) return;
  demand(node.troubles.size >= (node.warned ? 1 : 3), `${what} for ${node.troubles.size} chunks`);
  demand(effect.reason !== "", `${what} without a reason`);
  node.excludedUntilMs = effect.untilMs;
  demand(hasEnough(nodes), `${what} leaves too few`);
}

/** Its time is over, too few were left, or it was uncordoned. `lost`: lost in this very step, in which what was due came first. */
export function judgeReadmission(
  nowMs: Millis,
  nodes: Nodes,
  key: NodeKey,
  told: { readonly input: Input; readonly lost: NodeFacts | undefined },
): void {
  const { input, lost } = told;
  const node = nodes.get(key) ?? lost;
  const untilMs = node?.excludedUntilMs;
  demand(node !== undefined && untilMs !== undefined, `node ${key} comes back and was not excluded`);
  if (node === undefined || untilMs === undefined) return;
  const isUncordoned = input.type === "node-cordoned" && input.node === key && !input.cordoned;
  demand(nowMs >= untilMs || isUncordoned || !hasEnough(nodes), `node ${key} comes back too early`);
  node.excludedUntilMs = undefined;
  node.warned = true;
  node.troubles.clear();
}

/** After each step: nobody is excluded for longer than was said, nor keeps what has not begun, and enough nodes take work. */
export function checkExclusions(nowMs: Millis, nodes: Nodes): void {
  demand(hasEnough(nodes), "too few nodes are not excluded");
  for (const [key, node] of nodes) {
    if (node.excludedUntilMs === undefined) continue;
    demand(nowMs < node.excludedUntilMs, `node ${key} is excluded for too long`);
    for (const assignment of node.live.keys()) {
      const isKept = !node.revoked.has(assignment) && !node.started.has(assignment);
      demand(!isKept, `${assignment} is not asked back from node ${key}, which is excluded`);
    }
  }
}

/** Whether a third of the nodes that would take work does, rounded up, and one at least, as soon as any is excluded. */
function hasEnough(nodes: Nodes): boolean {
  const willing = [...nodes.values()].filter(({ silent, cordoned, leaving }) => !silent && !cordoned && !leaving);
  const ready = willing.filter(({ excludedUntilMs }) => excludedUntilMs === undefined).length;
  return ready === willing.length || ready >= Math.max(1, Math.ceil(willing.length / 3));
}
