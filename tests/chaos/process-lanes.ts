import { Pipe, Process } from "heddle";
import { FaultSeen, type LaneContext, mustBe, WrongResult } from "./lane.ts";
import { doubleAll, exitWith } from "./tasks.ts";

/** A process of this run has ended by then, or never will. */
const PROCESS_MS_MAX = 120_000;
/** Longest silence of a pipe whose other end lives. */
const SILENCE_MS_MAX = 90_000;

/** A process exits with the code that it was told, or was killed. */
export async function processLane({ fabric, random }: LaneContext): Promise<void> {
  const code = random.int(100);
  const child = new Process({ target: exitWith, args: [code], fabric });
  await child.start();
  await ended(child, code);
}

/** A process sends back twice of each number, in order. */
export async function pipeLane({ fabric, random }: LaneContext): Promise<void> {
  const count = 1 + random.int(20);
  const [here, there] = Pipe<number>({ fabric });
  const child = new Process({ target: doubleAll, args: [there, count], fabric });
  try {
    await child.start();
    await there.close();
    for (let n = 0; n < count; n++) await here.send(n);
    for (let n = 0; n < count; n++) {
      if (!(await here.poll(SILENCE_MS_MAX))) throw new FaultSeen("PipeSilent", silence(child, n, count));
      mustBe("a pipe", await here.recv(), 2 * n);
    }
    await ended(child, 0);
  } finally {
    if (child.exitCode === null) await child.kill().catch(() => undefined); // it could not start, or its pipe is lost
    await here.close();
  }
}

function silence({ node, exitCode }: Process, done: number, count: number): string {
  return `${done} of ${count} came back from a process on ${node}, which ${exitCode === null ? "lives" : `ended with ${exitCode}`}`;
}

async function ended(child: Process, code: number): Promise<void> {
  await child.join({ timeoutMs: PROCESS_MS_MAX });
  const { exitCode } = child;
  if (exitCode === null) throw new FaultSeen("ProcessEndless", `a process on ${child.node} did not end`);
  if (exitCode < 0) throw new FaultSeen("ProcessKilled", `a process on ${child.node} ended by signal ${-exitCode}`);
  if (exitCode !== code) throw new WrongResult(`a process that exits with ${code} has ${exitCode}`);
}
