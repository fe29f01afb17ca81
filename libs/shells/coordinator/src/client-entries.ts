import {
  ArtifactHash,
  CHUNK_SETTLED_SPANS_MAX,
  CLIENT_CHUNKS_MAX,
  CLIENT_INPUT_BYTES_MAX,
  CLIENT_JOBS_MAX,
  JobId,
  PoolId,
  ProtocolError,
  unreachable,
} from "@heddle/kernel";
import type {
  ArtifactContent,
  FunctionRef,
  OfferArtifact,
  OfferChunk,
  OpenJob,
  OpenPool,
  PayloadFlow,
  RunRequestEntry,
  SealJob,
  SignalProcess,
  StartProcess,
} from "@heddle/wire";
import { checkFunction, checkInitializer, checkJob, checkRequirements } from "./checks.ts";
import { type KeptHost, takeAttach, takeKeptChunk, takeKeptJob, takeKeptSeal, takeLeave } from "./kept-entries.ts";
import type { ClientRecord, JobRecord, PoolRecord } from "./ledger.ts";
import { CHUNK_GRAINS_MAX, CLIENT_POOLS_MAX } from "./limits.ts";

/** What a client's entries ask of the coordinator. */
export interface ClientHost {
  readonly openPool: (client: ClientRecord, id: PoolId, opened: OpenPool) => void;
  readonly closePool: (pool: PoolRecord) => void;
  readonly openJob: (pool: PoolRecord, opened: OpenJob, fn: FunctionRef | undefined, id: JobId) => void;
  readonly offerChunk: (job: JobRecord, offer: OfferChunk, input: PayloadFlow) => void;
  readonly takeResults: (job: JobRecord, bytes: number) => void;
  readonly sealJob: (job: JobRecord, chunks: number) => void;
  readonly cancelJob: (job: JobRecord) => void;
  /** The same of one that is over, whose results are not all sent. */
  readonly dropResults: (client: ClientRecord, job: number) => void;
  readonly offerArtifact: (client: ClientRecord, hash: ArtifactHash, size: number) => void;
  readonly withdrawArtifact: (client: ClientRecord, hash: ArtifactHash) => void;
  readonly storeArtifact: (client: ClientRecord, hash: ArtifactHash, content: PayloadFlow) => void;
  readonly startProcess: (client: ClientRecord, start: StartProcess) => void;
  readonly signalProcess: (client: ClientRecord, signal: SignalProcess) => void;
  /** Where jobs are kept. */
  readonly kept: KeptHost;
}

/** Takes one entry of a registered client. Throws ProtocolError or LimitError for what no client may say. */
export function takeClientEntry(host: ClientHost, client: ClientRecord, entry: RunRequestEntry): void {
  const { kind } = entry;
  switch (kind?.$case) {
    case "offerChunk":
      return takeChunk(host, client, kind.value);
    case "part":
      return client.inflow.part(kind.value);
    case "openJob":
      return takeJob(host, client, kind.value);
    case "sealJob":
      return takeSeal(host, client, kind.value);
    case "cancelJob": {
      const { job: number, reason } = kind.value;
      const tie = client.kept.get(number);
      if (tie !== undefined) return host.kept.cancel(tie, reason);
      const job = client.jobs.get(number);
      if (job === undefined) host.dropResults(client, number);
      else host.cancelJob(job);
      return;
    }
    case "takeResults": {
      const job = client.jobs.get(kind.value.job);
      if (job !== undefined) host.takeResults(job, kind.value.bytes);
      else client.outlets.get(kind.value.job)?.outlet.taken(kind.value.bytes);
      return;
    }
    case "openPool":
      return takePool(host, client, kind.value);
    case "closePool": {
      const pool = client.pools.get(PoolId(kind.value.poolId));
      if (pool !== undefined) host.closePool(pool);
      return;
    }
    case "offerArtifact":
      return takeArtifactOffer(host, client, kind.value);
    case "artifactContent":
      return takeArtifact(host, client, kind.value);
    case "withdrawArtifact":
      return host.withdrawArtifact(client, ArtifactHash(kind.value.hash));
    case "startProcess":
      return host.startProcess(client, kind.value);
    case "signalProcess":
      return host.signalProcess(client, kind.value);
    case "attachJob":
      checkNumber(client, kind.value.job);
      return takeAttach(host.kept, client, kind.value);
    case "leaveJob":
      return takeLeave(host.kept, client, kind.value.job);
    case "sealKeptJob":
      return takeKeptSeal(client, kind.value);
    case "registerClient":
      throw new ProtocolError("a client registered twice in one session");
    case undefined:
      return; // a newer peer's entry that this build does not know
    default:
      return unreachable(kind);
  }
}

