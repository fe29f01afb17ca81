import type { Brand } from "./brand.ts";
import { InvalidArgumentError } from "./errors.ts";
import type { Random } from "./random.ts";

/** A node's name, unique in a fabric: 1-63 of a-z, 0-9 and "-". A later agent of the same name replaces the earlier one. */
export type NodeName = Brand<string, "NodeName">;
/** A client process as the coordinator knows it: 32 hex digits, minted by the client. */
export type ClientId = Brand<string, "ClientId">;
/** One call of map, apply, ...: 32 hex digits, minted by the client (or the caller's own `jobId`). */
export type JobId = Brand<string, "JobId">;
/** One Pool object of one client: 32 hex digits, minted by the client. */
export type PoolId = Brand<string, "PoolId">;
/** SHA-256 of an artifact's bytes in 64 hex digits. */
export type ArtifactHash = Brand<string, "ArtifactHash">;

/** Parses a node name; throws InvalidArgumentError that shows the text. */
export function NodeName(raw: string): NodeName {
  return parse<NodeName>(raw, /^[a-z0-9-]{1,63}$/, "node name (1-63 of a-z, 0-9 and -)");
}
/** Parses a client id; throws InvalidArgumentError. */
export function ClientId(raw: string): ClientId {
  return parse<ClientId>(raw, /^[0-9a-f]{32}$/, "client id (32 hex digits)");
}
/** Parses a job id; throws InvalidArgumentError. */
export function JobId(raw: string): JobId {
  return parse<JobId>(raw, /^[A-Za-z0-9._-]{1,128}$/, "job id (1-128 of A-Z, a-z, 0-9, '.', '_' and '-')");
}
/** Parses a pool id; throws InvalidArgumentError. */
export function PoolId(raw: string): PoolId {
  return parse<PoolId>(raw, /^[0-9a-f]{32}$/, "pool id (32 hex digits)");
}
/** Parses an artifact hash; throws InvalidArgumentError. */
export function ArtifactHash(raw: string): ArtifactHash {
  return parse<ArtifactHash>(raw, /^[0-9a-f]{64}$/, "artifact hash (64 hex digits)");
}

/** 128 random bits as 32 hex digits, for any of the minted ids. */
export function mintId(random: Random): string {
  let id = "";
  for (let word = 0; word < 4; word++) id += random.int(0x1_0000_0000).toString(16).padStart(8, "0");
  return id;
}

function parse<T extends string>(raw: string, shape: RegExp, what: string): T {
  if (!shape.test(raw)) throw new InvalidArgumentError(`${JSON.stringify(raw.slice(0, 200))} is not a ${what}`);
  return raw as T;
}
