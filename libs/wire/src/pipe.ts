/** The two directions of a worker's pipe, apart from the methods of servers: workers load this, and start the faster the less it brings in. */
import { entriesCodec, type PieceCodec } from "./frame-codec.ts";
import { WorkerRequest, WorkerRequestEntry, WorkerResponse, WorkerResponseEntry } from "./gen/heddle/v1/worker.ts";
import { hotPart } from "./hot-part.ts";
import { hotChunkReturned, hotRunChunk } from "./hot-worker-entries.ts";

/** What an agent says to its workers. */
export const toWorker: PieceCodec<WorkerRequest> = entriesCodec(
  WorkerRequest,
  WorkerRequestEntry,
  hotRunChunk,
  hotPart(34),
);

/** What a worker says to its agent. */
export const fromWorker: PieceCodec<WorkerResponse> = entriesCodec(
  WorkerResponse,
  WorkerResponseEntry,
  hotChunkReturned,
  hotPart(26),
);
