import { CLIENT_CHUNKS_MAX, CLIENT_INPUT_BYTES_MAX, ProtocolError } from "@heddle/kernel";
import type { Session } from "@heddle/port-rpc";
import type { Artifact } from "@heddle/port-shipper";
import {
  type EncodedPayload,
  type OpenJob,
  type OpenPool,
  type Payload,
  PayloadAssembler,
  type RunRequestEntry,
  type Span,
  splitPayload,
} from "@heddle/wire";
import type { ArgumentFunctions } from "./argument-functions.ts";
import { OfferedArtifacts } from "./artifacts.ts";
import type { JobRun } from "./job-run.ts";
import type { KeptListener } from "./kept-listener.ts";
import type { KeptSubmission } from "./kept-submission.ts";
import type { InputChunk } from "./open-chunks.ts";
import { OpenProcesses } from "./open-processes.ts";

/** A span on the wire, at most. */
const SPAN_BYTES = 14;

/** Whose inputs are offered: a job that is run for this client, or one on its way to the disk of its coordinator. */
export type OfferedRun = JobRun | KeptSubmission;

/** A job to be run: what the coordinator must know of it beside its chunks. */
export interface JobRequest {
  readonly run: OfferedRun;
  /** Said before the pool's first job of a session. */
  readonly pool: OpenPool;
  /** Code and captured values of all its functions. Functions among the inputs add theirs. */
  readonly artifacts: Artifact[];
  readonly functions: ArgumentFunctions;
  readonly job: Omit<OpenJob, "job" | keyof ReturnType<JobRun["progress"]>>;
}

/** What is true of one session only. */
export interface Line {
  readonly session: Session<RunRequestEntry>;
  readonly assembler: PayloadAssembler<(payload: EncodedPayload) => void>;
  /** Ids of those that were said to be open. */
  readonly pools: Set<string>;
  readonly artifacts: OfferedArtifacts;
  /** They end with the session. */
  readonly processes: OpenProcesses;
  /** Open jobs by number. */
  readonly jobs: Map<number, JobRequest>;
  /** Those of them that may have inputs to offer now, the one that offered last at the end. */
  readonly unsealed: Set<JobRequest>;
  /** Those of them that were open in a session before and have chunks to be offered again, before they offer any other. */
  readonly behind: Set<JobRequest>;
  /** Those that are to be kept, of which their coordinator has not said yet how much it has. */
  readonly held: Set<JobRequest>;
  /** Kept jobs that are listened to, by number. */
  readonly listeners: Map<number, KeptListener>;
  /** Those that have more inputs, and wait for answers, for their consumer, for the inputs themselves or for slots. */
  readonly dormant: Set<JobRequest>;
  /** Chunks and their bytes that are offered and unanswered, over all jobs. */
  openChunks: number;
  openBytes: number;
  lastPartStream: number;
  lastJob: number;
  /** Set until the coordinator has answered for the first time: when it fires the session is given up. */
  firstAnswer: Disposable | undefined;
  /** The minor of the protocol that both speak; 0 before the first answer, and where it is not known. */
  minor: number;
}

/** A session that has just been opened. `send`: in it. */
export function newLine(session: Session<RunRequestEntry>): Line {
  const send = (entry: RunRequestEntry): void => session.send(entry);
  const artifacts = new OfferedArtifacts(send);
  return {
    session,
    assembler: new PayloadAssembler(),
    pools: new Set(),
    artifacts,
    processes: new OpenProcesses(send, artifacts),
    jobs: new Map(),
    unsealed: new Set(),
    behind: new Set(),
    held: new Set(),
    listeners: new Map(),
    dormant: new Set(),
    openChunks: 0,
    openBytes: 0,
    lastPartStream: 0,
    lastJob: 0,
    firstAnswer: undefined,
    minor: 0,
  };
}

/** Nobody offers anything any more: what its jobs call comes too late. */
export function clearLine(line: Line): void {
  line.jobs.clear();
  line.unsealed.clear();
  line.behind.clear();
  line.held.clear();
  line.listeners.clear();
  line.dormant.clear();
}

/** Whether what is open of a job that was open in a session before is within the bounds of this one. */
export function hasRoomFor(line: Line, { openChunks, openBytes }: OfferedRun): boolean {
  if (line.openChunks === 0 || openChunks === 0) return true;
  return line.openChunks + openChunks <= CLIENT_CHUNKS_MAX && line.openBytes + openBytes <= CLIENT_INPUT_BYTES_MAX;
}

/** Numbers that are in use. */
export function jobsOf({ jobs, listeners }: Line): number {
  return jobs.size + listeners.size;
}

/** Takes a payload once all of it is there: at once, or with its last part. */
export function receive(line: Line, header: Payload | undefined, take: (payload: EncodedPayload) => void): void {
  if (header === undefined) throw new ProtocolError("an entry lacks its payload");
  const payload = line.assembler.open(header, take);
  if (payload !== undefined) take(payload);
}

/** Sends a chunk of a job with its inputs. `settled`: items that need no run. */
export function sendChunk(line: Line, { run }: JobRequest, offer: InputChunk, settled: Span[] = []): void {
  const { chunk, firstIndex, grain, payload } = offer;
  const entry = (input: Payload): RunRequestEntry => ({
    kind: { $case: "offerChunk", value: { job: run.number, chunk, firstIndex, input, grain, settled } },
  });
  sendPayload(line, payload, entry, settled.length * SPAN_BYTES);
}

/** Sends an entry and its payload, in parts when that is large. `moreBytes`: of the entry beside the payload. */
export function sendPayload(
  line: Line,
  payload: EncodedPayload,
  entry: (header: Payload) => RunRequestEntry,
  moreBytes = 0,
): void {
  const { header, parts } = splitPayload(payload, () => ++line.lastPartStream);
  line.session.send(entry(header), header.data.byteLength + moreBytes);
  for (const part of parts) line.session.send({ kind: { $case: "part", value: part } }, part.data.byteLength);
}

/** Whether the job is open in this session. */
export function isOn(line: Line, request: JobRequest): boolean {
  return line.jobs.get(request.run.number) === request;
}

/** Brings the line's sums up to date after a change of a run. Nothing for one that was forgotten meanwhile: answers run code of the user, who may cancel. */
export function recount(line: Line, request: JobRequest): void {
  if (!isOn(line, request)) return;
  const { counted, openChunks, openBytes } = request.run;
  line.openChunks += openChunks - counted.chunks;
  line.openBytes += openBytes - counted.bytes;
  counted.chunks = openChunks;
  counted.bytes = openBytes;
}

/** The job is over here. */
export function forget(line: Line, request: JobRequest): void {
  const { run, artifacts } = request;
  line.jobs.delete(run.number);
  stopOffering(line, request);
  for (const artifact of artifacts) line.artifacts.release(artifact);
  line.openChunks -= run.counted.chunks;
  line.openBytes -= run.counted.bytes;
  run.counted.chunks = 0;
  run.counted.bytes = 0;
}

/** Nothing more of its inputs is wanted. */
export function stopOffering(line: Line, request: JobRequest): void {
  line.unsealed.delete(request);
  line.behind.delete(request);
  line.held.delete(request);
  line.dormant.delete(request);
}

/** All that wait may have something to offer. False: none waits. */
export function wakeAll({ dormant, unsealed }: Line): boolean {
  const isAny = dormant.size > 0;
  for (const request of dormant) unsealed.add(request);
  dormant.clear();
  return isAny;
}
