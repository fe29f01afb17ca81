import { type JobId, type Millis, ProtocolError, type Role, roles } from "@heddle/kernel";
import { JobStoreDamagedError, type StoredJob, type StoredPiece } from "@heddle/port-job-store";
import type { Caller } from "@heddle/port-rpc";
import {
  type EncodedPayload,
  type FabricError,
  type Failure,
  JobOutcome,
  KeptAnswer,
  KeptChunk,
  KeptJobNote,
  KeptJobSpec,
  type OpenJob,
  type OpenPool,
} from "@heddle/wire";

/** What a kept job was opened with. */
export interface KeptSpec {
  readonly id: JobId;
  readonly opened: OpenJob;
  readonly pool: OpenPool;
  /** Who has opened it. */
  readonly clientId: string;
  readonly description: string;
  readonly caller: Caller;
  /** Time of day; 0 when nobody knew. */
  readonly openedAtMs: Millis;
}

/** How far it is, from when all of it is on disk. */
export interface KeptNote {
  readonly digest: string;
  readonly chunks: number;
  readonly items: number;
  readonly end: KeptEnd | undefined;
}

/** How it ended. */
interface KeptEnd {
  readonly outcome: JobOutcome;
  /** As its listeners hear it. */
  readonly error: FabricError | undefined;
  /** Time of day; 0 when nobody knew. */
  readonly endedAtMs: Millis;
}

/** An answer that is on disk, without its bytes. */
export interface AnswerFacts {
  readonly firstIndex: number;
  readonly count: number;
  readonly encoding: EncodedPayload["encoding"];
  /** The one item failed for good. */
  readonly failure: Failure | undefined;
  /** Number of its chunk in the job; 0 for values. */
  readonly chunk: number;
  /** Its number in the store. */
  readonly number: number;
  readonly size: number;
}

/** A chunk that is on disk, without its bytes. */
export interface ChunkFacts {
  readonly firstIndex: number;
  readonly count: number;
  readonly encoding: EncodedPayload["encoding"];
  readonly grain: number;
  readonly size: number;
}

export function specBytes({ opened, pool, clientId, description, caller, openedAtMs }: KeptSpec): Uint8Array {
  const { role = "", name } = caller;
  const spec = { job: opened, pool, clientId, client: description, role, roleName: name, openedAtMs };
  return KeptJobSpec.encode(spec).finish();
}

/** Throws JobStoreDamagedError. */
export function specOf(stored: StoredJob): KeptSpec {
  const spec = read(stored.id, "what it was opened with", () => KeptJobSpec.decode(stored.spec));
  const { job: opened, pool, clientId, client: description, role, roleName, openedAtMs } = spec;
  if (opened?.keep === undefined || pool === undefined) throw damaged(stored.id, "what it was opened with");
  const caller = { role: roleOf(stored.id, role), name: roleName };
  return { id: stored.id, opened, pool, clientId, description, caller, openedAtMs };
}

export function chunkBytes({ firstIndex, count, encoding, grain }: Omit<ChunkFacts, "size">): Uint8Array {
  return KeptChunk.encode({ firstIndex, count, encoding, grain }).finish();
}

/** Throws JobStoreDamagedError. */
export function chunkOf(job: JobId, { about, size }: StoredPiece): ChunkFacts {
  return { ...read(job, "one of its chunks", () => KeptChunk.decode(about)), size };
}

export function answerBytes({ firstIndex, count, encoding, failure, chunk }: Omit<AnswerFacts, "number" | "size">) {
  return KeptAnswer.encode({ span: { firstIndex, count }, encoding, failure, chunk }).finish();
}

/** Throws JobStoreDamagedError. */
export function answerOf(job: JobId, { about, size, number }: StoredPiece): AnswerFacts {
  const { span, encoding, failure, chunk } = read(job, "one of its answers", () => KeptAnswer.decode(about));
  if (span === undefined) throw damaged(job, "one of its answers");
  return { ...span, encoding, failure, chunk, number, size };
}

export function noteBytes({ digest, chunks, items, end }: KeptNote): Uint8Array {
  const { outcome = JobOutcome.UNSPECIFIED, error, endedAtMs = 0 } = end ?? {};
  return KeptJobNote.encode({ digest, chunkCount: chunks, items, outcome, error, endedAtMs }).finish();
}

/** Undefined before all of it is on disk. Throws JobStoreDamagedError. */
export function noteOf({ id, note }: StoredJob): KeptNote | undefined {
  if (note === undefined) return undefined;
  const known = read(id, "its note", () => KeptJobNote.decode(note));
  const { digest, chunkCount, items, outcome, error, endedAtMs } = known;
  const end = outcome === JobOutcome.UNSPECIFIED ? undefined : { outcome, error, endedAtMs };
  return { digest, chunks: chunkCount, items, end };
}

/** SHA-256 of all code that a job names: without it the job cannot run. */
export function codeNames({ function: fn, combine }: OpenJob, { initializer }: OpenPool): string[] {
  const functions = [fn, combine, initializer?.function].filter((it) => it !== undefined);
  const named = functions.flatMap(({ artifact, capturedArtifact }) => [artifact, capturedArtifact]);
  return [...new Set([...named, initializer?.argsArtifact ?? ""])].filter((hash) => hash !== "");
}

function read<T>(job: JobId, what: string, decode: () => T): T {
  try {
    return decode();
  } catch (cause) {
    throw damaged(job, what, cause);
  }
}

function roleOf(job: JobId, name: string): Role | undefined {
  const role = roles.find((known) => known === name);
  if (role === undefined && name !== "") throw damaged(job, "whose it is", new ProtocolError(`no role ${name}`));
  return role;
}

function damaged(job: JobId, what: string, cause?: unknown): JobStoreDamagedError {
  return new JobStoreDamagedError(`job ${job} cannot be read from the store: ${what} is damaged`, { cause });
}
