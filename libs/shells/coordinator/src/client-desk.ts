import type { ClientKey, JobKey, PoolKey } from "@heddle/core-scheduler";
import {
  type ArtifactHash,
  ClientId,
  type ErrorCode,
  type JobId,
  LimitError,
  PermissionError,
  type PoolId,
  ProtocolError,
} from "@heddle/kernel";
import { type Caller, callerText, isSameCaller, type Session, type SessionHandler } from "@heddle/port-rpc";
import {
  type FunctionRef,
  JobOutcome,
  type OfferChunk,
  type OpenJob,
  type OpenPool,
  type Output,
  type PayloadFlow,
  PayloadInflow,
  PayloadOutflow,
  type RegisterClient,
  type RunRequestEntry,
  type RunResponseEntry,
  type SignalProcess,
  type StartProcess,
} from "@heddle/wire";
import { jobRequirementsOf, requirementsOf } from "./checks.ts";
import { type ClientHost, takeClientEntry } from "./client-entries.ts";
import type { Office } from "./desk.ts";
import { KeptDesk, type KeptDeskOptions } from "./kept-desk.ts";
import type { KeptJob } from "./kept-job.ts";
import type { ClientRecord, JobRecord, PoolRecord } from "./ledger.ts";
import {
  ABSORBED_BACKLOG_BYTES,
  CLIENT_OUTPUT_BACKLOG_BYTES,
  CLIENT_RESULT_BACKLOG_BYTES,
  CLIENTS_MAX,
  JOB_SPILL_BYTES_MAX,
} from "./limits.ts";
import type { Counts } from "./metrics.ts";
import { Outlet } from "./outlet.ts";
import { ProcessDesk } from "./process-desk.ts";
import { fabricError, sendJobEnded } from "./results.ts";

/** What keeping jobs needs beside what clients are served by. */
type Keeping = Pick<KeptDeskOptions, "space" | "history" | "leaseMs" | "timeOfDayMs" | "closer">;

/** Where clients are served: turns what they say into facts. */
export class ClientDesk implements ClientHost {
  /** Processes beside the pools' slots. */
  readonly processes: ProcessDesk;
  /** Jobs that outlive their client, or this coordinator. */
  readonly kept: KeptDesk;
  readonly #office: Office;
  readonly #idle: () => void;
  #slots = 0;
  #nodes = 0;

  /** `idle`: told when the last process is over, or a job has its last result sent that was over before. */
  constructor(office: Office, keeping: Keeping, idle: () => void) {
    this.#office = office;
    this.#idle = idle;
    this.kept = new KeptDesk({
      ...{ ...keeping, office, host: this },
      isTaken: (client, id) => !this.#isFree(client, id),
      print: (job, output) => this.#printKept(job, output),
    });
    this.processes = new ProcessDesk(office, (client, output) => this.sendLines(client, output), idle);
  }

  /** A new session: its first entry must say who it is. */
  readonly onSession = (
    session: Session<RunResponseEntry>,
    _hello: unknown,
    caller: Caller,
  ): SessionHandler<RunRequestEntry> => {
    let client: ClientRecord | undefined;
    return {
      entries: (entries) => {
        for (const entry of entries) {
          if (client === undefined) client = this.#register(session, caller, entry);
          else takeClientEntry(this, client, entry);
        }
      },
      ended: (end) => {
        if (client !== undefined) this.#leave(client, end.reason === "goodbye");
      },
    };
  };

