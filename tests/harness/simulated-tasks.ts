import type { ProcessTable } from "@heddle/sim";
import type { Tasks } from "./cluster.ts";

/** Long enough for every slot to take part in a handful of items. */
const PID_MS = 50;

/** The fixture functions, run by simulated processes: time is virtual, death is simulated. */
export function simulatedTasks(processes: ProcessTable): Tasks {
  const square = (n: number): number => n * n;
  const dieOn = (bad: number, how: string | number) => (n: number) => (n === bad ? processes.here().crash(how) : n * n);
  return {
    square,
    add: (a, b) => a + b,
    echo: (value) => value,
    failAt: (bad) => (n) => {
      if (n === bad) throw new RangeError(`no ${bad}`);
      return n * n;
    },
    slowSquare: (ms) => (n) =>
      processes
        .here()
        .sleep(ms)
        .then(() => n * n),
    never: () => new Promise<never>(() => undefined),
    crashOn: (bad) => dieOn(bad, "SIGKILL"),
    crashOnceOn: (bad) => {
      let seen = false;
      return (n) => {
        if (n !== bad || seen) return n * n;
        seen = true;
        return processes.here().crash("SIGKILL");
      };
    },
    failTimes: (bad, times) => {
      let left = times;
      return (n) => {
        if (n === bad && left-- > 0) throw new Error("not yet");
        return n * n;
      };
    },
    exitOn: (bad, exitCode) => dieOn(bad, exitCode),
    bigResult: (bytes) => Uint8Array.from({ length: bytes }, (_, at) => at % 251),
    printLine: (n) => {
      processes.here().print(String(n));
      return n * n;
    },
    pidOf: () => {
      const { pid, sleep } = processes.here();
      return sleep(PID_MS).then(() => pid);
    },
  };
}
