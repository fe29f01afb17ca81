import { BinaryWriter } from "@bufbuild/protobuf/wire";
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

/** Generated messages can be encoded with a writer that is given. */
interface GeneratedCodec<T> {
  encode(message: T, writer?: BinaryWriter): BinaryWriter;
  decode(bytes: Uint8Array): T;
}

/**
 * The codec of a stream's frames. They are many and large: a writer that keeps its buffer saves allocating and growing one for each.
 * `finish()` copies out of it and makes it ready for the next.
 */
function frameCodec<T>(generated: GeneratedCodec<T>): Codec<T> {
  let writer = new BinaryWriter();
  return {
    encode: (message) => {
      const mine = writer;
      writer = new BinaryWriter(); // should encoding throw, its remains are not the next frame's beginning
      generated.encode(message, mine);
      writer = mine;
      return mine;
    },
    decode: (bytes) => generated.decode(bytes),
  };
}

/** A client's stream to the coordinator. */
export const jobsRun: WireMethod<RunRequest, RunResponse> = {
  path: "/heddle.v1.Jobs/Run",
  request: frameCodec(RunRequest),
  response: frameCodec(RunResponse),
};

/** An agent's stream to the coordinator. */
export const nodesAttach: WireMethod<AttachRequest, AttachResponse> = {
  path: "/heddle.v1.Nodes/Attach",
  request: frameCodec(AttachRequest),
  response: frameCodec(AttachResponse),
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
