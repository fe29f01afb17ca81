import { type Millis, seededRandom } from "@heddle/kernel";

/** What the seed makes of the world. Means are of the time between two such faults; 0: never. */
export interface ObjectsPlan {
  readonly clients: number;
  readonly owners: number;
  readonly delayMsMax: Millis;
  readonly commitMsMax: Millis;
  readonly breakEveryMs: Millis;
  readonly managerCrashEveryMs: Millis;
  readonly managerPauseEveryMs: Millis;
  readonly clientPauseEveryMs: Millis;
  readonly clientCrashEveryMs: Millis;
  readonly ownerDeathEveryMs: Millis;
  readonly adminBreakEveryMs: Millis;
  readonly snapshotEveryMs: Millis;
  /** Frames of a stream that broke may still arrive, after newer ones. */
  readonly lateFrames: boolean;
  /** Frames may arrive twice. */
  readonly duplicates: number;
  readonly faultsUntilMs: Millis;
}

/** Shortest lease there is: most of what may go wrong with leases goes wrong within a run. */
export const WORLD_TTL_MS: Millis = 2_000;

/** Draws a plan: about half of the faults are off in any run. */
export function drawPlan(seed: number): ObjectsPlan {
  const random = seededRandom(seed, "plan");
  const every = (meanMs: Millis): Millis => (random.int(2) === 0 ? 0 : 1 + random.int(2 * meanMs));
  return {
    clients: 1 + random.int(4),
    owners: 1 + random.int(3),
    delayMsMax: 1 + random.int(random.int(2) === 0 ? 10 : 200),
    commitMsMax: 1 + random.int(30),
    breakEveryMs: every(800),
    managerCrashEveryMs: every(2_000),
    managerPauseEveryMs: every(3_000),
    clientPauseEveryMs: every(1_500),
    clientCrashEveryMs: every(4_000),
    ownerDeathEveryMs: every(1_500),
    adminBreakEveryMs: every(2_000),
    snapshotEveryMs: every(1_000),
    lateFrames: random.int(2) === 0,
    duplicates: random.int(2) === 0 ? 0 : random.float() / 3,
    faultsUntilMs: 1_000 + random.int(5_000),
  };
}
