import {
  GetStatusRequest,
  GetStatusResponse,
  ListJobsRequest,
  ListJobsResponse,
  ListNodesRequest,
  ListNodesResponse,
} from "./gen/heddle/v1/admin.ts";
import { RunRequest, RunResponse } from "./gen/heddle/v1/jobs.ts";
import { AttachRequest, AttachResponse } from "./gen/heddle/v1/nodes.ts";

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
  request: RunRequest,
  response: RunResponse,
};

/** An agent's stream to the coordinator. */
export const nodesAttach: WireMethod<AttachRequest, AttachResponse> = {
  path: "/heddle.v1.Nodes/Attach",
  request: AttachRequest,
  response: AttachResponse,
};

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
