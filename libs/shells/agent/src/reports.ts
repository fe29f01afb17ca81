import type { WorkerExit } from "@heddle/port-processes";
import type { ChunkFinished, Failure, NotStarted, PayloadOutflow, WorkerLoss } from "@heddle/wire";
import { INIT_SUMMARY_BYTES_MAX } from "./limits.ts";
import type { ChunkRecord, Returned, WorkerRecord } from "./records.ts";
import { wordsOf } from "./returned.ts";

/** An outcome to be sent, and what must follow it. */
export interface Report {
  readonly finished: ChunkFinished;
  /** Bytes of payloads and words inside, for the lane's accounting. */
  readonly bytes: number;
  /** Call right after it was sent. */
  readonly start: () => void;
}

/** What a worker returned, on its way to the coordinator. */
export function returnedReport(
  outflow: PayloadOutflow,
  chunk: ChunkRecord,
  worker: WorkerRecord,
  returned: Returned,
): Report {
  const { message, values, userError } = returned;
  const base = { assignment: chunk.assign.assignment, pid: worker.process.pid, runMicros: message.runMicros };
  if (message.outcome?.$case === "error") {
    const { completed, failure } = message.outcome.value;
    const first = values === undefined ? undefined : outflow.send(values);
    const second = userError === undefined ? undefined : outflow.send(userError);
    const sent: Failure | undefined =
      failure === undefined || second === undefined
        ? failure
        : { ...failure, kind: { $case: "userError", value: second.header } };
    const value = { completed, values: first?.header, failure: sent };
    return {
      finished: { ...base, outcome: { $case: "itemError", value } },
      bytes: (first?.inlineBytes ?? 0) + (second?.inlineBytes ?? 0) + (failure === undefined ? 0 : wordsOf(failure)),
      start: () => {
        first?.start();
        second?.start();
      },
    };
  }
  if (message.outcome?.$case === "part") {
    const { completed } = message.outcome.value;
    const sent = values === undefined ? undefined : outflow.send(values);
    return {
      finished: { ...base, outcome: { $case: "partDone", value: { completed, values: sent?.header } } },
      bytes: sent?.inlineBytes ?? 0,
      start: () => sent?.start(),
    };
  }
  const done = values === undefined ? undefined : outflow.send(values);
  return {
    finished: { ...base, outcome: done && { $case: "done", value: done.header } },
    bytes: done?.inlineBytes ?? 0,
    start: () => done?.start(),
  };
}

/** What a worker returned whose task threw as it was told to come to an end: the items before it are done, the rest comes back. */
export function cutShortReport(
  outflow: PayloadOutflow,
  chunk: ChunkRecord,
  worker: WorkerRecord,
  returned: Returned,
): Report {
  const { message, values } = returned;
  const completed = message.outcome?.$case === "error" ? message.outcome.value.completed : 0;
  if (completed === 0 || values === undefined) return stoppedReport(chunk, worker);
  const sent = outflow.send(values);
  const outcome = { $case: "partDone", value: { completed, values: sent.header } } as const;
  const base = { assignment: chunk.assign.assignment, pid: worker.process.pid, runMicros: message.runMicros };
  return { finished: { ...base, outcome }, bytes: sent.inlineBytes, start: () => sent.start() };
}

/** The worker died with the chunk. */
export function deathReport(chunk: ChunkRecord, worker: WorkerRecord, markedOffset: number | undefined): Report {
  const loss = worker.exit === undefined ? undefined : lossOf(worker.exit, worker.exit.fault ?? worker.offence);
  const outcome = { $case: "workerDeath", value: { markedOffset, loss } } as const;
  const finished = { assignment: chunk.assign.assignment, pid: worker.process.pid, runMicros: 0, outcome };
  return plain(finished, loss?.stderrTail.length);
}

/** An item of the chunk ran for too long. */
export function overdueReport(chunk: ChunkRecord, worker: WorkerRecord, offset: number): Report {
  const outcome = { $case: "itemOverdue", value: { offset } } as const;
  return plain({ assignment: chunk.assign.assignment, pid: worker.process.pid, runMicros: 0, outcome });
}

/** The pool's initializer failed before the chunk: as the worker said, or because it died. */
export function initFailureReport(chunk: ChunkRecord, worker: WorkerRecord): Report {
  const said = chunk.returned?.message.outcome;
  const value = said?.$case === "initFailure" ? said.value : { summary: deathWords(worker), error: new Uint8Array(0) };
  const outcome = { $case: "initFailure", value } as const;
  const finished = { assignment: chunk.assign.assignment, pid: worker.process.pid, runMicros: 0, outcome };
  return plain(finished, value.summary.length + value.error.length);
}

/** The chunk was stopped as asked. */
export function stoppedReport(chunk: ChunkRecord, worker: WorkerRecord): Report {
  const outcome = { $case: "stopped", value: {} } as const;
  return plain({ assignment: chunk.assign.assignment, pid: worker.process.pid, runMicros: 0, outcome });
}

/** The chunk never began. */
export function notStartedReport(assignment: number, fault: string | undefined): Report {
  const value: NotStarted = { fault: fault ?? "" };
  return plain({ assignment, pid: 0, runMicros: 0, outcome: { $case: "notStarted", value } }, value.fault.length);
}

/** `textBytes`: words count too, or a frame of many reports would be larger than a message may be. */
function plain(finished: ChunkFinished, textBytes = 0): Report {
  return { finished, bytes: textBytes, start: () => undefined };
}

/** How a worker died that was running its pool's initializer, on one line. */
function deathWords({ exit, offence }: WorkerRecord): string {
  if (exit === undefined) return "a worker process ended while it ran the initializer";
  const { signal, exitCode, stderrTail, fault = offence } = exit;
  const how = signal === null ? `exited with code ${exitCode}` : `was killed by ${signal}`;
  const tail = fault ?? stderrTail.trim().replaceAll(/\s*\n\s*/g, " ");
  const words = `a worker process ${how} while it ran the initializer`;
  return cut(tail === "" ? words : `${words}: ${tail}`, INIT_SUMMARY_BYTES_MAX);
}

/** The longest beginning of a text that has at most so many bytes in UTF-8. */
function cut(whole: string, bytesMax: number): string {
  const { read } = new TextEncoder().encodeInto(whole, new Uint8Array(bytesMax));
  return whole.slice(0, read);
}

function lossOf(exit: WorkerExit, fault: string | undefined): WorkerLoss {
  return {
    signal: exit.signal ?? "",
    exitCode: exit.exitCode ?? undefined,
    rssBytes: exit.rssBytes,
    stderrTail: fault === undefined ? exit.stderrTail : `${exit.stderrTail}\n${fault}`.trim(),
  };
}
