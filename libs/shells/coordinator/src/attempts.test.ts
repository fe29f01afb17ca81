import type { AssignmentId, JobKey } from "@heddle/core-scheduler";
import type { NodeName } from "@heddle/kernel";
import type { WorkerLoss } from "@heddle/wire";
import { describe, expect, test } from "vitest";
import { AttemptBook } from "./attempts.ts";
import type { AssignmentRecord, JobRecord } from "./ledger.ts";
import { ATTEMPT_STDERR_LENGTH_MAX, ATTEMPT_SUMMARY_LENGTH_MAX, ATTEMPTS_MAX, JOB_ATTEMPTS_MAX } from "./limits.ts";
import type { Finish } from "./results.ts";

const job = (key: number): JobRecord => ({ key: key as JobKey }) as JobRecord;
const node = { name: "n1" as NodeName } as AssignmentRecord["node"];
const place = {
  node,
  offset: 0,
  count: 1,
  firstIndex: 0,
  attempt: 1,
  isWhole: true,
  placedMs: 0,
  startedMs: undefined,
  checkpointed: undefined,
};
const placed = (of: JobRecord, chunk: number): AssignmentRecord => ({
  ...place,
  id: chunk as AssignmentId,
  job: of,
  chunk,
});

function died(of: JobRecord, loss: Partial<WorkerLoss>): Finish {
  const value = { signal: "", exitCode: undefined, rssBytes: 0, stderrTail: "", ...loss };
  const failure = {
    offset: undefined,
    place: undefined,
    summary: "died",
    kind: { $case: "workerLoss", value },
  } as const;
  const nothing = { values: undefined, relay: undefined, userError: undefined, initError: undefined };
  return { assignment: placed(of, 0), pid: 7, failure, runMicros: 0, ...nothing };
}

const death = { type: "worker-death", markedOffset: undefined } as const;

describe("the book of attempts", () => {
  test("keeps the newest of each job, and of all, and nothing of a job that is forgotten", () => {
    const book = new AttemptBook();
    const [first, second] = [job(1), job(2)];
    for (let chunk = 0; chunk < JOB_ATTEMPTS_MAX + 5; chunk++) book.lost(placed(first, chunk), "lost", chunk);
    book.lost(placed(second, 0), "lost", 0);
    expect(book.of(first)).toHaveLength(JOB_ATTEMPTS_MAX);
    expect([book.of(first)[0]?.chunk, book.of(first).at(-1)?.chunk]).toEqual([JOB_ATTEMPTS_MAX + 4, 5]);
    for (let key = 3; key < 3 + ATTEMPTS_MAX / JOB_ATTEMPTS_MAX; key++) {
      const other = job(key);
      for (let chunk = 0; chunk < JOB_ATTEMPTS_MAX; chunk++) book.lost(placed(other, chunk), "lost", chunk);
    }
    expect([book.of(first), book.of(second)]).toEqual([[], []]);
    const last = job(0);
    book.lost(placed(last, 0), "lost", 0);
    book.forget(last);
    expect(book.of(last)).toEqual([]);
  });

  test("keeps no more of what a worker wrote than its end, as lines without control characters", () => {
    const book = new AttemptBook();
    const one = job(1);
    const stderrTail = `${"x".repeat(5_000)}\n\u001b[31mred\u009b2J\r\n\n\u202eback\n`;
    book.finished(died(one, { signal: "SIG\u0007KILL", rssBytes: 5, stderrTail }), death, "ready", 9);
    const [attempt] = book.of(one);
    expect(attempt).toMatchObject({
      end: "worker-death",
      pid: 7,
      endedMs: 9,
      loss: { signal: "SIG KILL", rssBytes: 5 },
    });
    expect(attempt?.stderr.slice(-2)).toEqual(["[31mred 2J", "back"]);
    expect(attempt?.stderr.join("").length).toBeLessThanOrEqual(ATTEMPT_STDERR_LENGTH_MAX);
  });

  test("cuts what an error says", () => {
    const book = new AttemptBook();
    const one = job(1);
    book.lost(placed(one, 0), "\n".repeat(9) + "y".repeat(5_000), 0);
    expect(book.of(one)[0]?.summary).toBe("y".repeat(ATTEMPT_SUMMARY_LENGTH_MAX));
  });

  test("tells why something was taken back by the state of its node, and keeps nothing that was done, unless another attempt was done before", () => {
    const book = new AttemptBook();
    const one = job(1);
    const finish = { ...died(one, {}), failure: undefined };
    book.finished(finish, { type: "not-started", fault: undefined }, "draining", 0);
    book.finished(finish, { type: "not-started", fault: undefined }, "excluded", 0);
    book.finished(finish, { type: "not-started", fault: undefined }, "ready", 0);
    book.finished(finish, { type: "not-started", fault: "no\nmemory" }, "ready", 0);
    book.finished(finish, { type: "stopped" }, "drained", 0);
    book.finished(finish, { type: "stopped" }, "ready", 0);
    book.finished(finish, { type: "done", bytes: 0 }, "ready", 0);
    book.finished(finish, { type: "part-done", completed: 1, bytes: 0 }, "ready", 0);
    book.finished({ ...finish, failure: died(one, {}).failure }, death, "overtaken", 0);
    book.finished(finish, { type: "done", bytes: 0 }, "overtaken", 0);
    const told = book.of(one).map(({ end, summary }) => [end, summary]);
    const ends = ["drained", "excluded", "handed-back", "start-fault", "drained", "stopped"];
    const usual = ends.map((end) => [end, end === "start-fault" ? "no memory" : ""]);
    expect(told.reverse()).toEqual([...usual, ["overtaken", "died"], ["overtaken", ""]]);
  });
});