  /** Tells every client what there is to run on. */
  announceCapacity(slots: number, nodes: number): void {
    this.#slots = slots;
    this.#nodes = nodes;
    for (const client of this.#office.ledger.clients.values()) this.#tellCapacity(client);
  }

  /** Sends lines that a job's functions wrote, unless the client reads too slowly: then they are counted and dropped. */
  sendOutput(job: JobRecord, output: Output): void {
    this.sendLines(job.pool.client, { ...output, job: job.number });
  }

  /** The same, of whatever wrote them. */
  sendLines(client: ClientRecord, output: Output): void {
    const bytes = output.text.length;
    if (client.session.queuedBytes + bytes > CLIENT_OUTPUT_BACKLOG_BYTES) {
      client.droppedLines++;
      return;
    }
    const dropped = client.droppedLines;
    client.droppedLines = 0;
    const text =
      dropped > 0 ? `[${dropped} blocks of output dropped: the client reads too slowly]\n${output.text}` : output.text;
    client.session.send({ kind: { $case: "output", value: { ...output, text } } }, bytes);
  }

  /** To the client that listens for the shortest time; dropped when none does. */
  #printKept({ listeners }: KeptJob, output: Output): void {
    const newest = [...listeners].at(-1);
    if (newest !== undefined) this.sendLines(newest.client, { ...output, job: newest.number });
  }

  /** A result of the job was sent: holds back new chunks of it where there is no room for more, or of all of its client's while they pile up before that. */
  watchBacklog({ outlet, pool: { client } }: JobRecord): void {
    outlet?.judge();
    const bytesMax = outlet?.absorbs ? ABSORBED_BACKLOG_BYTES + client.directBytes : CLIENT_RESULT_BACKLOG_BYTES;
    if (client.throttled || client.session.queuedBytes < bytesMax) return;
    client.throttled = true;
    this.#office.feed({ type: "client-throttled", client: client.key, throttled: true });
    const release = (): void => {
      client.throttled = false;
      this.#office.feed({ type: "client-throttled", client: client.key, throttled: false });
    };
    client.session.drained().then(release, release);
  }

