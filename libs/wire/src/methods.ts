import { entriesCodec, frameCodec, type PieceCodec } from "./frame-codec.ts";
import {
  GetStatusRequest,
  GetStatusResponse,
  ListJobsRequest,
  ListJobsResponse,
  ListNodesRequest,
  ListNodesResponse,
} from "./gen/heddle/v1/admin.ts";
import { RunRequest, RunRequestEntry, RunResponse, RunResponseEntry } from "./gen/heddle/v1/jobs.ts";
import { AttachRequest, AttachRequestEntry, AttachResponse, AttachResponseEntry } from "./gen/heddle/v1/nodes.ts";
import { WorkerRequest, WorkerRequestEntry, WorkerResponse, WorkerResponseEntry } from "./gen/heddle/v1/worker.ts";
import { hotAssignChunk, hotChunkFinished, hotOfferChunk, hotSpanDone } from "./hot-entries.ts";
import { hotPart } from "./hot-part.ts";
import { hotChunkReturned, hotRunChunk } from "./hot-worker-entries.ts";

interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

/** A method of the wire, in the shape that the Rpc port takes for streams and for single questions alike. */
export interface WireMethod<Request, Response> {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly request: Codec<Request>;
  readonly response: Codec<Response>;
}

/** A client's stream to the coordinator. */
export const jobsRun: WireMethod<RunRequest, RunResponse> = {
  path: "/heddle.v1.Jobs/Run",
  request: frameCodec(RunRequest, RunRequestEntry, hotOfferChunk, hotPart(82)),
  response: frameCodec(RunResponse, RunResponseEntry, hotSpanDone, hotPart(58)),
};

/** An agent's stream to the coordinator. */
export const nodesAttach: WireMethod<AttachRequest, AttachResponse> = {
  path: "/heddle.v1.Nodes/Attach",
  request: frameCodec(AttachRequest, AttachRequestEntry, hotChunkFinished, hotPart(66)),
  response: frameCodec(AttachResponse, AttachResponseEntry, hotAssignChunk, hotPart(58)),
};

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

/** The fabric in a few numbers. */
export const adminGetStatus: WireMethod<GetStatusRequest, GetStatusResponse> = {
  path: "/heddle.v1.Admin/GetStatus",
  request: GetStatusRequest,
  response: GetStatusResponse,
};

/** Every node, in order of name. */
export const adminListNodes: WireMethod<ListNodesRequest, ListNodesResponse> = {
  path: "/heddle.v1.Admin/ListNodes",
  request: ListNodesRequest,
  response: ListNodesResponse,
};

/** Every job that is live or lately ended, newest first. */
export const adminListJobs: WireMethod<ListJobsRequest, ListJobsResponse> = {
  path: "/heddle.v1.Admin/ListJobs",
  request: ListJobsRequest,
  response: ListJobsResponse,
};
