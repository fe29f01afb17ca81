import { NotFoundError } from "@heddle/kernel";
import { type Fabric, jobsAdmin } from "heddle";
import { withFabric } from "./client.ts";
import { plainText } from "./format.ts";
import { jobs, named } from "./kinds.ts";
import type { Print } from "./questions.ts";
import type { Target } from "./targets.ts";

/** Which jobs are meant, each by its id, the beginning of an id, or the name of one that is open, and why. */
export interface CancelCommand extends Target {
  readonly names: readonly string[];
  readonly reason: string | undefined;
}

/** `heddle cancel JOB...`: all of them, or none when a name means no job, or several. Throws NotFoundError then. */
export function cancelJobs({ names, reason, ...target }: CancelCommand, print: Print): Promise<void> {
  return withFabric(target, async (fabric) => {
    const ids = await idsOf(fabric, names);
    for (const id of ids) {
      const changed = await jobsAdmin(fabric).cancel(id, { reason });
      print(`job/${plainText(id)} ${changed ? "cancelled" : "was over"}\n`);
    }
  });
}

async function idsOf(fabric: Fabric, names: readonly string[]): Promise<string[]> {
  const known = await jobs.list(fabric);
  const open = known.filter(({ durationMs, state }) => durationMs === 0 && !ENDED.includes(state));
  return names.map((name) => {
    if (known.some(({ jobId }) => jobId === name)) return name;
    const called = open.filter((job) => job.name === name);
    if (called.length > 1) {
      const ids = called.slice(0, IDS_TOLD).map(({ jobId }) => jobId);
      throw new NotFoundError(`${called.length} open jobs are called ${JSON.stringify(name)}: ${ids.join(", ")}`);
    }
    return named(jobs, called.length === 1 ? called : open, name).jobId;
  });
}

const ENDED: readonly string[] = ["done", "failed", "cancelled"];
/** Ids that an error names. */
const IDS_TOLD = 10;
