import type { NodeKey, NodeView } from "@heddle/core-scheduler";
import { isEmptying } from "./scheduler-drains.ts";
import { isReady, type NodeFacts } from "./scheduler-facts.ts";
import { demand } from "./scheduler-promises.ts";

/** What operators see of nodes, and what clients were told last of what there is to run on, is so. */
export function checkViews(
  views: readonly NodeView[],
  nodes: ReadonlyMap<NodeKey, NodeFacts>,
  announced: { readonly slots: number; readonly nodes: number },
): void {
  const ready = [...nodes.values()].filter(isReady);
  const slots = ready.reduce((sum, node) => sum + node.slots, 0);
  demand(announced.slots === slots && announced.nodes === ready.length, "the announced capacity is stale");
  demand(views.length === nodes.size, "the nodes shown are those that joined and were not lost");
  for (const view of views) {
    const node = nodes.get(view.node);
    demand(view.chunks === node?.live.size, `node ${view.node} shows a wrong count`);
    const isDrained = node !== undefined && isEmptying(node) && node.live.size === 0;
    demand(view.exclusion?.untilMs === node?.excludedUntilMs, `node ${view.node} is shown as ${view.state}`);
    demand((view.state === "drained") === isDrained, `node ${view.node} is shown as ${view.state}`);
  }
}
