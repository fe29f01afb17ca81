import type { Environment, Millis } from "@heddle/kernel";
import type { Blobs } from "@heddle/port-blobs";
import type { JobStore } from "@heddle/port-job-store";
import type { Spill } from "@heddle/port-spill";
import type { ManagerPlace } from "./manager-relay.ts";

/** What a coordinator needs of the world. */
export interface CoordinatorOptions {
  readonly env: Environment;
  /** Where shipped code is kept. The caller disposes it after the shell. */
  readonly blobs: Blobs;
  /** Where jobs are kept, and the history of all; not yet recovered. The caller disposes it after the shell. */
  readonly jobs: JobStore;
  /** Where results wait for clients that read too slowly; in memory alone, and less of them, unless given. */
  readonly spill?: Spill;
  /** Bytes that it may have at a time; SPILL_BYTES_MAX unless given. */
  readonly spillBytesMax?: number;
  /** Bytes of kept jobs at a time; KEPT_BYTES_MAX unless given. */
  readonly keptBytesMax?: number;
  /**
   * The time of day, in milliseconds since 1970: by it people see the ages of jobs that were there before a restart, and nothing is decided but when an ended
   * job is forgotten. Without it they count from the restart.
   */
  readonly timeOfDayMs?: () => Millis;
  /** Release, for people and Hello. */
  readonly build: string;
  /** Major version of Node.js, for Hello. */
  readonly nodeMajor: number;
  readonly pid: number;
  /** Silence after which a peer is given up; LEASE_MS unless a test says otherwise. */
  readonly leaseMs?: number;
  /** Longest pause between frames; HEARTBEAT_MS unless a test says otherwise. */
  readonly heartbeatMs?: number;
  /**
   * How long a job, or a process, waits for a node that could run it, while there are nodes and none of them could, were it empty; then it fails
   * with UnschedulableError. 0 for ever; 30 s unless given.
   */
  readonly unschedulableMs?: number;
  /** Where the fabric's shared objects are. Without it they are refused in words. */
  readonly manager?: ManagerPlace;
}
