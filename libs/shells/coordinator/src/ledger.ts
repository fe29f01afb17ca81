import type { AssignmentId, ClientKey, JobKey, NodeKey, Outcome, PoolKey } from "@heddle/core-scheduler";
import type { ArtifactHash, ClientId, JobId, Millis, NodeName, PoolId } from "@heddle/kernel";
import type { Caller, Session } from "@heddle/port-rpc";
import type {
  AttachResponseEntry,
  FabricError,
  FunctionRef,
  OpenJob,
  OpenPool,
  PayloadFlow,
  PayloadInflow,
  PayloadOutflow,
  RegisterNode,
  RunResponseEntry,
} from "@heddle/wire";
import { AttemptBook } from "./attempts.ts";
import { CheckpointBook } from "./checkpoints.ts";
import type { KeptChunkRecord } from "./kept-job.ts";
import type { KeptListener } from "./kept-listener.ts";
import type { AnswerFacts } from "./kept-records.ts";
import type { KeptSubmission } from "./kept-submission.ts";
import type { Outlet } from "./outlet.ts";

/** A client within its lease. */
export interface ClientRecord {
  readonly key: ClientKey;
  /** The client's own, in all of its sessions. */
  readonly id: ClientId;
  readonly caller: Caller;
  readonly session: Session<RunResponseEntry>;
  readonly inflow: PayloadInflow;
  readonly outflow: PayloadOutflow;
  /** For people. */
  readonly description: string;
  readonly pools: Map<PoolId, PoolRecord>;
  /** Open jobs by the client's own number. */
  readonly jobs: Map<number, JobRecord>;
  /** Of jobs that are over and whose results are not all sent, by its own number. */
  readonly outlets: Map<number, { readonly outlet: Outlet; readonly pool: PoolRecord }>;
  /** What it submits, or listens to, by its own number. */
  readonly kept: Map<number, KeptSubmission | KeptListener>;
  /** It is the coordinator itself, which runs kept jobs. */
  readonly isCoordinator: boolean;
  /** Code that it has and sends when asked. Size <= CLIENT_ARTIFACTS_MAX. */
  readonly artifacts: Set<ArtifactHash>;
  /** Chunks held for it, and their input bytes. */
  heldChunks: number;
  heldBytes: number;
  throttled: boolean;
  /** Results that are being relayed to it as they come, in bytes. */
  relayedBytes: number;
  /** Bytes of results that went into its queue when that was short the last time, and of those relayed then: it is as much longer as they are large. */
  directBytes: number;
  /** Output lines dropped since the last one sent. */
  droppedLines: number;
}

/** What operators see of a kept job, beside what they see of all. */
export interface KeptFacts {
  readonly isDetached: boolean;
  /** By this coordinator's clock, which may have begun later. */
  readonly openedMs: Millis;
  /** Clients that listen to it, or are submitting it. */
  readonly listenerCount: number;
  /** Of all of it, whatever of it was run in this life of the coordinator. */
  readonly items: number;
  readonly chunkCount: number;
  /** Of what was answered in lives before, and is not offered again. */
  readonly itemsBefore: number;
  readonly chunksBefore: number;
  /** By their own numbers; empty once it has ended. */
  readonly chunks: readonly KeptChunkRecord[];
  /** Those on disk. */
  readonly answers: readonly AnswerFacts[];
  /** Own number of the chunk with this item; that behind the last for none. */
  readonly chunkNumberOf: (index: number) => number;
  /** Own number of what its run calls by this one. */
  readonly ownNumber: (chunk: number) => number;
  /** What its run calls the chunk of this own number; undefined when that was answered before. */
  readonly runNumber: (chunk: number) => number | undefined;
}

/** A pool of a client, until it is closed. */
export interface PoolRecord {
  readonly key: PoolKey;
  readonly id: PoolId;
  readonly client: ClientRecord;
  /** What its workers are told: its initializer, and when they are replaced. */
  readonly opened: OpenPool;
}

/** A chunk whose inputs are held. */
interface ChunkRecord {
  readonly firstIndex: number;
  readonly count: number;
  readonly input: PayloadFlow;
  /** Items with a result, or when the job collects with a failure. */
  itemsSettled: number;
}

/** A job, from opening until its last assignment is over. */
export interface JobRecord {
  readonly key: JobKey;
  readonly id: JobId;
  /** The client's own number for it. */
  readonly number: number;
  readonly pool: PoolRecord;
  /** Set: the coordinator keeps the job, and is its client. */
  readonly keptFor: KeptFacts | undefined;
  /** Undefined for a job that only has workers join their pool. */
  readonly function: FunctionRef | undefined;
  /** What the client asked for, as it came. */
  readonly opened: OpenJob;
  readonly openedMs: Millis;
  /** Undefined where results go to the client as they come. */
  readonly outlet: Outlet | undefined;
  /** Inputs that may be needed again. */
  readonly chunks: Map<number, ChunkRecord>;
  /** Their bytes. */
  heldBytes: number;
  chunksOffered: number;
  itemsOffered: number;
  /** Index behind the last one of those. */
  itemsEnd: number;
  /** All of its chunks were offered. */
  isSealed: boolean;
  itemsDone: number;
  /** Chunks all of whose items are settled. */
  chunksDone: number;
  /** It ended because its client left: nobody has heard of that, and its id is free. */
  isAbandoned: boolean;
  /** One line of its first failure; empty so far. */
  failure: string;
  /** How it ends, and why, when it is stopped by somebody else than its client. */
  verdict: { readonly outcome: "failed" | "cancelled"; readonly error: FabricError } | undefined;
}

