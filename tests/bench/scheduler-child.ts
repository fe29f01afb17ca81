/** The scheduler's core in a process of its own: `node scheduler-child.ts <sizes as JSON>`. Its last line of output is its report. */
import type { Report } from "./contender.ts";
import { type SchedulerSizes, WARM_UP_SHARE, WARM_UPS } from "./rows.ts";
import { benchScheduler } from "./scheduler-core.ts";

const [, , argument = "{}"] = process.argv;
const sizes = JSON.parse(argument) as SchedulerSizes;
// a first tenth that is still being compiled would hide a slowdown
for (let turn = 0; turn < WARM_UPS; turn++)
  benchScheduler({ ...sizes, chunks: Math.round(sizes.chunks * WARM_UP_SHARE) });
const { decisionsPerSecond, firstTenth, lastTenth } = benchScheduler(sizes);
const figures = { decisionsPerSecond, firstTenth, lastTenth };
const report: Report = { laps: {}, hows: {}, failures: {}, figures };
process.stdout.write(`${JSON.stringify(report)}\n`);
