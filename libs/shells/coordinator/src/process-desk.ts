import { lackText, type Requirements } from "@heddle/core-scheduler";
import { type ErrorCode, type Millis, ProtocolError } from "@heddle/kernel";
import {
  type FabricError,
  type NodeProcess,
  type Output,
  type ProcessEnded,
  ProcessSignal,
  type ProcessStarted,
  type SignalProcess,
  type StartProcess,
} from "@heddle/wire";
import { checkProcess } from "./checks.ts";
import type { Office } from "./desk.ts";
import { LackWatch } from "./lack-watch.ts";
import type { ClientRecord, NodeRecord } from "./ledger.ts";
import {
  CLIENT_PROCESSES_MAX,
  LACK_LENGTH_MAX,
  NODE_PROCESSES_MAX,
  PROCESS_FAULT_MS,
  PROCESS_TRIES_MAX,
} from "./limits.ts";
import { type Candidate, fits, type Placement, place } from "./placement.ts";
import { plainLine } from "./plain.ts";
import { fabricError } from "./results.ts";

/** A process, from the wish for it to its end. */
interface ProcessRecord {
  /** The coordinator's number of it, with agents and for its children. */
  readonly key: number;
  /** Whoever started it, and that one's number for it; undefined once that one is gone and the process lives on. */
  starter: { readonly client: ClientRecord; readonly number: number } | undefined;
  /** The program, or the pool's worker, that it belongs to: it ends with that one at the latest, and prints there. */
  readonly owner: ClientRecord;
  /** The process that has started it, if one has. */
  readonly parent: ProcessRecord | undefined;
  /** Those that it has started and that are not over. */
  readonly children: Set<ProcessRecord>;
  readonly start: StartProcess;
  /** Undefined while it waits for a node that fits. */
  node: PlacingNode | undefined;
  placedMs: Millis;
  /** Of its worker, once it runs. */
  pid: number;
  /** It was told to end because its node is drained. */
  isDrained: boolean;
  /** It was sent a signal: it is not tried elsewhere. */
  isSignalled: boolean;
  /** Its node was told that whoever started it is gone. */
  isOrphan: boolean;
  /** What nodes said that could not start it, by their names. Size < PROCESS_TRIES_MAX. */
  readonly faults: Map<string, string>;
}

interface PlacingNode extends Candidate {
  readonly record: NodeRecord;
  readonly placed: Map<number, ProcessRecord>;
  leaving: boolean;
  cordoned: boolean;
  silent: boolean;
  excluded: boolean;
  /** When it could not start one, the last time, with none started since. */
  faultMs: Millis | undefined;
}

/** Places processes beside the pools' slots, tells those who started them what becomes of them, and ends those that nobody owns any more. */
export class ProcessDesk {
  readonly #office: Office;
  readonly #print: (client: ClientRecord, output: Output) => void;
  readonly #idle: () => void;
  readonly #nodes = new Map<NodeRecord, PlacingNode>();
  /** All that are not over, by the coordinator's number. */
  readonly #processes = new Map<number, ProcessRecord>();
  /** By whoever started them and that one's number. Size of each <= CLIENT_PROCESSES_MAX. */
  readonly #started = new Map<ClientRecord, Map<number, ProcessRecord>>();
  /** By whom they belong to. */
  readonly #owned = new Map<ClientRecord, Set<ProcessRecord>>();
  /** Those that no node fits, oldest first. */
  readonly #waiting = new Set<ProcessRecord>();
  readonly #lack: LackWatch<ProcessRecord>;

  /** `print`: shows lines to a client. `idle`: told when the last process is over. */
  constructor(office: Office, print: (client: ClientRecord, output: Output) => void, idle: () => void) {
    this.#office = office;
    this.#print = print;
    this.#idle = idle;
    const { env, unschedulableMs } = office;
    this.#lack = new LackWatch(env.clock, unschedulableMs, (record) => this.#giveUp(record));
  }

  /** Processes that are not over. */
  get size(): number {
    return this.#processes.size;
  }

