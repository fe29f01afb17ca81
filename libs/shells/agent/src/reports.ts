import type { WorkerExit } from "@heddle/port-processes";
import type { ChunkFinished, Failure, NotStarted, PayloadOutflow, WorkerLoss } from "@heddle/wire";
import type { ChunkRecord, Returned, WorkerRecord } from "./records.ts";

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
      bytes: (first?.inlineBytes ?? 0) + (second?.inlineBytes ?? 0) + (failure?.summary.length ?? 0),
      start: () => {
        first?.start();
        second?.start();
      },
    };
  }
  const done = values === undefined ? undefined : outflow.send(values);
  return {
    finished: { ...base, outcome: done && { $case: "done", value: done.header } },
    bytes: done?.inlineBytes ?? 0,
    start: () => done?.start(),
  };
}

/** The worker died with the chunk. */
export function deathReport(chunk: ChunkRecord, worker: WorkerRecord, markedOffset: number | undefined): Report {
  const loss = worker.exit === undefined ? undefined : lossOf(worker.exit, worker.exit.fault ?? worker.offence);
  const outcome = { $case: "workerDeath", value: { markedOffset, loss } } as const;
  const finished = { assignment: chunk.assign.assignment, pid: worker.process.pid, runMicros: 0, outcome };
  return plain(finished, loss?.stderrTail.length);
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

function lossOf(exit: WorkerExit, fault: string | undefined): WorkerLoss {
  return {
    signal: exit.signal ?? "",
    exitCode: exit.exitCode ?? undefined,
    rssBytes: exit.rssBytes,
    stderrTail: fault === undefined ? exit.stderrTail : `${exit.stderrTail}\n${fault}`.trim(),
  };
}
