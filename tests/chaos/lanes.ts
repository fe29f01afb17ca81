import { jobLanes } from "./job-lanes.ts";
import type { Lane } from "./lane.ts";
import { onceLane } from "./once-lane.ts";
import { pipeLane, processLane } from "./process-lanes.ts";
import { countLane, lockLane } from "./shared-lanes.ts";

/** Which lanes a client has at a time; of those in one line, one at a time by chance. */
export const laneGroups: readonly (readonly (readonly [name: string, lane: Lane])[])[] = [
  jobLanes,
  jobLanes,
  [
    ["count", countLane],
    ["once", onceLane],
  ],
  [["lock", lockLane]],
  [
    ["process", processLane],
    ["pipe", pipeLane],
  ],
];
