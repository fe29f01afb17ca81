import type { AssignmentId, NodeKey, Outcome } from "@heddle/core-scheduler";
import { type ArtifactHash, LimitError, type Millis, NodeName, PermissionError, ProtocolError } from "@heddle/kernel";
import { type Caller, callerText, type Hello, isSameCaller, type Session, type SessionHandler } from "@heddle/port-rpc";
import {
  type AttachRequestEntry,
  type AttachResponseEntry,
  type NodeLifetime,
  type Output,
  type PayloadFlow,
  PayloadInflow,
  PayloadOutflow,
  type ProcessEnded,
  type ProcessStarted,
  type RegisterNode,
} from "@heddle/wire";
import { checkAmounts, checkNodeName, labelsOf } from "./checks.ts";
import type { ClientDesk } from "./client-desk.ts";
import { type CordonDesk, checkReason } from "./cordon-desk.ts";
import type { Office } from "./desk.ts";
import type { AssignmentRecord, Lifetime, NodeRecord } from "./ledger.ts";
import { INCARNATIONS_MAX, NODES_MAX } from "./limits.ts";
import { type NodeHost, takeNodeEntry } from "./node-entries.ts";
import { emptyTally } from "./node-tally.ts";
import type { Finish } from "./results.ts";

/** Told of finished assignments, with what came with them. */
export type FinishListener = (finish: Finish, outcome: Outcome, runMs: number) => void;

/** Where agents are served: turns what they say into facts. */
export class NodeDesk implements NodeHost {
  readonly #office: Office;
  readonly #clients: ClientDesk;
  readonly #cordons: CordonDesk;
  readonly finished: FinishListener;

  constructor(office: Office, clients: ClientDesk, cordons: CordonDesk, finished: FinishListener) {
    this.#office = office;
    this.#clients = clients;
    this.#cordons = cordons;
    this.finished = finished;
  }

  /** A new session: its first entry must say which node it is. */
  readonly onSession = (
    session: Session<AttachResponseEntry>,
    { version }: Hello,
    caller: Caller,
  ): SessionHandler<AttachRequestEntry> & { readonly link: (up: boolean) => void } => {
    let node: NodeRecord | undefined;
    return {
      entries: (entries) => {
        for (const entry of entries) {
          if (node === undefined) node = this.#register(session, caller, { entry, minor: version?.minor ?? 0 });
          else takeNodeEntry(this, node, entry);
        }
      },
      link: (up) => {
        if (node === undefined) return;
        node.silentSinceMs = up ? undefined : this.#office.env.clock.nowMs();
        this.#clients.processes.nodeSilent(node, !up);
        this.#office.feed({ type: "node-silent", node: node.key, silent: !up });
      },
      ended: (end) => {
        if (node !== undefined) this.#leave(node, end.reason);
      },
    };
  };

  creditGranted(node: NodeRecord, chunks: number): void {
    this.#office.feed({ type: "credit-granted", node: node.key, chunks });
  }

  started(assignment: AssignmentId): void {
    const record = this.#office.ledger.assignments.get(assignment);
    if (record !== undefined) record.startedMs ??= this.#office.env.clock.nowMs();
    this.#office.feed({ type: "chunk-started", assignment });
  }

  output(node: NodeRecord, output: Output): void {
    if (output.process !== 0) return this.#clients.processes.output(node, output);
    const job = this.#office.ledger.jobs.get(output.job as never);
    if (job !== undefined) this.#clients.sendOutput(job, output);
  }

  wantArtifact(node: NodeRecord, hash: ArtifactHash): void {
    this.#office.artifacts.wanted(node, hash);
  }

  processStarted(node: NodeRecord, started: ProcessStarted): void {
    this.#clients.processes.hasStarted(node, started);
  }

  processEnded(node: NodeRecord, ended: ProcessEnded): void {
    this.#clients.processes.hasEnded(node, ended);
  }

