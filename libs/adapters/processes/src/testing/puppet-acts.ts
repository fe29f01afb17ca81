import type { PuppetAct } from "@heddle/port-processes/contract";
import { ChunkReturned, PrepareJob, type WorkerRequestEntry, type WorkerResponseEntry } from "@heddle/wire";

/** What only real processes can do. */
export type ProcessAct =
  | PuppetAct
  /** Starts a process that leaves the group, carries the cookie and never ends; prints its id, then says `number`. */
  | { readonly type: "runaway"; readonly number: number; readonly keepsOutput: boolean }
  /** Writes these bytes to the link as they are. */
  | { readonly type: "raw"; readonly hex: string }
  /** Closes the link and lives on. */
  | { readonly type: "hang-up" };

/** An act, hidden in an entry for the puppet. */
export function order(act: ProcessAct): WorkerRequestEntry {
  const value = PrepareJob.fromPartial({ jobId: JSON.stringify(act) });
  return { kind: { $case: "prepareJob", value } };
}

/** The act in an entry. */
export function actOf({ kind }: WorkerRequestEntry): ProcessAct | undefined {
  return kind?.$case === "prepareJob" ? (JSON.parse(kind.value.jobId) as ProcessAct) : undefined;
}

/** A number, hidden in an entry for the agent. */
export function saying(number: number, wroteOutput: boolean): WorkerResponseEntry {
  const value = ChunkReturned.fromPartial({
    assignment: number,
    wroteOutput,
    outcome: { $case: "skipped", value: {} },
  });
  return { kind: { $case: "chunkReturned", value } };
}

/** What the puppet's entry says. */
export function heard({ kind }: WorkerResponseEntry): number | "ready" {
  if (kind?.$case === "workerReady") return "ready";
  if (kind?.$case === "chunkReturned") return kind.value.assignment;
  throw new Error(`a puppet does not say ${JSON.stringify(kind)}`);
}
