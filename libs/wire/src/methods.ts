import { frameCodec } from "./frame-codec.ts";
import {
  AdminCancelJobRequest,
  AdminCancelJobResponse,
  CordonNodeRequest,
  CordonNodeResponse,
  DescribeJobRequest,
  DescribeJobResponse,
  DescribeNodeRequest,
  DescribeNodeResponse,
  DrainNodeRequest,
  DrainNodeResponse,
  GetStatusRequest,
  GetStatusResponse,
  ListJobsRequest,
  ListJobsResponse,
  ListNodesRequest,
  ListNodesResponse,
} from "./gen/heddle/v1/admin.ts";
import { RunRequest, RunRequestEntry, RunResponse, RunResponseEntry } from "./gen/heddle/v1/jobs.ts";
import { AttachRequest, AttachRequestEntry, AttachResponse, AttachResponseEntry } from "./gen/heddle/v1/nodes.ts";
import { OperateRequest, OperateRequestEntry, OperateResponse, OperateResponseEntry } from "./gen/heddle/v1/objects.ts";
import {
  BreakLockRequest,
  BreakLockResponse,
  DescribeLockRequest,
  DescribeLockResponse,
  DescribeObjectRequest,
  DescribeObjectResponse,
  ListLocksRequest,
  ListLocksResponse,
  ListObjectsRequest,
  ListObjectsResponse,
  ListSessionsRequest,
  ListSessionsResponse,
} from "./gen/heddle/v1/objects_admin.ts";
import { KeepAliveRequest, KeepAliveResponse } from "./gen/heddle/v1/sessions.ts";
import { hotAssignChunk, hotChunkFinished, hotOfferChunk, hotSpanDone } from "./hot-entries.ts";
import { hotPart } from "./hot-part.ts";

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

// Marked as pure, so that bundles of workers and clients leave out what they do not use.

/** A client's stream to the coordinator. */
export const jobsRun: WireMethod<RunRequest, RunResponse> = {
  path: "/heddle.v1.Jobs/Run",
  request: /* @__PURE__ */ frameCodec(RunRequest, RunRequestEntry, hotOfferChunk, hotPart(82)),
  response: /* @__PURE__ */ frameCodec(RunResponse, RunResponseEntry, hotSpanDone, hotPart(58)),
};

/** An agent's stream to the coordinator. */
export const nodesAttach: WireMethod<AttachRequest, AttachResponse> = {
  path: "/heddle.v1.Nodes/Attach",
  request: /* @__PURE__ */ frameCodec(AttachRequest, AttachRequestEntry, hotChunkFinished, hotPart(66)),
  response: /* @__PURE__ */ frameCodec(AttachResponse, AttachResponseEntry, hotAssignChunk, hotPart(58)),
};

/** The stream of a client's or an agent's session to the manager. */
export const objectsOperate: WireMethod<OperateRequest, OperateResponse> = {
  path: "/heddle.v1.Objects/Operate",
  request: /* @__PURE__ */ frameCodec(OperateRequest, OperateRequestEntry, hotPart(50)),
  response: /* @__PURE__ */ frameCodec(OperateResponse, OperateResponseEntry, hotPart(34)),
};

/** Beats of sessions to the manager. */
export const sessionsKeepAlive: WireMethod<KeepAliveRequest, KeepAliveResponse> = {
  path: "/heddle.v1.Sessions/KeepAlive",
  request: KeepAliveRequest,
  response: KeepAliveResponse,
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

/** All about one node. */
export const adminDescribeNode: WireMethod<DescribeNodeRequest, DescribeNodeResponse> = {
  path: "/heddle.v1.Admin/DescribeNode",
  request: DescribeNodeRequest,
  response: DescribeNodeResponse,
};

/** Keeps new work away from a node, or lets it come again. */
export const adminCordonNode: WireMethod<CordonNodeRequest, CordonNodeResponse> = {
  path: "/heddle.v1.Admin/CordonNode",
  request: CordonNodeRequest,
  response: CordonNodeResponse,
};

/** Cordons a node and empties it; answered at once. */
export const adminDrainNode: WireMethod<DrainNodeRequest, DrainNodeResponse> = {
  path: "/heddle.v1.Admin/DrainNode",
  request: DrainNodeRequest,
  response: DrainNodeResponse,
};

/** Every job that is live or lately ended, newest first. */
export const adminListJobs: WireMethod<ListJobsRequest, ListJobsResponse> = {
  path: "/heddle.v1.Admin/ListJobs",
  request: ListJobsRequest,
  response: ListJobsResponse,
};

/** Why a job, or a chunk of it, is where it is. */
export const adminDescribeJob: WireMethod<DescribeJobRequest, DescribeJobResponse> = {
  path: "/heddle.v1.Admin/DescribeJob",
  request: DescribeJobRequest,
  response: DescribeJobResponse,
};

/** Cancels a job. */
export const adminCancelJob: WireMethod<AdminCancelJobRequest, AdminCancelJobResponse> = {
  path: "/heddle.v1.Admin/CancelJob",
  request: AdminCancelJobRequest,
  response: AdminCancelJobResponse,
};

/** A page of shared objects, in order of their ids. */
export const objectsAdminListObjects: WireMethod<ListObjectsRequest, ListObjectsResponse> = {
  path: "/heddle.v1.ObjectsAdmin/ListObjects",
  request: ListObjectsRequest,
  response: ListObjectsResponse,
};

/** One shared object. */
export const objectsAdminDescribeObject: WireMethod<DescribeObjectRequest, DescribeObjectResponse> = {
  path: "/heddle.v1.ObjectsAdmin/DescribeObject",
  request: DescribeObjectRequest,
  response: DescribeObjectResponse,
};

/** A page of locks and semaphores, in order of their ids. */
export const objectsAdminListLocks: WireMethod<ListLocksRequest, ListLocksResponse> = {
  path: "/heddle.v1.ObjectsAdmin/ListLocks",
  request: ListLocksRequest,
  response: ListLocksResponse,
};

/** One lock: who holds it, who waits for it, and whether that can ever end. */
export const objectsAdminDescribeLock: WireMethod<DescribeLockRequest, DescribeLockResponse> = {
  path: "/heddle.v1.ObjectsAdmin/DescribeLock",
  request: DescribeLockRequest,
  response: DescribeLockResponse,
};

/** Sessions at the manager, in order of their numbers. */
export const objectsAdminListSessions: WireMethod<ListSessionsRequest, ListSessionsResponse> = {
  path: "/heddle.v1.ObjectsAdmin/ListSessions",
  request: ListSessionsRequest,
  response: ListSessionsResponse,
};

/** Takes a lock from its holder. */
export const objectsAdminBreakLock: WireMethod<BreakLockRequest, BreakLockResponse> = {
  path: "/heddle.v1.ObjectsAdmin/BreakLock",
  request: BreakLockRequest,
  response: BreakLockResponse,
};
