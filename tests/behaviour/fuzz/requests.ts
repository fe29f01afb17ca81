import { mintId, type Random } from "@heddle/kernel";
import {
  AttachRequest,
  adminCancelJob,
  adminCordonNode,
  adminDescribeJob,
  adminDescribeNode,
  adminDrainNode,
  adminGetStatus,
  adminListJobs,
  adminListNodes,
  Encoding,
  encodeOperations,
  encodeValue,
  jobsRun,
  KeepAliveRequest,
  nodesAttach,
  OperateRequest,
  objectsAdminBreakLock,
  objectsAdminDescribeLock,
  objectsAdminDescribeObject,
  objectsAdminListLocks,
  objectsAdminListObjects,
  objectsAdminListSessions,
  objectsOperate,
  protocolVersion,
  RunRequest,
  sessionsKeepAlive,
  verbOf,
} from "@heddle/wire";

/** What is asked of a server before it is changed. Nothing here, nor most of what can become of it, names what anybody has. */
export interface Question {
  readonly path: string;
  readonly body: Uint8Array;
}

/** Frames of a stream behind the one that opens it. */
const FRAMES = 20;
const NOBODY = "nobody-here";
const NOTHING = "f".repeat(32);

/** Single questions of every kind; both servers answer those about shared objects. */
export const questions: Readonly<Record<"coordinator" | "manager", readonly Question[]>> = (() => {
  const objects: readonly Question[] = [
    question(objectsAdminListObjects, { after: "" }),
    question(objectsAdminDescribeObject, { object: NOTHING }),
    question(objectsAdminListLocks, { after: "" }),
    question(objectsAdminDescribeLock, { object: NOTHING }),
    question(objectsAdminListSessions, { after: 0 }),
    question(objectsAdminBreakLock, { object: NOTHING, reason: "fuzz" }),
  ];
  const coordinator: readonly Question[] = [
    question(adminGetStatus, {}),
    question(adminListNodes, {}),
    question(adminDescribeNode, { name: NOBODY }),
    question(adminCordonNode, { name: NOBODY, cordoned: true, reason: "fuzz" }),
    question(adminDrainNode, { name: NOBODY, deadlineMs: 1_000, reason: "fuzz", leaving: false }),
    question(adminListJobs, {}),
    question(adminDescribeJob, { jobId: NOTHING, chunk: 1, item: 2 }),
    question(adminCancelJob, { jobId: NOTHING, reason: "fuzz" }),
  ];
  return { coordinator: [...coordinator, ...objects], manager: objects };
})();

/** Frames of a stream before they are changed: the first opens its session. */
export interface Conversation {
  readonly path: string;
  readonly frames: (random: Random) => readonly Uint8Array[];
}

/** Streams of every kind. */
export const conversations: Readonly<Record<"coordinator" | "manager", readonly Conversation[]>> = {
  coordinator: [
    { path: jobsRun.path, frames: jobFrames },
    { path: nodesAttach.path, frames: nodeFrames },
  ],
  manager: [
    { path: objectsOperate.path, frames: objectFrames },
    { path: sessionsKeepAlive.path, frames: beatFrames },
  ],
};

function question<Request>(
  method: { readonly path: string; readonly request: { encode(message: Request): { finish(): Uint8Array } } },
  request: Request,
): Question {
  return { path: method.path, body: method.request.encode(request).finish() };
}

function helloOf(random: Random) {
  const value = { version: protocolVersion("fuzz", 24), sessionId: mintId(random), received: 0 };
  return { kind: { $case: "hello" as const, value } };
}

/** Of a job that its session has never opened. */
function jobFrames(random: Random): readonly Uint8Array[] {
  const input = { encoding: Encoding.MSGPACK, count: 3, size: 4, data: Uint8Array.of(1, 2, 3, 4) };
  const entries: NonNullable<Parameters<typeof RunRequest.fromPartial>[0]["entries"]> = [
    { kind: { $case: "offerChunk", value: { job: 999, chunk: 0, firstIndex: 0, input } } },
    { kind: { $case: "takeResults", value: { job: 999 } } },
    { kind: { $case: "cancelJob", value: { job: 999 } } },
    { kind: { $case: "signalProcess", value: { process: 999 } } },
    { kind: { $case: "leaveJob", value: {} } },
  ];
  const frames = numbered(entries);
  const hello = { sequence: 0, acknowledged: 0, control: helloOf(random) };
  return [hello, ...frames].map((frame) => jobsRun.request.encode(RunRequest.fromPartial(frame)).finish());
}

/** Of a node that has not said who it is. */
function nodeFrames(random: Random): readonly Uint8Array[] {
  const entries: NonNullable<Parameters<typeof AttachRequest.fromPartial>[0]["entries"]> = [
    { kind: { $case: "grantCredit", value: { chunks: 4 } } },
    { kind: { $case: "chunkStarted", value: { assignment: 999 } } },
    { kind: { $case: "chunkFinished", value: { assignment: 999, pid: 1, runMicros: 5 } } },
    { kind: { $case: "leaveNode", value: {} } },
  ];
  const frames = numbered(entries);
  const hello = { sequence: 0, acknowledged: 0, control: helloOf(random) };
  return [hello, ...frames].map((frame) => nodesAttach.request.encode(AttachRequest.fromPartial(frame)).finish());
}

/** Some of a session of its own, of objects that there are not. */
function objectFrames(random: Random): readonly Uint8Array[] {
  const operations = encodeOperations(
    (["dict-get", "dict-set", "list-append", "lock-acquire", "queue-put", "cells-add"] as const).map((verb, at) => ({
      seq: at + 1,
      verb: verbOf(verb),
      object: NOTHING,
      values: [encodeValue("k", "value"), encodeValue(1.5, "value")],
      numbers: [0, -1],
      guards: [],
      operations: [],
      expectations: [],
    })),
  );
  const batch = { encoding: Encoding.UNSPECIFIED, count: 6, size: operations.length, data: operations };
  const opening = random.int(3) === 0;
  const entries: NonNullable<Parameters<typeof OperateRequest.fromPartial>[0]["entries"]> = [
    opening
      ? { kind: { $case: "openSession", value: { nonce: mintId(random), ttlMs: 2_000, description: "fuzz" } } }
      : { kind: { $case: "attachSession", value: { session: 999_999 } } },
    { kind: { $case: "operations", value: { owner: 0, batch } } },
    { kind: { $case: "closeOwner", value: { owner: 3 } } },
  ];
  const frames = numbered(entries);
  const hello = { sequence: 0, acknowledged: 0, control: helloOf(random) };
  return [hello, ...frames].map((frame) => objectsOperate.request.encode(OperateRequest.fromPartial(frame)).finish());
}

function beatFrames(): readonly Uint8Array[] {
  return Array.from({ length: FRAMES }, (_, beat) =>
    KeepAliveRequest.encode({ session: 999_999, beat, nonce: "0".repeat(32) }).finish(),
  );
}

/** As many frames as a stream has: these entries, one in each, again and again. */
function numbered<Entry>(entries: readonly Entry[]) {
  const all = Array.from({ length: FRAMES }, (_, at) => entries.slice(at % entries.length).slice(0, 1));
  return all.map((each, at) => ({ sequence: at + 1, acknowledged: 0, entries: each }));
}
