import { type ChunkReturned, type Failure, type Part, type RunChunk, splitPayload } from "@heddle/wire";
import type { ChunkOutcome } from "./chunk-run.ts";
import { failureMessage, type ItemFailure } from "./failures.ts";
import type { WorkerOptions } from "./worker.ts";

/** Tells the agent what came of chunks: one answer for each, then the parts of what does not fit into it. */
export class Answers {
  readonly #options: Pick<WorkerOptions, "link" | "pid" | "wroteOutput">;
  #lastPartStream = 0;

  constructor(options: Pick<WorkerOptions, "link" | "pid" | "wroteOutput">) {
    this.#options = options;
  }

  /** It was left out. */
  skipped({ assignment }: RunChunk): undefined {
    this.#send(assignment, 0, { $case: "skipped", value: {} });
  }

  /** It ran, on `node`. A promise while there is no room for the parts of its results. */
  ran(message: RunChunk, node: string, runMs: number, { values, failure }: ChunkOutcome): Promise<void> | undefined {
    const split = splitPayload(values, this.#mintStream);
    if (failure === undefined) {
      this.#send(message.assignment, runMs, { $case: "done", value: split.header });
      return this.#sendParts(split.parts);
    }
    const completed = values.count;
    const [userError, errorParts] = this.#splitError(failure);
    const place = { node, pid: this.#options.pid, attempt: message.attempt };
    const value = { completed, values: split.header, failure: failureMessage(failure, place, userError) };
    this.#send(message.assignment, runMs, { $case: "error", value });
    return this.#sendParts([...split.parts, ...errorParts]);
  }

  #splitError({ kind }: ItemFailure): [Failure["kind"], readonly Part[]] {
    if (kind.type === "fabric") return [undefined, []];
    const { header, parts } = splitPayload(kind.error, this.#mintStream);
    return [{ $case: "userError", value: header }, parts];
  }

  #send(assignment: number, runMs: number, outcome: ChunkReturned["outcome"]): void {
    const { link, wroteOutput } = this.#options;
    const runMicros = Math.min(0xffff_ffff, Math.round(runMs * 1_000));
    const value = { assignment, runMicros, wroteOutput: wroteOutput(), outcome };
    link.send({ kind: { $case: "chunkReturned", value } });
  }

  #sendParts(parts: readonly Part[]): Promise<void> | undefined {
    const { link } = this.#options;
    for (const [at, part] of parts.entries()) {
      const drained = link.drained();
      if (drained !== undefined) return drained.then(() => this.#sendParts(parts.slice(at)));
      link.send({ kind: { $case: "part", value: part } });
    }
    return undefined;
  }

  readonly #mintStream = (): number => {
    this.#lastPartStream = this.#lastPartStream >= 0xffff_ffff ? 1 : this.#lastPartStream + 1;
    return this.#lastPartStream;
  };
}