  /** Those of them that wait for a node. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** A client wants one. Throws ProtocolError for what no client may say. */
  start(client: ClientRecord, start: StartProcess): void {
    checkProcess(start);
    const own = this.#started.get(client) ?? new Map<number, ProcessRecord>();
    if (own.has(start.process)) throw new ProtocolError(`process number ${start.process} is in use`);
    const refuse = (error: FabricError): void => sendEnded(client, start.process, refusal(error));
    if (!this.#office.open())
      return refuse(fabricError("unavailable", "the coordinator is stopping and starts no new processes"));
    if (own.size >= CLIENT_PROCESSES_MAX) return refuse(clientLimit(own.size + 1));
    const parent = this.#processes.get(start.parentProcess);
    if (start.parentProcess !== 0 && parent === undefined)
      return refuse(fabricError("state", `${start.name} was started by a process that is over`));
    const key = this.#office.ledger.mintKey();
    const starter = { client, number: start.process };
    const owner = parent?.owner ?? client;
    const record: ProcessRecord = {
      key,
      starter,
      owner,
      parent,
      children: new Set(),
      start,
      ...unplaced,
      faults: new Map(),
    };
    const error = this.#place(record);
    if (error !== undefined) return refuse(error);
    this.#started.set(client, own.set(start.process, record));
    this.#processes.set(key, record);
    this.#owned.set(owner, (this.#owned.get(owner) ?? new Set()).add(record));
    parent?.children.add(record);
  }

  /** Whoever started it signals it. One that waits for a node ends by that. */
  signal(client: ClientRecord, { process, signal }: SignalProcess): void {
    if (signal !== ProcessSignal.TERMINATE && signal !== ProcessSignal.KILL)
      throw new ProtocolError(`${signal} is no signal that a client may send`);
    const record = this.#started.get(client)?.get(process);
    if (record !== undefined) this.#signal(record, signal);
  }

  /** A client is gone: what belongs to it ends, and so does what ends with whoever started it. */
  clientLeft(client: ClientRecord): void {
    const own = [...(this.#started.get(client)?.values() ?? [])];
    this.#started.delete(client);
    for (const record of own) {
      record.starter = undefined;
      if (record.parent === undefined) this.#tellParentEnded(record);
    }
    const ending = new Set([...(this.#owned.get(client) ?? []), ...own.filter(({ start }) => start.daemon)]);
    for (const record of ending) this.#signal(record, ProcessSignal.STOP);
  }

  nodeJoined(record: NodeRecord, cordoned: boolean): void {
    const { name, registration } = record;
    const placed = new Map<number, ProcessRecord>();
    const { clock } = this.#office.env;
    this.#nodes.set(record, {
      record,
      name,
      labels: new Map(Object.entries(registration.labels)),
      placed,
      get processes() {
        return placed.size;
      },
      get faulty() {
        return this.faultMs !== undefined && clock.nowMs() - this.faultMs < PROCESS_FAULT_MS;
      },
      leaving: false,
      cordoned,
      silent: false,
      excluded: false,
      faultMs: undefined,
    });
    this.#placeWaiting();
  }

  /** It takes no new processes: its agent ends. */
  nodeLeaves(record: NodeRecord): void {
    const node = this.#nodes.get(record);
    if (node !== undefined) node.leaving = true;
    this.#lookForNodes();
  }

  /** It takes no new processes, or again. */
  nodeCordoned(record: NodeRecord, cordoned: boolean): void {
    const node = this.#nodes.get(record);
    if (node === undefined) return;
    node.cordoned = cordoned;
    if (!cordoned) this.#placeWaiting();
  }

  /** The time that it had to be drained is over: those on it end. How many there are. */
  nodeStops(record: NodeRecord): number {
    const left = [...(this.#nodes.get(record)?.placed.values() ?? [])];
    for (const process of left) {
      process.isDrained = true;
      this.#signal(process, ProcessSignal.STOP);
    }
    return left.length;
  }

  /** How many it has. */
  countOn(record: NodeRecord): number {
    return this.#nodes.get(record)?.placed.size ?? 0;
  }

  /** Those that it has, the one that is there for longest first. */
  on(record: NodeRecord, nowMs: Millis): NodeProcess[] {
    const here = [...(this.#nodes.get(record)?.placed.values() ?? [])];
    return here.map(({ start, pid, placedMs, owner }) => {
      return { name: start.name, pid, ageMs: Math.round(nowMs - placedMs), client: owner.description };
    });
  }

  /** Nothing is heard of it, or it is heard again. */
  nodeSilent(record: NodeRecord, silent: boolean): void {
    const node = this.#nodes.get(record);
    if (node !== undefined) node.silent = silent;
  }

  /** It fails too much of what it is given, or is tried again. */
  nodeExcluded(record: NodeRecord, excluded: boolean): void {
    const node = this.#nodes.get(record);
    if (node !== undefined) node.excluded = excluded;
  }

  /** Whether it fails too much, as was told last. */
  isExcluded(record: NodeRecord): boolean {
    return this.#nodes.get(record)?.excluded === true;
  }

  /** Its processes are over: an agent ends what it ran when it loses its coordinator, and its reaper does when it dies. */
  nodeLeft(record: NodeRecord): void {
    const node = this.#nodes.get(record);
    this.#nodes.delete(record);
    for (const lost of [...(node?.placed.values() ?? [])])
      this.#end(lost, { end: { $case: "signal", value: "SIGKILL" }, why: `node ${record.name} was lost with it` });
    this.#lookForNodes();
  }

  /** An agent says that it runs. */
  hasStarted(record: NodeRecord, { process, pid }: ProcessStarted): void {
    const node = this.#nodes.get(record);
    const started = node?.placed.get(process);
    if (node !== undefined && started !== undefined) node.faultMs = undefined;
    if (started !== undefined) started.pid = pid;
    const starter = started?.starter;
    const value = { process: starter?.number ?? 0, node: record.name, pid };
    starter?.client.session.send({ kind: { $case: "processStarted", value } });
  }

  /** An agent says that it is over. */
  hasEnded(record: NodeRecord, { process, end, why }: ProcessEnded): void {
    if (end === undefined) throw new ProtocolError("a process ended without saying how");
    const ended = this.#nodes.get(record)?.placed.get(process);
    if (ended !== undefined && end.$case === "refused") return this.#couldNotStart(ended, end.value);
    const drained = ended?.isDrained === true ? `the time that node ${record.name} had to be drained was over` : "";
    if (ended !== undefined) this.#end(ended, { end, why: why === "" ? drained : why });
  }

  /** What it prints goes to the program that it belongs to. */
  output(record: NodeRecord, output: Output): void {
    const process = this.#nodes.get(record)?.placed.get(output.process);
    if (process === undefined) return;
    const number = process.starter?.client === process.owner ? process.starter.number : 0;
    this.#print(process.owner, { ...output, job: 0, process: number, processName: process.start.name });
  }

  /** Nothing of it has run: it goes to another node that fits, unless somebody wants it ended or on that one, or enough have been tried. */
  #couldNotStart(record: ProcessRecord, error: FabricError): void {
    const { node, start, faults, key } = record;
    if (node !== undefined) node.faultMs = this.#office.env.clock.nowMs();
    faults.set(node?.name ?? "", error.message);
    const isMovable = start.node === "" && !record.isSignalled && faults.size < PROCESS_TRIES_MAX;
    if (!isMovable || this.#findNode(record).type !== "placed")
      return this.#end(record, refusal(triedError(record, error)));
    node?.placed.delete(key);
    record.node = undefined;
    this.#place(record);
    if (record.isOrphan) this.#tellParentEnded(record);
  }

  #findNode({ start, faults }: ProcessRecord): Placement<PlacingNode> {
    const { labels } = requirementsOfProcess(start);
    const untried = this.#nodes.values().filter(({ name }) => !faults.has(name));
    return place(untried, { node: start.node, labels }, NODE_PROCESSES_MAX);
  }

  /** Sends it to a node that fits, or leaves it waiting for one; an error when it can have none. */
  #place(record: ProcessRecord): FabricError | undefined {
    const { start } = record;
    const placement = this.#findNode(record);
    if (placement.type === "full") return nodeLimit();
    if (placement.type === "none" && start.node !== "") return unschedulable(start);
    if (placement.type !== "placed") {
      this.#waiting.add(record);
      this.#lookForNode(record);
      return undefined;
    }
    const { node } = placement;
    record.node = node;
    record.placedMs = this.#office.env.clock.nowMs();
    this.#waiting.delete(record);
    this.#lack.look(record, false);
    node.placed.set(record.key, record);
    const value = { ...start, process: record.key, requirements: undefined, parentProcess: 0 };
    node.record.session.send({ kind: { $case: "startProcess", value } });
    return undefined;
  }

  #placeWaiting(): void {
    for (const waiting of [...this.#waiting]) {
      const error = this.#place(waiting);
      if (error !== undefined) this.#end(waiting, refusal(error));
    }
  }

  /** Nodes went away: of those that wait some may be such that none of the others could run. */
  #lookForNodes(): void {
    for (const waiting of this.#waiting) this.#lookForNode(waiting);
  }

  #lookForNode(record: ProcessRecord): void {
    const nodes = this.#staying();
    const wish = { node: "", labels: requirementsOfProcess(record.start).labels };
    this.#lack.look(record, nodes.length > 0 && !nodes.some((node) => fits(node, wish)));
  }

  #staying(): PlacingNode[] {
    return [...this.#nodes.values()].filter(({ leaving }) => !leaving);
  }

  #giveUp(record: ProcessRecord): void {
    const nodes = this.#staying().map(({ labels }) => ({ labels, resources: new Map<string, number>() }));
    const seconds = Math.round(this.#office.unschedulableMs / 100) / 10;
    const lack = lackText(nodes, requirementsOfProcess(record.start));
    const message = `no node could ever run ${record.start.name}, and none came in ${seconds} s: ${lack}`;
    this.#end(record, refusal(fabricError("unschedulable", plainLine(message, LACK_LENGTH_MAX))));
  }

  #signal(record: ProcessRecord, signal: ProcessSignal): void {
    const { node, key } = record;
    record.isSignalled = true;
    if (node !== undefined)
      node.record.session.send({ kind: { $case: "signalProcess", value: { process: key, signal } } });
    else
      this.#end(record, {
        end: { $case: "signal", value: signal === ProcessSignal.KILL ? "SIGKILL" : "SIGTERM" },
        why: "",
      });
  }

  #end(record: ProcessRecord, how: Pick<ProcessEnded, "end" | "why">): void {
    const { key, starter, node } = record;
    this.#processes.delete(key);
    this.#waiting.delete(record);
    this.#lack.look(record, false);
    node?.placed.delete(key);
    record.parent?.children.delete(record);
    removeFrom(this.#owned, record.owner, record);
    if (starter !== undefined) {
      removeFrom(this.#started, starter.client, starter.number);
      sendEnded(starter.client, starter.number, how);
    }
    for (const child of [...record.children]) {
      this.#tellParentEnded(child);
      if (child.start.daemon) this.#signal(child, ProcessSignal.STOP);
    }
    if (this.#processes.size === 0) this.#idle();
  }

  #tellParentEnded(record: ProcessRecord): void {
    const { key, node } = record;
    record.isOrphan = true;
    node?.record.session.send({ kind: { $case: "parentEnded", value: { process: key } } });
  }
}

const unplaced = { node: undefined, placedMs: 0, pid: 0, isDrained: false, isSignalled: false, isOrphan: false };

/** Resources are nothing to a process, which is beside the slots. */
function requirementsOfProcess({ requirements }: StartProcess): Requirements {
  return { labels: new Map(Object.entries(requirements?.labels ?? {})), resources: new Map() };
}

/** Takes one out of a group of many; empty groups are not kept. */
function removeFrom<K, T>(groups: Map<K, { delete(one: T): boolean; readonly size: number }>, of: K, one: T): void {
  const group = groups.get(of);
  group?.delete(one);
  if (group?.size === 0) groups.delete(of);
}

/** Behind what it printed. */
function sendEnded(client: ClientRecord, process: number, { end, why }: Pick<ProcessEnded, "end" | "why">): void {
  const bytes = why.length + (end?.$case === "refused" ? end.value.message.length : 0);
  client.session.send({ kind: { $case: "processEnded", value: { process, end, why } } }, bytes);
}

function refusal(error: FabricError): Pick<ProcessEnded, "end" | "why"> {
  return { end: { $case: "refused", value: error }, why: "" };
}

/** What the only node said that was tried, or all of them. */
function triedError({ start, faults }: ProcessRecord, last: FabricError): FabricError {
  if (faults.size === 1) return last;
  const told = [...faults].map(([name, why]) => `${name}: ${plainLine(why, LACK_LENGTH_MAX / PROCESS_TRIES_MAX)}`);
  return { ...last, message: `none of ${faults.size} nodes could start ${start.name}: ${told.join("; ")}` };
}

function clientLimit(actual: number): FabricError {
  const message = `a program may have ${CLIENT_PROCESSES_MAX} processes at a time (CLIENT_PROCESSES_MAX): wait for some to end, or give a Pool the work`;
  return limitError("CLIENT_PROCESSES_MAX", { limit: CLIENT_PROCESSES_MAX, actual, message });
}

function nodeLimit(): FabricError {
  const limit = NODE_PROCESSES_MAX;
  const message = `each node that fits has ${limit} processes, the most that one may have (NODE_PROCESSES_MAX): wait for some to end`;
  return limitError("NODE_PROCESSES_MAX", { limit, actual: limit + 1, message });
}

function limitError(limitName: string, more: Pick<FabricError, "limit" | "actual" | "message">): FabricError {
  return { ...fabricError("limit" satisfies ErrorCode, more.message), limitName, ...more };
}

function unschedulable({ name, node }: StartProcess): FabricError {
  const message = `${name} is to run on node ${JSON.stringify(node)}, which is not there, leaves, or lacks its labels`;
  return fabricError("unschedulable", message);
}
