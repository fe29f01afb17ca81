import type { Session } from "@heddle/port-rpc";
import type { Artifact } from "@heddle/port-shipper";
import type { EncodedPayload, OpenJob, OpenPool, PayloadAssembler, RunRequestEntry } from "@heddle/wire";
import type { ArgumentFunctions } from "./argument-functions.ts";
import type { OfferedArtifacts } from "./artifacts.ts";
import type { JobRun } from "./job-run.ts";
import type { OpenProcesses } from "./open-processes.ts";

/** A job to be run: what the coordinator must know of it beside its chunks. */
export interface JobRequest {
  readonly run: JobRun;
  /** Said before the pool's first job of a session. */
  readonly pool: OpenPool;
  /** Code and captured values of all its functions. Functions among the inputs add theirs. */
  readonly artifacts: Artifact[];
  readonly functions: ArgumentFunctions;
  readonly job: Omit<OpenJob, "job">;
}

/** What is true of one session only. */
export interface Line {
  readonly session: Session<RunRequestEntry>;
  readonly assembler: PayloadAssembler<(payload: EncodedPayload) => void>;
  /** Ids of those that were said to be open. */
  readonly pools: Set<string>;
  readonly artifacts: OfferedArtifacts;
  readonly processes: OpenProcesses;
  /** Open jobs by number. */
  readonly jobs: Map<number, JobRequest>;
  /** Those of them that may have inputs to offer now, the one that offered last at the end. */
  readonly unsealed: Set<JobRequest>;
  /** Those that have more inputs, and wait for answers, for their consumer, for the inputs themselves or for slots. */
  readonly dormant: Set<JobRequest>;
  /** Chunks and their bytes that are offered and unanswered, over all jobs. */
  openChunks: number;
  openBytes: number;
  lastPartStream: number;
  lastJob: number;
  /** Set until the coordinator has answered for the first time: when it fires the session is given up. */
  firstAnswer: Disposable | undefined;
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
  line.dormant.delete(request);
}

/** All that wait may have something to offer. False: none waits. */
export function wakeAll({ dormant, unsealed }: Line): boolean {
  const isAny = dormant.size > 0;
  for (const request of dormant) unsealed.add(request);
  dormant.clear();
  return isAny;
}
