import { type Connection, Pipe, Process, wait } from "heddle";
import { FaultSeen, type LaneContext, mustBe, WrongResult } from "./lane.ts";
import { processMs } from "./limits.ts";
import { doubleAll, exitWith } from "./tasks.ts";

/** A process exits with the code that it was told, or was killed. */
export async function processLane({ fabric, random, leaseMs }: LaneContext): Promise<void> {
  const code = random.int(100);
  const child = new Process({ target: exitWith, args: [code], fabric });
  await child.start();
  await ended(child, code, leaseMs);
}

/** A process sends back twice of each number, in order. */
export async function pipeLane({ fabric, random, leaseMs }: LaneContext): Promise<void> {
  const count = 1 + random.int(20);
  const [here, there] = Pipe<number>({ fabric });
  const child = new Process({ target: doubleAll, args: [there, count], fabric });
  try {
    await child.start();
    await there.close();
    for (let n = 0; n < count; n++) await here.send(n);
    for (let n = 0; n < count; n++) {
      if (!(await speaks(here, child, leaseMs))) throw new FaultSeen("PipeSilent", silence(child, n, count));
      mustBe("a pipe", await here.recv(), 2 * n);
    }
    await ended(child, 0, leaseMs);
  } finally {
    if (child.exitCode === null) await child.kill().catch(() => undefined); // it could not start, or its pipe is lost
    await here.close();
  }
}

/** Whether something has come before the process was over, or the time was. A process that died before it had its end never lets go of it. */
async function speaks(here: Connection<number>, child: Process, leaseMs: number): Promise<boolean> {
  const told = await wait<Connection<number> | Process>([here, child], { timeoutMs: processMs(leaseMs) });
  return told.includes(here) || (told.length > 0 && (await here.poll(leaseMs)));
}

function silence({ node, exitCode }: Process, done: number, count: number): string {
  return `${done} of ${count} came back from a process on ${node}, which ${exitCode === null ? "lives" : `ended with ${exitCode}`}`;
}

async function ended(child: Process, code: number, leaseMs: number): Promise<void> {
  await child.join({ timeoutMs: processMs(leaseMs) });
  const { exitCode } = child;
  if (exitCode === null) throw new FaultSeen("ProcessEndless", `a process on ${child.node} did not end`);
  if (exitCode < 0) throw new FaultSeen("ProcessKilled", `a process on ${child.node} ended by signal ${-exitCode}`);
  if (exitCode !== code) throw new WrongResult(`a process that exits with ${code} has ${exitCode}`);
}
