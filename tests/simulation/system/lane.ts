import type { Fabric, FabricPool } from "@heddle/client";
import {
  HeddleError,
  LockLostError,
  OutcomeUnknownError,
  type Random,
  SessionLostError,
  UnavailableError,
  WorkerLostError,
} from "@heddle/kernel";
import type { SimulatedCluster } from "../../harness/simulated-cluster.ts";
import type { SystemPlan } from "./plan.ts";

/** Where a lane runs: one client's handle of the fabric, and a pool of it. */
export interface LaneStage {
  readonly cluster: SimulatedCluster;
  readonly fabric: Fabric;
  readonly pool: FabricPool;
  readonly random: Random;
  readonly plan: SystemPlan;
  /** Its client dies amid it. */
  readonly isGoner: boolean;
  /** Of this lane, for the names of its objects. */
  readonly name: string;
}

/** What a client does. */
export interface Lane {
  /** Resolves when what was called gave just what it promises; rejects with an error of the system that ended it, or with what is wrong. */
  readonly run: () => Promise<void>;
  /** When all is healed and everything has settled: rejects when what is shared is not what it must be. `fabric` is another client's. */
  readonly judge?: (fabric: Fabric) => Promise<void>;
  /** What is shared, to be compared after a restart of the manager. */
  readonly read?: (fabric: Fabric) => Promise<unknown>;
}

/** Resolves after so much virtual time. */
export function passed(cluster: SimulatedCluster, ms: number): Promise<void> {
  const { clock } = cluster.world;
  return new Promise((resolve) => clock.setTimer(clock.nowMs() + ms, resolve));
}

/** Whether it is an error by which the system may end a call in a storm. */
export function isOfSystem(error: unknown): error is Error {
  return (
    error instanceof UnavailableError ||
    error instanceof WorkerLostError ||
    error instanceof SessionLostError ||
    error instanceof OutcomeUnknownError ||
    error instanceof LockLostError ||
    (error instanceof HeddleError && error.code === "limit" && /disk is full|no space for/.test(error.message))
  );
}

/** Whether it is one that calls may have where nothing is away for longer than a lease: a first contact waits 10 s, and who lost four nodes is given up. */
export function isOfOutages(error: unknown): error is Error {
  if (error instanceof UnavailableError) return / for 10000 ms: /.test(error.message);
  return error instanceof WorkerLostError && /given up after \d+ attempts: node/.test(error.message);
}

/** The system has broken a promise. */
export class PromiseBroken extends Error {
  override readonly name = "PromiseBroken";
}

/** Throws PromiseBroken unless it holds. */
export function promised(holds: boolean, what: () => string): void {
  if (!holds) throw new PromiseBroken(what());
}
