import type { ClientKey, JobKey, PoolKey } from "@heddle/core-scheduler";
import { type ArtifactHash, ClientId, type JobId, type PoolId, ProtocolError } from "@heddle/kernel";
import type { Session, SessionHandler } from "@heddle/port-rpc";
import {
  type FunctionRef,
  type OpenJob,
  type Output,
  type PayloadFlow,
  PayloadInflow,
  PayloadOutflow,
  type RegisterClient,
  type RunRequestEntry,
  type RunResponseEntry,
} from "@heddle/wire";
import { type ClientHost, takeClientEntry } from "./client-entries.ts";
import type { Office } from "./desk.ts";
import type { ClientRecord, JobRecord, PoolRecord } from "./ledger.ts";
import { CLIENT_OUTPUT_BACKLOG_BYTES, CLIENT_RESULT_BACKLOG_BYTES, CLIENTS_MAX } from "./limits.ts";
import { fabricError } from "./results.ts";

/** Where clients are served: turns what they say into facts. */
export class ClientDesk implements ClientHost {
  readonly #office: Office;
  #slots = 0;
  #nodes = 0;

  constructor(office: Office) {
    this.#office = office;
  }

  /** A new session: its first entry must say who it is. */
  readonly onSession = (session: Session<RunResponseEntry>): SessionHandler<RunRequestEntry> => {
    let client: ClientRecord | undefined;
    return {
      entries: (entries) => {
        for (const entry of entries) {
          if (client === undefined) client = this.#register(session, entry);
          else takeClientEntry(this, client, entry);
        }
      },
      ended: () => {
        if (client !== undefined) this.#leave(client);
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
    const { client } = job.pool;
    const bytes = output.text.length;
    if (client.session.queuedBytes + bytes > CLIENT_OUTPUT_BACKLOG_BYTES) {
      client.droppedLines++;
      return;
    }
    const dropped = client.droppedLines;
    client.droppedLines = 0;
    const text =
      dropped > 0 ? `[${dropped} blocks of output dropped: the client reads too slowly]\n${output.text}` : output.text;
    client.session.send({ kind: { $case: "output", value: { ...output, job: job.number, text } } }, bytes);
  }

  /** Holds back new chunks while results pile up before a client that does not read. */
  watchBacklog(client: ClientRecord): void {
    if (client.throttled || client.session.queuedBytes < CLIENT_RESULT_BACKLOG_BYTES) return;
    client.throttled = true;
    this.#office.feed({ type: "client-throttled", client: client.key, throttled: true });
    const release = (): void => {
      client.throttled = false;
      this.#office.feed({ type: "client-throttled", client: client.key, throttled: false });
    };
    client.session.drained().then(release, release);
  }

  openPool(client: ClientRecord, id: PoolId, processes: number): void {
    const key = this.#office.ledger.mintKey() as PoolKey;
    const pool: PoolRecord = { key, id, client };
    client.pools.set(id, pool);
    this.#office.feed({
      type: "pool-opened",
      pool: key,
      client: client.key,
      slotsMax: processes === 0 ? undefined : processes,
    });
  }

  closePool(pool: PoolRecord): void {
    pool.client.pools.delete(pool.id);
    this.#office.feed({ type: "pool-closed", pool: pool.key });
  }

  openJob(pool: PoolRecord, open: OpenJob & { readonly function: FunctionRef }, id: JobId): void {
    if (!this.#office.open()) {
      const error = fabricError("unavailable", "the coordinator is stopping and takes no new jobs");
      pool.client.session.send({ kind: { $case: "jobEnded", value: { job: open.job, outcome: 2, error } } }, 0);
      return;
    }
    const job: JobRecord = {
      key: this.#office.ledger.mintKey() as JobKey,
      id,
      number: open.job,
      pool,
      function: open.function,
      name: open.name,
      spread: open.spread,
      depth: open.depth,
      openedMs: this.#office.env.clock.nowMs(),
      chunks: new Map(),
      chunksOffered: 0,
      itemsOffered: 0,
      itemsDone: 0,
      chunksDone: 0,
      failure: "",
    };
    pool.client.jobs.set(job.number, job);
    this.#office.ledger.jobs.set(job.key, job);
    this.#office.feed({ type: "job-opened", job: job.key, pool: pool.key, retries: open.retries, depth: open.depth });
  }

  offerChunk(job: JobRecord, chunk: number, firstIndex: number, input: PayloadFlow): void {
    const { client } = job.pool;
    job.chunks.set(chunk, { firstIndex, count: input.count, input, itemsDone: 0 });
    job.chunksOffered++;
    job.itemsOffered += input.count;
    client.heldChunks++;
    client.heldBytes += input.size;
    this.#office.feed({ type: "chunk-offered", job: job.key, chunk, count: input.count });
  }

  sealJob(job: JobRecord, chunks: number): void {
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

  #register(session: Session<RunResponseEntry>, entry: RunRequestEntry): ClientRecord {
    if (entry.kind?.$case !== "registerClient") throw new ProtocolError("a client must register first");
    const registration: RegisterClient = entry.kind.value;
    ClientId(registration.clientId);
    const { ledger } = this.#office;
    if (ledger.clients.size >= CLIENTS_MAX) throw new ProtocolError(`the limit of ${CLIENTS_MAX} clients is reached`);
    const client: ClientRecord = {
      key: ledger.mintKey() as ClientKey,
      session,
      inflow: new PayloadInflow(),
      outflow: new PayloadOutflow((part, bytes) => session.send({ kind: { $case: "part", value: part } }, bytes)),
      description: registration.description.slice(0, 200),
      pools: new Map(),
      jobs: new Map(),
      artifacts: new Set(),
      heldChunks: 0,
      heldBytes: 0,
      throttled: false,
      droppedLines: 0,
    };
    ledger.clients.set(client.key, client);
    this.#office.env.log.info("client joined", { client: client.description, peer: session.peer });
    this.#office.feed({ type: "client-joined", client: client.key });
    this.#tellCapacity(client);
    return client;
  }

  #leave(client: ClientRecord): void {
    const { ledger } = this.#office;
    ledger.clients.delete(client.key);
    client.inflow.abort();
    this.#office.env.log.info("client left", { client: client.description });
    this.#office.feed({ type: "client-left", client: client.key });
    this.#office.artifacts.left(client);
  }

  #tellCapacity(client: ClientRecord): void {
    const capacity = { slots: this.#slots, nodes: this.#nodes };
    client.session.send({ kind: { $case: "capacity", value: capacity } });
  }
}
