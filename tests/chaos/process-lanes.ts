import { Pipe, Process } from "heddle";
import { FaultSeen, type LaneContext, mustBe, WrongResult } from "./lane.ts";
import { doubleAll, exitWith } from "./tasks.ts";

/** A process of this run has ended by then, or never will. */
const PROCESS_MS_MAX = 120_000;
/** Longest silence of a pipe whose other end lives. */
const SILENCE_MS_MAX = 90_000;
const KILLED = -9;

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
      if (!(await here.poll(SILENCE_MS_MAX))) throw new FaultSeen("PipeSilent", `${n} of ${count} came back`);
      mustBe("a pipe", await here.recv(), 2 * n);
    }
    await ended(child, 0);
  } finally {
    await here.close();
  }
}

async function ended(child: Process, code: number): Promise<void> {
  await child.join({ timeoutMs: PROCESS_MS_MAX });
  const { exitCode } = child;
  if (exitCode === KILLED) throw new FaultSeen("ProcessKilled", `a process on ${child.node} was killed`);
  if (exitCode === null) throw new FaultSeen("ProcessEndless", `a process on ${child.node} did not end`);
  if (exitCode !== code) throw new WrongResult(`a process that exits with ${code} has ${exitCode}`);
}