/** A job that is over, for people. */
export interface EndedJob {
  readonly job: JobRecord;
  readonly outcome: "done" | "failed" | "cancelled";
  readonly endedMs: Millis;
}

/** A node within its lease. */
export interface NodeRecord {
  readonly key: NodeKey;
  readonly name: NodeName;
  readonly incarnation: number;
  readonly registration: RegisterNode;
  /** Newest minor of heddle.v1 that its agent speaks. */
  readonly minor: number;
  /** Whose its agent is. */
  readonly caller: Caller;
  readonly session: Session<AttachResponseEntry>;
  readonly inflow: PayloadInflow;
  readonly outflow: PayloadOutflow;
  readonly joinedMs: Millis;
  /** When it ends, as its agent has said last; undefined when it has not. */
  lifetime: Lifetime | undefined;
  /** Jobs that were described to it and not forgotten. */
  readonly described: Set<JobKey>;
  /** Assignments by their number on the wire. */
  readonly assignments: Map<number, AssignmentRecord>;
  /** When its connection was lost; undefined while it has one. */
  silentSinceMs: Millis | undefined;
  /** What became of its assignments. */
  readonly tally: Record<Outcome["type"] | "start-fault", number>;
}

/** How long a node lasts. */
export interface Lifetime {
  /** From then on what runs there is told to come to an end. */
  readonly stopsAtMs: Millis;
  readonly endsAtMs: Millis;
}

/** A node, by name, that is to get nothing new. */
export interface Cordon {
  /** As whoever asked for it has said; may be empty. */
  readonly reason: string;
  /** It was asked for an agent that is about to end, and ends with that. */
  readonly isOfAgent: boolean;
  /** Undefined: what it has may stay. */
  readonly drain: Drain | undefined;
}

/** A node, by name, that is to be emptied. */
export interface Drain {
  /** What is left then is stopped. */
  readonly stopAtMs: Millis;
  readonly timer: Disposable | undefined;
  /** What was. */
  stoppedChunks: number;
  stoppedProcesses: number;
}

/** What is known of all nodes of one name. */
interface NodeNameRecord {
  /** How often one has joined. */
  incarnation: number;
  /** Assignments that were lost with one. */
  lost: number;
}

/** A placement that is not over. */
export interface AssignmentRecord {
  readonly id: AssignmentId;
  readonly node: NodeRecord;
  readonly job: JobRecord;
  readonly chunk: number;
  readonly offset: number;
  readonly count: number;
  readonly attempt: number;
  /** Index of its first item in the job's inputs. */
  readonly firstIndex: number;
  /** It is all of its chunk. */
  readonly isWhole: boolean;
  readonly placedMs: Millis;
  /** When its node said that it runs, which it need not. */
  startedMs: Millis | undefined;
  /** Index of the item of which it said last what it has come to; undefined for none. */
  checkpointed: number | undefined;
}

/** Everything the coordinator knows beside the core: how keys of the core map to sessions, payloads and names. */
export class Ledger {
  readonly clients = new Map<ClientKey, ClientRecord>();
  /** The same, each in its newest session. */
  readonly clientsById = new Map<ClientId, ClientRecord>();
  readonly jobs = new Map<JobKey, JobRecord>();
  readonly nodes = new Map<NodeKey, NodeRecord>();
  readonly nodesByName = new Map<NodeName, NodeRecord>();
  readonly assignments = new Map<AssignmentId, AssignmentRecord>();
  /** Names that have joined, the one that joined longest ago first. Size <= INCARNATIONS_MAX. */
  readonly nodeNames = new Map<NodeName, NodeNameRecord>();
  /** Nodes that get nothing new, the one that was cordoned longest ago first. Size <= CORDONS_MAX. */
  readonly cordons = new Map<NodeName, Cordon>();
  /** The newest job of each id, open or ended and remembered. */
  readonly jobIds = new Map<JobId, JobRecord>();
  /** Oldest first. */
  readonly ended: EndedJob[] = [];
  readonly attempts = new AttemptBook();
  readonly checkpoints = new CheckpointBook();
  #lastKey = 0;

  /** Whether people can still ask about it: it is open, or has ended lately. */
  remembers(job: JobRecord): boolean {
    return this.jobIds.get(job.id) === job;
  }

  /** The next key for anything the core is to know. */
  mintKey(): number {
    return ++this.#lastKey;
  }
}

/** The number of an assignment on the wire: unique among a node's unfinished ones, which are far fewer than 2^32. */
export function wireAssignment(id: AssignmentId): number {
  return id % 0x1_0000_0000;
}
