import { PermissionError, ProtocolError } from "@heddle/kernel";
import {
  adminCordonNode,
  adminDescribeNode,
  adminDrainNode,
  type NodeJob,
  type NodeProcess,
  type NodeStatus,
  type NodeTally,
} from "@heddle/wire";
import type { Fabric } from "./fabric.ts";
import { DRAIN_DEADLINE_MS } from "./limits.ts";

/** All about one node. */
interface NodeReport {
  readonly node: NodeStatus;
  /** What it holds, by job, the one that is there for longest first; the first thousand. */
  readonly jobs: readonly NodeJob[];
  readonly processes: readonly NodeProcess[];
  /** What became of the chunks that were placed on it since it registered. */
  readonly tally: NodeTally;
  /** Attempts that were lost with earlier nodes of this name. */
  readonly lostBefore: number;
}

/** How a node is emptied. */
export interface DrainOptions {
  /** What runs may go on for so long, then it is stopped: chunks run elsewhere, processes are over. 0 for at once, a week at most; 5 minutes unless given. */
  readonly deadlineMs?: number | undefined;
  /** For people, 200 characters at most. */
  readonly reason?: string | undefined;
  /** The node's agent is about to be stopped: one that comes later under its name takes work. */
  readonly leaving?: boolean | undefined;
}

/**
 * What an operator asks of a fabric's nodes, by their names. Everything rejects with UnavailableError or TimeoutError when nobody answers, with AuthenticationError or
 * PermissionError when this side is not let in or may not ask this, and with NotFoundError for a name of no node.
 */
export interface NodesAdmin {
  readonly node: (name: string) => Promise<NodeReport>;
  /** No new work for it; what it has goes on. Resolves to whether that was not so before. On a fabric with TLS it takes the admin's certificate, as the next two: PermissionError else. */
  readonly cordon: (name: string, options?: { readonly reason?: string | undefined }) => Promise<boolean>;
  /** It takes work again; undoes a drain, too, whether that is done or under way. Resolves to whether it was cordoned. */
  readonly uncordon: (name: string) => Promise<boolean>;
  /**
   * Cordons it, hands back what has not begun, and stops what is not over at the deadline. Resolves at once, to what there is to do: ask for the node until its state
   * is "drained". Asked again, the deadline is the new one. An agent may have its own node drained.
   */
  readonly drain: (name: string, options?: DrainOptions) => Promise<NodeStatus>;
}

/** The questions of operators about the nodes of this fabric. */
export function nodesAdmin(fabric: Pick<Fabric, "ask">): NodesAdmin {
  const cordon = async (name: string, cordoned: boolean, reason: string): Promise<boolean> => {
    const asked = fabric.ask(adminCordonNode, { name, cordoned, reason });
    return (await asked.catch(sayWhoCordons)).changed;
  };
  return {
    node: async (name) => {
      const { node, jobs, processes, tally, lostBefore } = await fabric.ask(adminDescribeNode, { name });
      return { node: told(node), jobs, processes, tally: told(tally), lostBefore };
    },
    cordon: (name, { reason = "" } = {}) => cordon(name, true, reason),
    uncordon: (name) => cordon(name, false, ""),
    drain: async (name, { deadlineMs = DRAIN_DEADLINE_MS, reason = "", leaving = false } = {}) => {
      const asked = fabric.ask(adminDrainNode, { name, deadlineMs, reason, leaving });
      return told((await asked.catch(sayWhoCordons)).node);
    },
  };
}

function sayWhoCordons(cause: unknown): never {
  if (!(cause instanceof PermissionError)) throw cause;
  const advice =
    "this takes the admin's certificate (heddle certs init puts it into DIR/admin), or to drain its own node an agent's";
  throw new PermissionError(`${cause.message}; ${advice}`, { cause });
}

function told<T>(part: T | undefined): T {
  if (part === undefined) throw new ProtocolError("the coordinator's answer does not say what was asked for");
  return part;
}