  openPool(client: ClientRecord, id: PoolId, opened: OpenPool): void {
    const key = this.#office.ledger.mintKey() as PoolKey;
    const pool: PoolRecord = { key, id, client, opened };
    client.pools.set(id, pool);
    this.#office.feed({
      type: "pool-opened",
      pool: key,
      client: client.key,
      slotsMax: opened.processes === 0 ? undefined : opened.processes,
      requirements: requirementsOf(opened.requirements),
    });
  }

  closePool(pool: PoolRecord): void {
    const { client } = pool;
    client.pools.delete(pool.id);
    for (const [job, { pool: its }] of client.outlets) if (its === pool) this.dropResults(client, job);
    this.#office.feed({ type: "pool-closed", pool: pool.key });
    this.kept.poolClosed(pool);
  }

  openJob(pool: PoolRecord, opened: OpenJob, fn: FunctionRef | undefined, id: JobId): void {
    const { ledger, open, feed } = this.#office;
    const refuse = (code: ErrorCode, message: string): void =>
      sendJobEnded(pool.client, opened.job, JobOutcome.FAILED, fabricError(code, message));
    if (!open()) return refuse("unavailable", "the coordinator is stopping and takes no new jobs");
    const kept = this.kept.get(id);
    const { isCoordinator } = pool.client;
    if ((kept !== undefined && !isCoordinator) || !this.#isFree(pool.client, id))
      return refuse("conflict", `a job with the id ${id} is open or was before`);
    const key = ledger.mintKey() as JobKey;
    const job: JobRecord = {
      key,
      id,
      number: opened.job,
      pool,
      keptFor: isCoordinator ? kept : undefined,
      function: fn,
      opened,
      outlet: this.#outlet(pool, key, opened),
      openedMs: (isCoordinator ? kept?.openedMs : undefined) ?? this.#office.env.clock.nowMs(),
      chunks: new Map(),
      heldBytes: 0,
      chunksOffered: 0,
      itemsOffered: 0,
      itemsEnd: 0,
      isSealed: false,
      itemsDone: 0,
      chunksDone: 0,
      isAbandoned: false,
      failure: "",
      verdict: undefined,
    };
    pool.client.jobs.set(job.number, job);
    ledger.jobs.set(job.key, job);
    ledger.jobIds.set(id, job);
    const spilled = job.outlet === undefined ? 0 : JOB_SPILL_BYTES_MAX;
    feed({
      type: "job-opened",
      job: job.key,
      pool: pool.key,
      retries: opened.retries,
      depth: opened.depth,
      collect: opened.collect,
      unreadBytesMax: opened.unreadBytesMax === 0 ? undefined : opened.unreadBytesMax + spilled,
      ordered: opened.ordered,
      requirements: jobRequirementsOf(opened),
      speculate: opened.speculate,
      resumed: { unreadBytes: opened.unreadBytes, gapChunks: opened.gapChunks },
    });
    job.outlet?.judge(); // it may have as much unread as it may
  }

  /**
   * Ends a job at its client: behind the results that wait for it, where all have come. Of another job a reader in order may never take those, for want of one
   * before them. `end`: says so.
   */
  endJob({ number, outlet, pool }: JobRecord, outcome: keyof Counts["jobsEnded"], end: () => void): void {
    const { client } = pool;
    const isThere = this.#office.ledger.clients.has(client.key);
    if (outlet === undefined || outlet.isEmpty || outcome !== "done" || !isThere) {
      outlet?.[Symbol.dispose]();
      return end();
    }
    client.outlets.set(number, { outlet, pool });
    outlet.finish(() => {
      outlet[Symbol.dispose]();
      client.outlets.delete(number);
      end();
      this.#idle();
    });
  }

  dropResults(client: ClientRecord, job: number): void {
    const left = client.outlets.get(job);
    if (left === undefined) return;
    left.outlet[Symbol.dispose]();
    client.outlets.delete(job);
    sendJobEnded(client, job, JobOutcome.CANCELLED, undefined);
    this.#idle();
  }

  #outlet(pool: PoolRecord, job: JobKey, opened: OpenJob): Outlet | undefined {
    const { spill: space, feed } = this.#office;
    const { client } = pool;
    if (space === undefined || client.isCoordinator) return undefined;
    const { unreadBytesMax, unreadBytes, gapChunks, ordered } = opened;
    return new Outlet({
      ...{ client, space, unreadBytesMax, unreadBytes, gapChunks, ordered },
      throttle: (throttled) => feed({ type: "job-throttled", job, throttled }),
      unreadable: (error) => {
        space.distrust(error);
        this.#drop(client, "results that waited for this client on the coordinator's disk cannot be read");
      },
    });
  }

  offerChunk(job: JobRecord, { chunk, firstIndex, grain, settled }: OfferChunk, input: PayloadFlow): void {
    const { client } = job.pool;
    const itemsSettled = settled.reduce((sum, { count }) => sum + count, 0);
    job.chunks.set(chunk, { firstIndex, count: input.count, input, itemsSettled });
    job.chunksOffered++;
    job.itemsOffered += input.count;
    job.itemsEnd = Math.max(job.itemsEnd, firstIndex + input.count);
    job.itemsDone += itemsSettled;
    client.heldChunks++;
    client.heldBytes += input.size;
    job.heldBytes += input.size;
    const offered = { type: "chunk-offered", job: job.key, chunk, count: input.count, grain } as const;
    this.#office.feed(settled.length === 0 ? offered : { ...offered, settled });
  }

  takeResults(job: JobRecord, bytes: number): void {
    job.outlet?.taken(bytes);
    this.#office.feed({ type: "results-taken", job: job.key, bytes });
  }

  sealJob(job: JobRecord, chunks: number): void {
    job.isSealed = true;
    this.#office.feed({ type: "job-sealed", job: job.key, chunks });
  }

  cancelJob(job: JobRecord): void {
    this.#office.feed({ type: "job-cancel-requested", job: job.key });
  }

  offerArtifact(client: ClientRecord, hash: ArtifactHash, size: number): void {
    this.#office.artifacts.offered(client, hash, size);
  }

  withdrawArtifact(client: ClientRecord, hash: ArtifactHash): void {
    this.#office.artifacts.withdrawn(client, hash);
  }

  storeArtifact(client: ClientRecord, hash: ArtifactHash, content: PayloadFlow): void {
    this.#office.artifacts.store(client, hash, content);
  }

  startProcess(client: ClientRecord, start: StartProcess): void {
    this.processes.start(client, start);
  }

  signalProcess(client: ClientRecord, signal: SignalProcess): void {
    this.processes.signal(client, signal);
  }

  #register(session: Session<RunResponseEntry>, caller: Caller, entry: RunRequestEntry): ClientRecord {
    if (entry.kind?.$case !== "registerClient") throw new ProtocolError("a client must register first");
    const registration: RegisterClient = entry.kind.value;
    const id = ClientId(registration.clientId);
    const { ledger } = this.#office;
    this.#replace(ledger.clientsById.get(id), caller);
    if (ledger.clients.size >= CLIENTS_MAX)
      throw new LimitError(
        "CLIENTS_MAX",
        CLIENTS_MAX,
        ledger.clients.size + 1,
        `there are ${CLIENTS_MAX} clients: CLIENTS_MAX is ${CLIENTS_MAX}`,
      );
    const client: ClientRecord = {
      key: ledger.mintKey() as ClientKey,
      id,
      caller,
      session,
      inflow: new PayloadInflow(),
      outflow: new PayloadOutflow((part, bytes) => session.send({ kind: { $case: "part", value: part } }, bytes)),
      description: registration.description.slice(0, 200),
      pools: new Map(),
      jobs: new Map(),
      outlets: new Map(),
      kept: new Map(),
      isCoordinator: false,
      artifacts: new Set(),
      heldChunks: 0,
      heldBytes: 0,
      throttled: false,
      relayedBytes: 0,
      directBytes: 0,
      droppedLines: 0,
    };
    ledger.clients.set(client.key, client);
    ledger.clientsById.set(id, client);
    this.#office.env.log.info("client joined", {
      client: client.description,
      peer: session.peer,
      caller: callerText(caller),
    });
    this.#office.feed({ type: "client-joined", client: client.key });
    this.#tellCapacity(client);
    return client;
  }

  /** A client that has opened another session, while the last one is half open, waits for nothing of that any more. Nobody else takes its place. */
  #replace(older: ClientRecord | undefined, caller: Caller): void {
    if (older === undefined) return;
    if (!isSameCaller(older.caller, caller))
      throw new PermissionError(
        `the client ${older.id} is there, and belongs to somebody else than ${callerText(caller)}`,
      );
    this.#drop(older, "the client has opened another session", "conflict");
  }

  /** Ends the session of a client, which may come back. */
  #drop(client: ClientRecord, message: string, code: ErrorCode = "unavailable"): void {
    client.session.close({ code, message }).catch(() => undefined); // first: it hears of no job that is dropped
    this.#leave(client, false);
  }

  /** `isLeaving`: it said goodbye, and does not come back. */
  #leave(client: ClientRecord, isLeaving: boolean): void {
    const { ledger } = this.#office;
    if (!ledger.clients.delete(client.key)) return;
    if (ledger.clientsById.get(client.id) === client) ledger.clientsById.delete(client.id);
    this.kept.clientLeft(client, isLeaving);
    client.inflow.abort();
    for (const { outlet } of client.jobs.values()) outlet?.[Symbol.dispose]();
    for (const { outlet } of client.outlets.values()) outlet[Symbol.dispose]();
    client.outlets.clear();
    this.#office.env.log.info("client left", { client: client.description, caller: callerText(client.caller) });
    this.#office.feed({ type: "client-left", client: client.key });
    this.processes.clientLeft(client);
    this.#office.artifacts.left(client);
    this.#idle();
  }

  /**
   * Whether a job may have this id. A client that comes back may open its jobs again, also one that has ended: what was sent of its end may have been lost
   * with the session.
   */
  #isFree(client: ClientRecord, id: JobId): boolean {
    const { ledger } = this.#office;
    const known = ledger.jobIds.get(id);
    if (known === undefined) return true;
    const { client: owner } = known.pool;
    if (owner === client || owner.id !== client.id) return known.isAbandoned;
    const at = ledger.ended.findIndex(({ job }) => job === known);
    if (at >= 0) ledger.ended.splice(at, 1); // it goes on
    return true;
  }

  #tellCapacity(client: ClientRecord): void {
    const capacity = { slots: this.#slots, nodes: this.#nodes };
    client.session.send({ kind: { $case: "capacity", value: capacity } });
  }
}