function takePool(host: ClientHost, client: ClientRecord, open: OpenPool): void {
  const id = PoolId(open.poolId);
  if (client.pools.has(id)) throw new ProtocolError(`pool ${id} is open already`);
  if (client.pools.size >= CLIENT_POOLS_MAX) throw new ProtocolError(`more than ${CLIENT_POOLS_MAX} pools are open`);
  if (open.initializer !== undefined) checkInitializer(open.initializer);
  checkRequirements(open.requirements);
  host.openPool(client, id, open);
}

function takeJob(host: ClientHost, client: ClientRecord, open: OpenJob): void {
  const pool = client.pools.get(PoolId(open.poolId));
  if (pool === undefined) throw new ProtocolError(`job ${open.jobId} names pool ${open.poolId}, which is not open`);
  checkNumber(client, open.job);
  checkJob(open);
  const fn = open.prime ? undefined : open.function;
  if (fn === undefined && !open.prime) throw new ProtocolError(`job ${open.jobId} names no function`);
  if (fn !== undefined) checkFunction(fn);
  if (open.keep !== undefined) return takeKeptJob(host.kept, pool, open);
  host.openJob(pool, open, fn, JobId(open.jobId));
}

function checkNumber({ jobs, kept, outlets }: ClientRecord, number: number): void {
  if (jobs.has(number) || kept.has(number) || outlets.has(number))
    throw new ProtocolError(`job number ${number} is in use`);
  if (jobs.size + kept.size + outlets.size >= CLIENT_JOBS_MAX)
    throw new ProtocolError(`more than ${CLIENT_JOBS_MAX} jobs are open`);
}

/** The chunk of a job that is over is read and dropped: it was under way when the job ended. */
function takeChunk(host: ClientHost, client: ClientRecord, offer: OfferChunk): void {
  const tie = client.kept.get(offer.job);
  if (tie?.type === "submission") return takeKeptChunk(host.kept, client, tie, offer);
  const job = client.jobs.get(offer.job);
  const input = client.inflow.open(offer.input, job !== undefined);
  if (job === undefined) return;
  if (input.count < 1) throw new ProtocolError(`chunk ${offer.chunk} of job ${job.id} has no items`);
  if (offer.grain > input.count || (offer.grain > 0 && input.count > offer.grain * CHUNK_GRAINS_MAX))
    throw new ProtocolError(
      `chunk ${offer.chunk} of job ${job.id} has ${input.count} items in grains of ${offer.grain}`,
    );
  checkSettled(job, offer, input.count);
  if (offer.chunk !== job.chunksOffered)
    throw new ProtocolError(`chunk ${offer.chunk} of job ${job.id} came where chunk ${job.chunksOffered} was due`);
  if (!client.isCoordinator) checkHeld(client, input.size);
  host.offerChunk(job, offer, input);
}

/** What the coordinator itself offers is bounded by KEPT_RUN_CHUNKS_MAX and KEPT_RUNS_BYTES_MAX. */
function checkHeld({ heldChunks, heldBytes }: ClientRecord, size: number): void {
  if (heldChunks >= CLIENT_CHUNKS_MAX) throw new ProtocolError(`more than ${CLIENT_CHUNKS_MAX} chunks are under way`);
  if (heldChunks > 0 && heldBytes + size > CLIENT_INPUT_BYTES_MAX)
    throw new ProtocolError(`more than ${CLIENT_INPUT_BYTES_MAX} bytes of inputs are under way`);
}

/** Ascending and apart, not all of the items, nor in more pieces than a client may tell. */
function checkSettled(job: JobRecord, { chunk, settled }: OfferChunk, count: number): void {
  const of = `chunk ${chunk} of job ${job.id}`;
  if (settled.length > CHUNK_SETTLED_SPANS_MAX)
    throw new ProtocolError(`${of} has ${settled.length} settled spans, the limit is ${CHUNK_SETTLED_SPANS_MAX}`);
  let [end, items] = [0, 0];
  for (const span of settled) {
    if (span.count < 1 || span.offset < end || span.offset + span.count > count)
      throw new ProtocolError(`${of} has ${count} items, and ${span.offset}+${span.count} settled behind ${end}`);
    end = span.offset + span.count;
    items += span.count;
  }
  if (items === count) throw new ProtocolError(`${of} has no item that is to run`);
}

function takeSeal(host: ClientHost, client: ClientRecord, seal: SealJob): void {
  const job = client.jobs.get(seal.job);
  if (job !== undefined) host.sealJob(job, seal.chunkCount);
}

function takeArtifactOffer(host: ClientHost, client: ClientRecord, offer: OfferArtifact): void {
  host.offerArtifact(client, ArtifactHash(offer.hash), offer.size);
}

function takeArtifact(host: ClientHost, client: ClientRecord, artifact: ArtifactContent): void {
  host.storeArtifact(client, ArtifactHash(artifact.hash), client.inflow.open(artifact.content, true));
}
