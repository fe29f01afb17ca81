import { LimitError, NodeName, NotFoundError, PermissionError } from "@heddle/kernel";
import { type Caller, callerText, isSameCaller } from "@heddle/port-rpc";
import type { CordonNodeRequest, DrainNodeRequest } from "@heddle/wire";
import type { Office } from "./desk.ts";
import type { AssignmentRecord, Cordon, Drain, Ledger, NodeRecord } from "./ledger.ts";
import { CORDON_REASON_LENGTH_MAX, CORDONS_MAX, DRAIN_DEADLINE_MS_MAX } from "./limits.ts";
import type { ProcessDesk } from "./process-desk.ts";

/**
 * Where operators keep work away from nodes, and empty them. What was asked counts for the node's name as long as this coordinator lives: an agent that comes
 * back, or another one of that name, finds it. Agents keep it in mind for the coordinator after this one. The core sees to chunks, this to processes.
 */
export class CordonDesk implements Disposable {
  readonly #office: Office;
  readonly #processes: ProcessDesk;

  constructor(office: Office, processes: ProcessDesk) {
    this.#office = office;
    this.#processes = processes;
  }

  /** Whether that was not so before. Throws NotFoundError for a name of no node, unless it is cordoned, and LimitError. */
  cordon({ name, cordoned, reason }: CordonNodeRequest, caller: Caller): boolean {
    checkReason(reason);
    const { ledger } = this.#office;
    const known = ledger.cordons.get(NodeName(name));
    if (known === undefined) nodeNamed(ledger, name, caller);
    this.#log(cordoned ? "node cordoned" : "node uncordoned", name, reason, caller);
    if (!cordoned) return this.#uncordon(NodeName(name));
    this.#keep(NodeName(name), { reason: reason || (known?.reason ?? ""), isOfAgent: false, drain: known?.drain });
    if (known === undefined) this.#close(NodeName(name));
    return known === undefined;
  }

  /** Throws NotFoundError when there is no such node now, PermissionError for an agent that it does not belong to, and LimitError. */
  drain({ name, deadlineMs, reason, leaving }: DrainNodeRequest, caller: Caller): NodeRecord {
    checkReason(reason);
    if (deadlineMs > DRAIN_DEADLINE_MS_MAX) {
      const words = `a drain may take ${DRAIN_DEADLINE_MS_MAX} ms at most (DRAIN_DEADLINE_MS_MAX)`;
      throw new LimitError("DRAIN_DEADLINE_MS_MAX", DRAIN_DEADLINE_MS_MAX, deadlineMs, `${words}, got ${deadlineMs}`);
    }
    const { ledger, env } = this.#office;
    const node = nodeNamed(ledger, name, caller);
    const known = ledger.cordons.get(node.name);
    this.#log("node drains", name, reason, caller);
    const stopAtMs = env.clock.nowMs() + deadlineMs;
    const timer = deadlineMs === 0 ? undefined : env.clock.setTimer(stopAtMs, () => this.#timeIsOver(node.name));
    const drain: Drain = { stopAtMs, timer, ...NOTHING_STOPPED };
    const isOfAgent = (leaving || caller.role === "agent") && known?.isOfAgent !== false;
    this.#keep(node.name, { reason: reason || (known?.reason ?? ""), isOfAgent, drain });
    this.#processes.nodeCordoned(node, true);
    this.#office.feed({ type: "node-drain-requested", node: node.key, stopAfterMs: deadlineMs });
    if (deadlineMs === 0) this.#timeIsOver(node.name);
    return node;
  }

  /** A node has joined, and was given nothing so far. What an earlier coordinator was asked its agent says, which counts unless this one has known the name. */
  nodeJoined({ key, name, incarnation, registration, session }: NodeRecord): void {
    const { cordons } = this.#office.ledger;
    const told = registration.cordon;
    if (told !== undefined && incarnation === 1 && !cordons.has(name)) {
      const drain: Drain = { stopAtMs: this.#office.env.clock.nowMs(), timer: undefined, ...NOTHING_STOPPED };
      this.#keep(name, { reason: told.reason, isOfAgent: false, drain: told.drained ? drain : undefined });
    }
    const cordon = cordons.get(name);
    if (cordon !== undefined || told !== undefined) tell(session, cordon);
    if (cordon === undefined) return;
    this.#office.feed({ type: "node-cordoned", node: key, cordoned: true });
    if (cordon.drain === undefined) return;
    const stopAfterMs = Math.max(0, cordon.drain.stopAtMs - this.#office.env.clock.nowMs());
    this.#office.feed({ type: "node-drain-requested", node: key, stopAfterMs });
  }

  /** What was asked for an agent that ends is over with it. */
  nodeLeft({ name }: NodeRecord): void {
    if (this.#office.ledger.cordons.get(name)?.isOfAgent === true) this.#forget(name);
  }

  /** A chunk was stopped. Of a job that goes on only a drain does that. */
  chunkStopped({ node, job }: AssignmentRecord): void {
    const { cordons, jobs } = this.#office.ledger;
    const drain = cordons.get(node.name)?.drain;
    if (drain !== undefined && jobs.has(job.key)) drain.stoppedChunks++;
  }

  [Symbol.dispose](): void {
    for (const { drain } of this.#office.ledger.cordons.values()) drain?.timer?.[Symbol.dispose]();
  }

  #uncordon(name: NodeName): boolean {
    const wasCordoned = this.#forget(name);
    const node = this.#office.ledger.nodesByName.get(name);
    if (node === undefined) return wasCordoned;
    const wasExcluded = this.#processes.isExcluded(node);
    if (!wasCordoned && !wasExcluded) return false;
    this.#office.feed({ type: "node-cordoned", node: node.key, cordoned: false });
    this.#processes.nodeCordoned(node, false);
    return true;
  }

  #close(name: NodeName): void {
    const node = this.#office.ledger.nodesByName.get(name);
    if (node === undefined) return;
    this.#processes.nodeCordoned(node, true);
    this.#office.feed({ type: "node-cordoned", node: node.key, cordoned: true });
  }

  #timeIsOver(name: NodeName): void {
    const { cordons, nodesByName } = this.#office.ledger;
    const [drain, node] = [cordons.get(name)?.drain, nodesByName.get(name)];
    if (drain !== undefined && node !== undefined) drain.stoppedProcesses += this.#processes.nodeStops(node);
  }

  #keep(name: NodeName, cordon: Cordon): void {
    const { cordons, nodesByName } = this.#office.ledger;
    const before = cordons.get(name)?.drain;
    if (before !== cordon.drain) before?.timer?.[Symbol.dispose]();
    cordons.set(name, cordon);
    this.#tell(name);
    if (cordons.size <= CORDONS_MAX) return;
    const gone = cordons.keys().find((each) => !nodesByName.has(each));
    if (gone !== undefined) this.#forget(gone);
  }

  #forget(name: NodeName): boolean {
    const { cordons } = this.#office.ledger;
    cordons.get(name)?.drain?.timer?.[Symbol.dispose]();
    const wasCordoned = cordons.delete(name);
    if (wasCordoned) this.#tell(name);
    return wasCordoned;
  }

