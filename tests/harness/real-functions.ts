/**
 * The fixture functions as a module to be shipped: plain exports, one for each set of parameters that the suites use.
 * What has to be remembered across processes is a file below FABRIC_TEST_DIRECTORY.
 */
import { existsSync, readdirSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";

export const square = (n: number): number => n * n;
export const add = (a: number, b: number): number => a + b;
export const echo = (value: unknown): unknown => value;

export function failAt3(n: number): number {
  return failAt(3, n);
}
export function failAt5000(n: number): number {
  return failAt(5000, n);
}
export function slowSquare1(n: number): number {
  return slow(1, n);
}
export function slowSquare20(n: number): number {
  return slow(20, n);
}
export function slowSquare200(n: number): number {
  return slow(200, n);
}
export function never(): Promise<never> {
  for (;;);
}
export function crashOn3(n: number): number {
  return crashOn(3, n);
}
export function crashOn5000(n: number): number {
  return crashOn(5000, n);
}
export function crashOnceOn3(n: number): number {
  return n === 3 && first("crash-3") ? crashOn(3, n) : n * n;
}
export function crashOnceOn5000(n: number): number {
  return n === 5000 && first("crash-5000") ? crashOn(5000, n) : n * n;
}
export function failTwiceOn3(n: number): number {
  if (n === 3 && times("fail-3") < 2) throw new Error("not yet");
  return n * n;
}
export function exitOn3With7(n: number): number {
  if (n === 3) process.exit(7);
  return n * n;
}
/** Squares in 4 ms and lets timers fire; 0 leaves one behind that throws when others run. */
export async function lateThrowOf0(n: number): Promise<number> {
  if (n === 0) {
    setTimeout(() => {
      throw new Error("late");
    }, 15);
  }
  const result = slow(4, n);
  await new Promise(setImmediate);
  return result;
}
/** Squares, but for 3 writes what is no frame to the pipe that its worker shares with the agent, and then never returns. */
export function garbageOn3(n: number): number {
  if (n !== 3) return n * n;
  for (;;) writeSync(3, Buffer.alloc(64, 0xff));
}
export function bigResult(bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, at) => at % 251);
}
export function printLine(n: number): number {
  console.log(String(n));
  return n * n;
}
export function pidOf(n: number): number {
  slow(50, n);
  return process.pid;
}

function failAt(bad: number, n: number): number {
  if (n === bad) throw new RangeError(`no ${bad}`);
  return n * n;
}

function crashOn(bad: number, n: number): number {
  if (n === bad) process.kill(process.pid, "SIGKILL");
  return n * n;
}

function slow(ms: number, n: number): number {
  const until = performance.now() + ms;
  while (performance.now() < until);
  return n * n;
}

function directory(): string {
  const path = process.env.FABRIC_TEST_DIRECTORY;
  if (path === undefined) throw new Error("FABRIC_TEST_DIRECTORY is not set");
  return path;
}

/** Whether nobody was here before, in any process. */
function first(name: string): boolean {
  const path = join(directory(), name);
  if (existsSync(path)) return false;
  writeFileSync(path, "");
  return true;
}

/** How often somebody was here before, in any process. */
function times(name: string): number {
  const before = readdirSync(directory()).filter((file) => file.startsWith(name)).length;
  writeFileSync(join(directory(), `${name}.${before}.${process.pid}`), "");
  return before;
}
