import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, UnavailableError } from "heddle";
import { afterEach, beforeEach, expect, test } from "vitest";
import { addressFile, linesOf, lineWith, startHeddle } from "./testing.ts";

let directory: string;
let up: ChildProcess;
let address: string;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "up-ends-"));
  const file = join(directory, "up.json");
  const args = ["--listen", "127.0.0.1:0", "--address-file", file, "--processes", "1", "--drain-ms", "300"];
  up = startHeddle(["up", ...args]);
  address = String((await addressFile(file)).address);
}, 60_000);
afterEach(async () => {
  if (up.exitCode === null && up.signalCode === null && up.kill("SIGTERM")) await once(up, "exit");
  rmSync(directory, { recursive: true });
}, 60_000);

function endless(): Promise<never> {
  return new Promise((_resolve, reject) => setTimeout(reject, 86_400_000));
}

/** A program's calls and questions that wait when `heddle up` is told to stop: what becomes of each, once it is over. */
async function waiting() {
  const fabric = await connect(address);
  const manager = fabric.manager();
  const [pool, queue] = [fabric.pool(), manager.queue<number>()];
  await queue.put(1);
  await queue.get();
  const pids = await pool.map(() => process.pid, [1]);
  expect(pids).toHaveLength(1);
  const all = [pool.apply(endless), pool.map(endless, [1, 2, 3]), queue.get()];
  const errors = Promise.all(all.map((call) => call.catch((error: unknown) => error)));
  return { errors, [Symbol.asyncDispose]: () => fabric.close() };
}

test("Ctrl-C ends what waits for a fabric of heddle up as soon as that is over, in words", async () => {
  await using program = await waiting();
  const said = linesOf(up.stderr);
  up.kill("SIGINT");
  await lineWith(said, "jobs that are not done fail then; once more to stop at once");
  expect(await once(up, "exit")).toEqual([0, null]);
  const overMs = performance.now();
  const errors = await program.errors;
  expect(performance.now() - overMs).toBeLessThan(5_000); // its patience would be a minute
  for (const error of errors) expect(error).toBeInstanceOf(UnavailableError);
  const words = errors.map((error) => String(error));
  expect(words.slice(0, 2)).toEqual([0, 0].map(() => expect.stringContaining("is gone: the fabric was stopped")));
  expect(words[2]).toContain("the manager is gone");
}, 60_000);
