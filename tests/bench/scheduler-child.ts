/** The scheduler's core in a process of its own: `node scheduler-child.ts <sizes as JSON>`. Its last line of output is its report. */
import type { Report } from "./contender.ts";
import type { SchedulerSizes } from "./rows.ts";
import { benchScheduler } from "./scheduler-core.ts";

const [, , sizes = "{}"] = process.argv;
const { decisionsPerSecond, firstTenth, lastTenth } = await benchScheduler(JSON.parse(sizes) as SchedulerSizes);
const figures = { decisionsPerSecond, firstTenth, lastTenth };
const report: Report = { laps: {}, hows: {}, failures: {}, figures };
process.stdout.write(`${JSON.stringify(report)}\n`);
