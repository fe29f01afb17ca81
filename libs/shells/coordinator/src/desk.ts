import type { AssignmentId, Input } from "@heddle/core-scheduler";
import type { Environment, Millis } from "@heddle/kernel";
import type { Artifacts } from "./artifacts.ts";
import type { Ledger } from "./ledger.ts";
import type { Counts } from "./metrics.ts";
import type { SpillSpace } from "./spill-space.ts";

/** What both desks share: the books, the world and the way to tell the core a fact. */
export interface Office {
  readonly env: Environment;
  readonly ledger: Ledger;
  readonly artifacts: Artifacts;
  /** Where results wait for clients that read too slowly; undefined for memory alone. */
  readonly spill: SpillSpace | undefined;
  /** For those who watch over the coordinator. */
  readonly counts: Counts;
  /** How long something waits for a node that could run it, where there are others; 0 for ever. */
  readonly unschedulableMs: Millis;
  /** Tells the core and has its wishes performed, in order, before it returns (or after the one being performed). */
  readonly feed: (input: Input) => void;
  /** Whether its items were answered by another attempt. */
  readonly isOvertaken: (assignment: AssignmentId) => boolean;
  /** False while the coordinator stops: no new jobs. */
  readonly open: () => boolean;
}