  #tell(name: NodeName): void {
    const { nodesByName, cordons } = this.#office.ledger;
    const node = nodesByName.get(name);
    if (node !== undefined) tell(node.session, cordons.get(name));
  }

  #log(message: string, node: string, reason: string, caller: Caller): void {
    this.#office.env.log.info(message, { node, reason, caller: callerText(caller) });
  }
}

/** No chunk and no process was stopped so far. */
const NOTHING_STOPPED = { stoppedChunks: 0, stoppedProcesses: 0 } as const;

/** An agent keeps what is to hold for the next coordinator, too: what was asked for one that ends goes with it. */
function tell(session: NodeRecord["session"], cordon: Cordon | undefined): void {
  const isKept = cordon !== undefined && !cordon.isOfAgent;
  const value = { cordon: isKept ? { reason: cordon.reason, drained: cordon.drain !== undefined } : undefined };
  session.send({ kind: { $case: "nodeCordonChanged", value } });
}

/** The node of that name. Throws NotFoundError when there is none, and PermissionError for an agent that it does not belong to. */
export function nodeNamed({ nodesByName, cordons }: Ledger, name: string, caller: Caller): NodeRecord {
  const node = nodesByName.get(NodeName(name));
  if (node === undefined) {
    const isKept = cordons.has(NodeName(name)) ? "; one that comes under this name is cordoned" : "";
    throw new NotFoundError(`there is no node ${JSON.stringify(name)}${isKept}`);
  }
  if (caller.role !== "agent" || isSameCaller(node.caller, caller)) return node;
  throw new PermissionError(`the node ${name} belongs to somebody else than ${callerText(caller)}`);
}

/** Throws LimitError. */
export function checkReason({ length }: string): void {
  const [name, max] = ["CORDON_REASON_LENGTH_MAX", CORDON_REASON_LENGTH_MAX];
  if (length > max)
    throw new LimitError(name, max, length, `a reason has ${max} characters at most (${name}), not ${length}`);
}
