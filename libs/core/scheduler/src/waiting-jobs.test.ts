import { expect, test } from "vitest";
import type { Job } from "./state.ts";
import { WaitingJobs } from "./waiting-jobs.ts";

/** A parked job. */
function job(kind: string, dueMs: number): Job {
  const pool = { parked: new Set<unknown>() };
  const made = { kind, dueMs, turn: 0, pool } as unknown as Job;
  pool.parked.add(made);
  return made;
}

test("room is asked for once for all jobs of a kind, and the one that was charged least is next", () => {
  const waiting = new WaitingJobs();
  const jobs = Array.from({ length: 1_000 }, (_, at) => job(at % 2 === 0 ? "a" : "b", (at * 7) % 1_000));
  for (const one of jobs) waiting.add(one);
  const asked: string[] = [];
  const next = waiting.next(({ kind }) => asked.push(kind) > 0 && kind === "b");
  expect(asked.sort()).toEqual(["a", "b"]);
  expect([next?.kind, next?.dueMs]).toEqual(["b", 1]);
});

test("who is parked no more is forgotten, and who was parked again has its new place", () => {
  const waiting = new WaitingJobs();
  const [first, second, third] = [job("a", 1), job("a", 2), job("a", 3)];
  for (const one of [first, second, third]) waiting.add(one);
  first.pool.parked.delete(first);
  second.dueMs = 4;
  waiting.add(second);
  expect(waiting.next(() => true)).toBe(third);
  for (const one of [second, third]) waiting.delete(one);
  expect(waiting.isEmpty).toBe(true);
});
