import type { WorkerPort } from "@heddle/sim";
import {
  decodePayload,
  type EncodedPayload,
  Encoding,
  encodeError,
  encodePayload,
  type Payload,
  PayloadAssembler,
  type PrepareJob,
  type RunChunk,
  splitPayload,
  type WorkerResponseEntry,
} from "@heddle/wire";

/** Stand-in until the worker shell exists. */
export async function simulatedWorker(port: WorkerPort): Promise<void> {
  const { link } = port;
  const jobs = new Map<number, PrepareJob>();
  const skipped = new Set<number>();
  const assembler = new PayloadAssembler<RunChunk>();
  const queue: { run: RunChunk; input: EncodedPayload }[] = [];
  let streams = 0;
  let busy = false;
  const send = (payload: EncodedPayload, make: (header: Payload) => WorkerResponseEntry): void => {
    const { header, parts } = splitPayload(payload, () => ++streams);
    link.send(make(header));
    for (const value of parts) link.send({ kind: { $case: "part", value } });
  };
  const one = async (run: RunChunk, input: EncodedPayload): Promise<void> => {
    const common = { assignment: run.assignment, runMicros: 1000, wroteOutput: port.wroteOutput() };
    if (skipped.has(run.assignment)) {
      link.send({ kind: { $case: "chunkReturned", value: { ...common, outcome: { $case: "skipped", value: {} } } } });
      return;
    }
    const job = jobs.get(run.job);
    if (job === undefined) throw new Error("unprepared");
    const values: unknown[] = [];
    const started = port.env.clock.nowMs();
    const micros = (): number => (port.env.clock.nowMs() - started) * 1000;
    const offset = run.span?.offset ?? 0;
    try {
      const fn = await port.loader.load(job.location, job.artifact, job.exportName);
      const items = decodePayload(input, run.span);
      for (const [at, item] of items.entries()) {
        if (run.marks) port.mark({ assignment: run.assignment, offset: offset + at });
        values.push(await (job.spread ? fn(...(item as unknown[])) : fn(item)));
      }
      const wroteOutput = port.wroteOutput();
      send(encodePayload(values, "result"), (value) => ({
        kind: {
          $case: "chunkReturned",
          value: { ...common, wroteOutput, runMicros: micros(), outcome: { $case: "done", value } },
        },
      }));
    } catch (error) {
      const bytes = encodeError(error);
      const userError = { encoding: Encoding.MSGPACK, count: 1, size: bytes.length, data: bytes, partStream: 0 };
      send(encodePayload(values, "result"), (header) => ({
        kind: {
          $case: "chunkReturned",
          value: {
            ...common,
            runMicros: micros(),
            outcome: {
              $case: "error",
              value: {
                completed: values.length,
                values: header,
                failure: {
                  offset: offset + values.length,
                  place: { node: job.node, pid: port.pid, attempt: run.attempt },
                  summary: String(error),
                  kind: { $case: "userError", value: userError },
                },
              },
            },
          },
        },
      }));
    }
  };
  const drain = async (): Promise<void> => {
    if (busy) return;
    busy = true;
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await one(next.run, next.input);
    busy = false;
  };
  link.send({ kind: { $case: "workerReady", value: { pid: port.pid, nodeVersion: "v24.0.0" } } });
  for await (const { kind } of link.incoming) {
    switch (kind?.$case) {
      case "prepareJob":
        jobs.set(kind.value.job, kind.value);
        break;
      case "runChunk": {
        const { input } = kind.value;
        if (input === undefined) throw new Error("no input");
        const whole = assembler.open(input, kind.value);
        if (whole !== undefined) queue.push({ run: kind.value, input: whole });
        void drain();
        break;
      }
      case "skipChunk":
        skipped.add(kind.value.assignment);
        break;
      case "part": {
        const done = assembler.add(kind.value);
        if (done?.payload !== undefined) queue.push({ run: done.tag, input: done.payload });
        void drain();
        break;
      }
    }
  }
}
