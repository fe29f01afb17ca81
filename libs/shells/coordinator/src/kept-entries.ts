import { CLIENT_CHUNKS_MAX, CLIENT_INPUT_BYTES_MAX, JobId, ProtocolError } from "@heddle/kernel";
import type { AttachJob, OfferChunk, OpenJob, PayloadFlow, SealKeptJob } from "@heddle/wire";
import type { KeptListener } from "./kept-listener.ts";
import type { KeptSubmission } from "./kept-submission.ts";
import type { ClientRecord, PoolRecord } from "./ledger.ts";
import { CHUNK_GRAINS_MAX, KEEP_SHAPE_LENGTH_MAX } from "./limits.ts";

/** What clients ask of the coordinator as it keeps jobs. */
export interface KeptHost {
  readonly open: (pool: PoolRecord, opened: OpenJob, id: JobId) => void;
  readonly offer: (submission: KeptSubmission, client: ClientRecord, offer: OfferChunk, input: PayloadFlow) => void;
  readonly attach: (client: ClientRecord, attach: AttachJob, id: JobId) => void;
  readonly leave: (listener: KeptListener) => void;
  readonly cancel: (tie: KeptSubmission | KeptListener, reason: string) => void;
}

/** A job that is to be kept. Throws ProtocolError for what none may be. */
export function takeKeptJob(host: KeptHost, pool: PoolRecord, open: OpenJob): void {
  const { jobId, keep, prime, combine, depth } = open;
  if (prime || combine !== undefined || depth > 0)
    throw new ProtocolError(
      `job ${jobId} is to be kept, which a job that folds, has no items or is a task's cannot be`,
    );
  if ((keep?.shape.length ?? 0) > KEEP_SHAPE_LENGTH_MAX)
    throw new ProtocolError(
      `the shape of job ${jobId} has ${keep?.shape.length} characters, ${KEEP_SHAPE_LENGTH_MAX} are possible`,
    );
  host.open(pool, open, JobId(jobId));
}

/** A chunk of one. What is on disk already is read and dropped. */
export function takeKeptChunk(host: KeptHost, client: ClientRecord, tie: KeptSubmission, offer: OfferChunk): void {
  const of = `chunk ${offer.chunk} of job ${tie.job.id}`;
  const isDue = tie.isDue(offer);
  const input = client.inflow.open(offer.input, isDue);
  if (!isDue) return;
  if (input.count < 1) throw new ProtocolError(`${of} has no items`);
  if (offer.grain > input.count || (offer.grain > 0 && input.count > offer.grain * CHUNK_GRAINS_MAX))
    throw new ProtocolError(`${of} has ${input.count} items in grains of ${offer.grain}`);
  if (offer.settled.length > 0) throw new ProtocolError(`${of} has settled items: it is kept as a whole`);
  if (client.heldChunks >= CLIENT_CHUNKS_MAX)
    throw new ProtocolError(`more than ${CLIENT_CHUNKS_MAX} chunks are under way`);
  if (client.heldChunks > 0 && client.heldBytes + input.size > CLIENT_INPUT_BYTES_MAX)
    throw new ProtocolError(`more than ${CLIENT_INPUT_BYTES_MAX} bytes of inputs are under way`);
  host.offer(tie, client, offer, input);
}

export function takeKeptSeal(client: ClientRecord, { job, chunkCount, digest }: SealKeptJob): void {
  const tie = client.kept.get(job);
  if (tie?.type === "submission") tie.seal(chunkCount, digest);
}

/** Listens to one. Throws ProtocolError for spans that are out of order; how many there are is bounded by a message's size. */
export function takeAttach(host: KeptHost, client: ClientRecord, attach: AttachJob): void {
  let end = 0;
  for (const { firstIndex, count } of attach.settled) {
    if (count < 1 || firstIndex < end)
      throw new ProtocolError(`job ${attach.jobId} has ${firstIndex}+${count} settled behind ${end}`);
    end = firstIndex + count;
  }
  host.attach(client, attach, JobId(attach.jobId));
}

export function takeLeave(host: KeptHost, client: ClientRecord, job: number): void {
  const tie = client.kept.get(job);
  if (tie?.type === "listener") host.leave(tie);
}
