import type { Requirements } from "@heddle/core-scheduler";
import {
  ArtifactHash,
  CAPTURED_INLINE_BYTES_MAX,
  NESTING_DEPTH_MAX,
  type NodeName,
  PermissionError,
  ProtocolError,
} from "@heddle/kernel";
import { type Caller, callerText, isSameCaller } from "@heddle/port-rpc";
import {
  EFFECTS_MINOR,
  type FunctionRef,
  type OpenJob,
  type OpenPool,
  type RegisterNode,
  type StartProcess,
} from "@heddle/wire";
import {
  AMOUNT_NAME_LENGTH_MAX,
  AMOUNTS_MAX,
  CONCURRENCY_MAX,
  ITEM_TIMEOUT_MS_MAX,
  PROCESS_NAME_LENGTH_MAX,
} from "./limits.ts";

/** The name in the certificate of agents that no one machine has to itself: they may call their nodes as they like. */
const ANY_NODE = "agent";

/*
 * What peers may say of functions, jobs and amounts. Each check throws ProtocolError for what is out of bounds.
 */

export function checkFunction({ artifact, captured, capturedArtifact }: FunctionRef): void {
  ArtifactHash(artifact);
  if (capturedArtifact !== "") ArtifactHash(capturedArtifact);
  checkInline("captured values", captured);
}

export function checkInitializer(initializer: NonNullable<OpenPool["initializer"]>): void {
  if (initializer.function === undefined) throw new ProtocolError("an initializer or a process names no function");
  checkFunction(initializer.function);
  if (initializer.argsArtifact !== "") ArtifactHash(initializer.argsArtifact);
  checkInline("arguments", initializer.args);
}

/** All but the function. */
export function checkJob(open: OpenJob): void {
  const { jobId, depth, itemTimeoutMs, concurrency, combine, requirements } = open;
  if (depth > NESTING_DEPTH_MAX)
    throw new ProtocolError(`job ${jobId} claims a depth of ${depth}, the limit is ${NESTING_DEPTH_MAX}`);
  if (itemTimeoutMs > ITEM_TIMEOUT_MS_MAX)
    throw new ProtocolError(`job ${jobId} allows its items ${itemTimeoutMs} ms, the limit is ${ITEM_TIMEOUT_MS_MAX}`);
  if (concurrency > CONCURRENCY_MAX)
    throw new ProtocolError(`job ${jobId} asks for a concurrency of ${concurrency}, the limit is ${CONCURRENCY_MAX}`);
  if (combine !== undefined) checkFunction(combine);
  checkRequirements(requirements);
}

export function checkRequirements(requirements: OpenJob["requirements"]): void {
  if (requirements === undefined) return;
  checkNames("labels", Object.keys(requirements.labels));
  checkAmounts(requirements.resources);
}

/** All that a client says of a process. */
export function checkProcess({ process, target, name, path, depth, requirements, parent }: StartProcess): void {
  if (target === undefined) throw new ProtocolError(`process ${process} has nothing to run`);
  checkInitializer(target);
  for (const text of [name, path, parent?.name ?? "none"])
    if (text === "" || text.length > PROCESS_NAME_LENGTH_MAX)
      throw new ProtocolError(
        `a name of a process has ${text.length} characters, 1 to ${PROCESS_NAME_LENGTH_MAX} are possible`,
      );
  if (depth > NESTING_DEPTH_MAX)
    throw new ProtocolError(`process ${name} claims a depth of ${depth}, the limit is ${NESTING_DEPTH_MAX}`);
  checkRequirements(requirements);
}

/** Amounts of what a node has or a job needs. */
export function checkAmounts(resources: Readonly<Record<string, number>>): void {
  checkNames("resources", Object.keys(resources));
  for (const [name, amount] of Object.entries(resources))
    if (!Number.isFinite(amount) || amount < 0) throw new ProtocolError(`${amount} is no amount of ${name}`);
}

/** Of nodes that collect what tasks write, so that it counts once; those of an older build would let it count at once. Named as a requirement is, for then no such node is given what needs it. */
const EFFECTS_LABEL = ["heddle.effects", "once"] as const;

/** A node's labels, and what its build can do that others cannot. `minor`: of the protocol, that it speaks. */
export function labelsOf({ labels }: Pick<RegisterNode, "labels">, minor: number): ReadonlyMap<string, string> {
  const all = new Map(Object.entries(labels));
  all.delete(EFFECTS_LABEL[0]);
  if (minor >= EFFECTS_MINOR) all.set(...EFFECTS_LABEL);
  return all;
}

/** What a job asks of its nodes, with what they have to be able to do for it. */
export function jobRequirementsOf(opened: Pick<OpenJob, "requirements" | "effectsOnce">): Requirements | undefined {
  const requirements = requirementsOf(opened.requirements);
  if (!opened.effectsOnce) return requirements;
  const { labels, resources } = requirements ?? { labels: [], resources: new Map<string, number>() };
  return { labels: new Map([...labels, EFFECTS_LABEL]), resources };
}

/** As the core takes them. */
export function requirementsOf(requirements: OpenJob["requirements"]): Requirements | undefined {
  if (requirements === undefined) return undefined;
  const { labels, resources } = requirements;
  return { labels: new Map(Object.entries(labels)), resources: new Map(Object.entries(resources)) };
}

function checkNames(what: string, names: readonly string[]): void {
  if (names.length > AMOUNTS_MAX) throw new ProtocolError(`${names.length} ${what}, the limit is ${AMOUNTS_MAX}`);
  for (const name of names)
    if (name === "" || name.length > AMOUNT_NAME_LENGTH_MAX)
      throw new ProtocolError(
        `a name of ${what} has ${name.length} characters, 1 to ${AMOUNT_NAME_LENGTH_MAX} are possible`,
      );
}

function checkInline(what: string, { length }: Uint8Array): void {
  if (length > CAPTURED_INLINE_BYTES_MAX)
    throw new ProtocolError(`${length} bytes of ${what} came inline, the limit is ${CAPTURED_INLINE_BYTES_MAX}`);
}

/**
 * A node has the name of its agent's certificate, or one that begins with that and "-"; whose certificate is for ANY_NODE, and who needs none, may take any name.
 * Throws PermissionError.
 */
export function checkNodeName(name: NodeName, caller: Caller): void {
  const { role, name: owner } = caller;
  if (role === undefined || owner === ANY_NODE || name === owner || name.startsWith(`${owner}-`)) return;
  throw new PermissionError(
    `${callerText(caller)} may not be the node ${name}: the certificate is for nodes called ${owner} or ${owner}-...; ` +
      `say such a --name, or give it a certificate for ${name} (heddle certs issue agent ${name})`,
  );
}

/** Whether what belongs to `owner` may be cancelled, or listened to, by the caller: it is theirs, or they run as the coordinator's user or administer it. */
export function isEntitled(owner: Caller, caller: Caller): boolean {
  return caller.role === undefined || caller.role === "admin" || isSameCaller(owner, caller);
}
