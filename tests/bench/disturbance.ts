import { cpus } from "node:os";

const SAMPLE_MS = 300;

/** Share of this machine's processors that somebody keeps busy while this program waits, from 0 to 1. */
export async function busyShare(): Promise<number> {
  const before = processorTimes();
  await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
  const after = processorTimes();
  const total = after.total - before.total;
  return total <= 0 ? 0 : 1 - (after.idle - before.idle) / total;
}

function processorTimes(): { readonly idle: number; readonly total: number } {
  const times = cpus().map((cpu) => cpu.times);
  const idle = times.reduce((sum, time) => sum + time.idle, 0);
  return { idle, total: times.reduce((sum, { user, nice, sys, irq }) => sum + user + nice + sys + irq, idle) };
}

/** Above it figures are not worth much. */
const DISTURBED_SHARE = 0.1;

/** What to say of what was measured by `busyShare` before each measurement; nothing when there was quiet. */
export function disturbanceLines(shares: readonly number[]): string[] {
  const disturbed = shares.filter((share) => share > DISTURBED_SHARE);
  if (disturbed.length === 0) return [];
  const most = Math.round(Math.max(...disturbed) * 100);
  return [
    `DISTURBED: others kept up to ${most} % of this machine busy before ${disturbed.length} of ${shares.length} measurements.`,
  ];
}
