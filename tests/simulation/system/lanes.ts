import { keptLanes } from "./kept-lanes.ts";
import type { Lane, LaneStage } from "./lane.ts";
import { poolLanes } from "./pool-lanes.ts";
import { sharedLanes } from "./shared-lanes.ts";

/** Everything that clients of a simulated fabric do. */
const lanes = { ...poolLanes, ...sharedLanes, ...keptLanes } as const;

export type LaneName = keyof typeof lanes;

/** Those that are drawn: what takes long is drawn seldom. */
export const laneNames: readonly LaneName[] = [
  ...(Object.keys(lanes) as LaneName[]).filter((name) => name !== "heavy").flatMap((name) => [name, name, name]),
  "heavy",
];

/** Makes one. */
export function laneOf(name: LaneName, stage: LaneStage): Lane {
  return lanes[name](stage);
}
