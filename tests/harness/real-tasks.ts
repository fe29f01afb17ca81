import type { Tasks } from "./cluster.ts";
import * as functions from "./real-functions.ts";

/** The fixture functions for real workers. Functions with parameters exist for those that the suites use. */
export const realTasks: Tasks = {
  square: functions.square,
  add: functions.add,
  echo: functions.echo,
  failAt: (bad) => pick({ 3: functions.failAt3, 5000: functions.failAt5000 }, bad),
  slowSquare: (ms) => pick({ 1: functions.slowSquare1, 20: functions.slowSquare20, 200: functions.slowSquare200 }, ms),
  never: functions.never,
  crashOn: (bad) => pick({ 3: functions.crashOn3, 5000: functions.crashOn5000 }, bad),
  crashOnceOn: (bad) => pick({ 3: functions.crashOnceOn3, 5000: functions.crashOnceOn5000 }, bad),
  failTimes: (bad, times) => pick({ "3,2": functions.failTwiceOn3 }, `${bad},${times}`),
  exitOn: (bad, exitCode) => pick({ "3,7": functions.exitOn3With7 }, `${bad},${exitCode}`),
  bigResult: functions.bigResult,
  printLine: functions.printLine,
  pidOf: functions.pidOf,
};

function pick<T>(choices: Readonly<Record<string, T>>, key: string | number): T {
  const choice = choices[String(key)];
  if (choice === undefined) throw new RangeError(`real-functions.ts has no function for ${key}`);
  return choice;
}
