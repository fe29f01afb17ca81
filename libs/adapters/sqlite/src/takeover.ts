import { setTimeout as sleep } from "node:timers/promises";
import { readBeat } from "./heartbeat.ts";
import { BEAT_LOOK_MS } from "./limits.ts";
import { awayError, lockedBy, type OwnerRecord, readOwner, stateOf } from "./owner.ts";
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

/** An owner that is written down and does not keep others out. */
export interface Predecessor {
  readonly owner: OwnerRecord;
  /** gone, hidden: the lock on the database tells whether it is over, so it is to be locked before another is written down. away: it was silent for a lease. */
  readonly state: "gone" | "hidden" | "away";
}

/**
 * Resolves when the owner that is written down, if any, is over as far as that can be known without the database: with it. Rejects with the kind's LockedError when it
 * lives, or when it may live on another machine and this is not a later run of its batch job.
 */
export async function outlive({ directory, kind, record, leaseMs }: Claim): Promise<Predecessor | undefined> {
  const owner = readOwner(directory);
  if (owner === undefined) return undefined;
  const state = stateOf(owner, record);
  switch (state) {
    case "gone":
    case "hidden":
      return { owner, state };
    case "alive":
      throw lockedBy(directory, kind, owner);
    case "away":
      if (!isLaterRun(record, owner)) throw awayError(directory, kind, owner);
      await silence({ directory, kind, owner, leaseMs });
      return { owner, state };
  }
}

/** Of whoever holds the lock on the database and is not written down yet: throws the kind's LockedError when an owner on another machine wrote itself down meanwhile, and waits for the lock. */
export function checkUnclaimed({ directory, kind, record }: Claim): void {
  const owner = readOwner(directory);
  if (owner !== undefined && stateOf(owner, record) === "away") throw awayError(directory, kind, owner);
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
