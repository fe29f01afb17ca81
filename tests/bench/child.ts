/** A contender's own process: `node child.ts <contender> <plan as JSON>`. Its last line of output is its report. */
import type { Report } from "./contender.ts";
import { type NodeContenderId, openers } from "./contenders.ts";
import { measure } from "./measure.ts";
import type { PlannedOperation } from "./rows.ts";

async function reportOf(id: string, plan: readonly PlannedOperation[]): Promise<Report> {
  if (!Object.hasOwn(openers, id)) throw new RangeError(`there is no contender ${id}`);
  await using contender = await openers[id as NodeContenderId]();
  return await measure(contender, plan);
}

const [, , id = "", plan = "[]"] = process.argv;
const report = await reportOf(id, JSON.parse(plan) as PlannedOperation[]);
process.stdout.write(`${JSON.stringify(report)}\n`);
