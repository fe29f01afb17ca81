import { FRAME_BYTES_MAX } from "@heddle/kernel";
import { PayloadOutflow } from "@heddle/wire";
import { expect, test } from "vitest";
import type { AssignmentRecord } from "./ledger.ts";
import { type Finish, sendItemFailed } from "./results.ts";

test("words of a failure count as bytes of its frame, so that many failures do not outgrow a message", () => {
  const sent: number[] = [];
  const session = { send: (_: unknown, bulkBytes: number) => void sent.push(bulkBytes) };
  const client = { session, outflow: new PayloadOutflow(() => undefined) };
  const job = { pool: { client }, number: 1 };
  const assignment = { job, node: { name: "n1" } } as unknown as AssignmentRecord;
  const loss = { signal: "SIGKILL", exitCode: undefined, rssBytes: 0, stderrTail: "x".repeat(4_096) };
  const kind = { $case: "workerLoss", value: loss } as const;
  const failure = { offset: undefined, place: undefined, summary: "killed", kind };
  const rest = { initError: undefined, runMicros: 0 };
  const finish: Finish = {
    assignment,
    pid: 7,
    values: undefined,
    relay: undefined,
    failure,
    userError: undefined,
    ...rest,
  };
  sendItemFailed(finish, { chunk: 0, offset: 0, attempt: 2 });
  expect(sent).toEqual([4_096 + "killed".length]);
  expect(512 * (sent[0] ?? 0)).toBeGreaterThan(FRAME_BYTES_MAX);
});