  /** Of what is answered there is no next attempt. */
  checkpointed(assignment: AssignmentRecord, offset: number, state: PayloadFlow): void {
    const { jobs, checkpoints } = this.#office.ledger;
    if (this.#office.isOvertaken(assignment.id)) return;
    if (jobs.has(assignment.job.key)) checkpoints.keep(assignment, offset, state);
  }

  leaving(node: NodeRecord, lifetime: NodeLifetime | undefined): void {
    node.lifetime = lifetimeOf(lifetime, this.#office.env.clock.nowMs()) ?? node.lifetime;
    this.#clients.processes.nodeLeaves(node);
    this.#office.feed({ type: "node-leaving", node: node.key });
  }

  #register(
    session: Session<AttachResponseEntry>,
    caller: Caller,
    { entry, minor }: { readonly entry: AttachRequestEntry; readonly minor: number },
  ): NodeRecord {
    if (entry.kind?.$case !== "registerNode") throw new ProtocolError("a node must register first");
    const registration: RegisterNode = entry.kind.value;
    const name = NodeName(registration.name);
    if (registration.slots < 1 || registration.slots > 65_536)
      throw new ProtocolError(`node ${name} says ${registration.slots} slots: 1 to 65536 are possible`);
    checkAmounts(registration.resources);
    if (registration.cordon !== undefined) checkReason(registration.cordon.reason);
    checkNodeName(name, caller);
    const { ledger, env } = this.#office;
    this.#replace(ledger.nodesByName.get(name), caller);
    if (ledger.nodes.size >= NODES_MAX)
      throw new LimitError(
        "NODES_MAX",
        NODES_MAX,
        ledger.nodes.size + 1,
        `there are ${NODES_MAX} nodes: NODES_MAX is ${NODES_MAX}`,
      );
    const incarnation = this.#incarnate(name);
    const node: NodeRecord = {
      key: ledger.mintKey() as NodeKey,
      name,
      incarnation,
      registration,
      minor,
      caller,
      session,
      inflow: new PayloadInflow(),
      outflow: new PayloadOutflow((part, bytes) => session.send({ kind: { $case: "part", value: part } }, bytes)),
      joinedMs: env.clock.nowMs(),
      lifetime: lifetimeOf(registration.lifetime, env.clock.nowMs()),
      described: new Set(),
      assignments: new Map(),
      silentSinceMs: undefined,
      tally: emptyTally(),
    };
    ledger.nodes.set(node.key, node);
    ledger.nodesByName.set(name, node);
    env.log.info("node joined", {
      node: name,
      incarnation,
      slots: registration.slots,
      peer: session.peer,
      caller: callerText(caller),
    });
    const labels = labelsOf(registration, minor);
    const resources = new Map(Object.entries(registration.resources));
    session.send({ kind: { $case: "nodeRegistered", value: {} } });
    const { slots, lifetime } = registration;
    const lastsMs = lifetime && lifetime.leftMs - lifetime.graceMs;
    this.#office.feed({ type: "node-joined", node: node.key, slots, labels, resources, lastsMs });
    this.#cordons.nodeJoined(node);
    this.#clients.processes.nodeJoined(node, ledger.cordons.has(name));
    return node;
  }

  #incarnate(name: NodeName): number {
    const { nodeNames } = this.#office.ledger;
    const known = nodeNames.get(name) ?? { incarnation: 0, lost: 0 };
    known.incarnation++;
    nodeNames.delete(name);
    nodeNames.set(name, known);
    const [oldest] = nodeNames.keys();
    if (oldest !== undefined && nodeNames.size > INCARNATIONS_MAX) nodeNames.delete(oldest);
    return known.incarnation;
  }

  /** An agent that was started anew takes its name from its last life. Nobody else does: who had the name would lose what it runs. */
  #replace(older: NodeRecord | undefined, caller: Caller): void {
    if (older === undefined) return;
    if (!isSameCaller(older.caller, caller))
      throw new PermissionError(
        `the node ${older.name} is there, and belongs to somebody else than ${callerText(caller)}`,
      );
    this.#leave(older, "replaced");
    const message = `a newer agent took the name ${older.name}`;
    older.session.close({ code: "conflict", message }).catch(() => undefined);
  }

  #noteLost(assignments: readonly AssignmentRecord[], why: string): void {
    const { ledger, env } = this.#office;
    for (const assignment of assignments)
      if (ledger.jobs.has(assignment.job.key)) ledger.attempts.lost(assignment, why, env.clock.nowMs());
  }

  #leave(node: NodeRecord, reason: string): void {
    const { ledger, env } = this.#office;
    if (!ledger.nodes.delete(node.key)) return;
    if (ledger.nodesByName.get(node.name) === node) ledger.nodesByName.delete(node.name);
    const { name, incarnation, caller } = node;
    env.log.info("node left", { node: name, incarnation, reason, caller: callerText(caller) });
    node.inflow.abort();
    const assignments = [...node.assignments.values()];
    this.#office.counts.lostWithNodes += assignments.length;
    this.#noteLost(assignments, lossText(node, reason, env.clock.nowMs()));
    const named = ledger.nodeNames.get(node.name);
    if (named !== undefined) named.lost += assignments.length;
    this.#cordons.nodeLeft(node);
    node.assignments.clear();
    this.#clients.processes.nodeLeft(node);
    this.#office.feed({ type: "node-lost", node: node.key });
    // not before the core has heard: where the session ended while a wish was performed, that is only once all wishes are
    queueMicrotask(() => {
      for (const { id } of assignments) ledger.assignments.delete(id);
    });
  }
}

/** As it came at `nowMs`; undefined when nothing did. */
function lifetimeOf(told: NodeLifetime | undefined, nowMs: Millis): Lifetime | undefined {
  if (told === undefined) return undefined;
  const endsAtMs = nowMs + told.leftMs;
  return { endsAtMs, stopsAtMs: endsAtMs - told.graceMs };
}

/** Why a node is gone, for people. */
function lossText({ name, lifetime }: NodeRecord, reason: string, nowMs: Millis): string {
  if (lifetime !== undefined && nowMs >= lifetime.stopsAtMs)
    return `node ${name} came to its end, as its agent had said`;
  switch (reason) {
    case "expired":
      return `node ${name} was lost: nothing was heard of it for the length of its lease`;
    case "replaced":
      return `node ${name} was lost: a newer agent took its name`;
    case "goodbye":
      return `node ${name} left`;
    default:
      return `node ${name} was lost: its session ended (${reason})`;
  }
}
