import { unreachable } from "@heddle/kernel";
import { isEmptying, type Job, type JobState, type Node } from "./state.ts";
import type { JobView, NodeView } from "./types.ts";

/** What operators see of a job. */
export function jobView(job: Job): JobView {
  return {
    job: job.key,
    state: viewState(job.state),
    itemsOffered: job.itemsOffered,
    itemsDone: job.itemsDone,
    chunksOffered: job.chunksOffered,
    chunksDone: job.chunksDone,
    chunksPlaced: job.spansPlaced,
    chunksWaiting: job.fresh.size + job.again.size + job.unbegun.size + job.delayed.size,
  };
}

/** What operators see of a node. The first that applies: drained, draining, silent, cordoned, excluded, ready. */
export function nodeView(node: Node): NodeView {
  const { key, slots, credit, assignments, health } = node;
  return { node: key, state: nodeState(node), slots, credit, chunks: assignments.size, exclusion: health.exclusion };
}

function nodeState(node: Node): NodeView["state"] {
  if (isEmptying(node)) return node.assignments.size === 0 ? "drained" : "draining";
  if (node.silent) return "silent";
  if (node.cordoned) return "cordoned";
  return node.health.exclusion === undefined ? "ready" : "excluded";
}

function viewState(state: JobState): JobView["state"] {
  switch (state) {
    case "running":
    case "failing":
      return state;
    case "ended":
      return "cancelling"; // `end-job` is out, its nodes are still giving chunks back
    default:
      return unreachable(state);
  }
}
