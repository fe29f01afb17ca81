import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { readBeat } from "./heartbeat.ts";
import { BEAT_LOOK_MS } from "./limits.ts";
import { awayError, beatFile, lockedBy, type OwnerRecord, readOwner, stateOf } from "./owner.ts";
import type { StorageKind } from "./storage.ts";

/** A directory that is to have another owner. */
export interface Claim {
  readonly directory: string;
  readonly kind: StorageKind;
  /** Who is to be it. */
  readonly record: OwnerRecord;
  /** How long an owner on another machine must have been silent. */
  readonly leaseMs: number;
}

/**
 * Resolves when the owner that is written down, if any, is over as far as that can be known: with it, when it had to be waited for. Rejects with the kind's LockedError when it
 * lives, or when it may live on another machine and this is not a later run of its batch job.
 */
export async function outlive({ directory, kind, record, leaseMs }: Claim): Promise<OwnerRecord | undefined> {
  const owner = readOwner(directory);
  if (owner === undefined) return undefined;
  switch (stateOf(owner, record)) {
    case "gone":
      rmSync(beatFile(directory, owner.nonce), { force: true });
      return undefined;
    case "alive":
      throw lockedBy(directory, kind, owner);
    case "away":
      if (!isLaterRun(record, owner)) throw awayError(directory, kind, owner);
      await silence({ directory, kind, owner, leaseMs });
      rmSync(beatFile(directory, owner.nonce), { force: true });
      return owner;
  }
}

function isLaterRun({ batch }: OwnerRecord, { batch: other }: OwnerRecord): boolean {
  return batch !== undefined && other !== undefined && batch.job === other.job && batch.run > other.run;
}

/** Resolves when no beat was seen for a lease, by this machine's clock alone. Rejects at the first that is, and when there is another owner. */
async function silence({
  directory,
  kind,
  owner,
  leaseMs,
}: Omit<Claim, "record"> & { readonly owner: OwnerRecord }): Promise<void> {
  const beat = readBeat(directory, owner.nonce);
  for (const until = performance.now() + leaseMs; performance.now() < until; ) {
    await sleep(Math.min(BEAT_LOOK_MS, leaseMs / 10));
    const found = readOwner(directory);
    if (found?.nonce !== owner.nonce || readBeat(directory, owner.nonce) !== beat)
      throw lockedBy(directory, kind, found);
  }
}
