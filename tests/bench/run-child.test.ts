import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { processTable } from "../harness/process-table.ts";
import { eventually } from "../harness/waiting.ts";
import { runChild } from "./run-child.ts";

const limitMs = 20_000;
let directory = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "heddle-bench-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A child that runs this program. */
const child = (program: string): string[] => [process.execPath, "-e", program];

/** Text of a program that starts a sleeper in a process group of its own and writes its pid to `file()`. */
const startSleeper = (): string =>
  `const sleeper = require("node:child_process").spawn("sleep", ["600"], { detached: true, stdio: "ignore" });
   sleeper.unref();
   require("node:fs").writeFileSync(${JSON.stringify(file())}, String(sleeper.pid));`;
const file = (): string => join(directory, "pid");
const sleeperIsGone = async (): Promise<void> => {
  const pid = Number(readFileSync(file(), "utf8"));
  expect(pid).toBeGreaterThan(0);
  const isRunning = (): boolean => processTable().some((entry) => entry.pid === pid && entry.state !== "Z");
  await eventually("the sleeper's end", () => !isRunning() || undefined);
};

test("a child's last line is its report, whatever it printed before", async () => {
  const report = { laps: { cubes: [1] }, hows: {}, failures: {} };
  const program = `console.log("hello"); console.log(${JSON.stringify(JSON.stringify(report))})`;
  expect(await runChild(child(program), { limitMs })).toEqual(report);
});

test("a child that fails or says nothing has no report", async () => {
  await expect(runChild(child("process.exit(3)"), { limitMs })).rejects.toThrow("ended with code 3");
  await expect(runChild(child("console.log('hello')"), { limitMs })).rejects.toThrow('no figures but "hello"');
});

test("a program that is not there has no report", async () => {
  await expect(runChild([join(directory, "nothing")], { limitMs })).rejects.toThrow("ENOENT");
});

test("what a failed child started is ended", async () => {
  await expect(runChild(child(`${startSleeper()} process.exitCode = 1;`), { limitMs })).rejects.toThrow("code 1");
  await sleeperIsGone();
});

test("a child that leaves a process behind has failed, and the process is ended", async () => {
  const program = `${startSleeper()} console.log("{}");`;
  await expect(runChild(child(program), { limitMs, leftBehindMs: 200 })).rejects.toThrow("left running: sleep 600");
  await sleeperIsGone();
});

test("a child beyond its limit is ended with all that it started", async () => {
  const program = `${startSleeper()} setInterval(() => undefined, 1_000);`;
  await expect(runChild(child(program), { limitMs: 2_000 })).rejects.toThrow("not done within its limit of 2 s");
  await sleeperIsGone();
});

test("a child ends when the benchmark is stopped", async () => {
  const stop = new AbortController();
  const run = runChild(child(`${startSleeper()} setInterval(() => undefined, 1_000);`), { limitMs }, stop.signal);
  const rejects = expect(run).rejects.toThrow("stopped");
  await eventually("the sleeper", () => {
    try {
      return readFileSync(file(), "utf8") !== "" || undefined;
    } catch {
      return undefined;
    }
  });
  stop.abort(new Error("stopped"));
  await rejects;
  await sleeperIsGone();
});
