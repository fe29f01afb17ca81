import { type ChunkReturned, type Failure, type Part, type RunChunk, splitPayload } from "@heddle/wire";
import type { ChunkOutcome } from "./chunk-state.ts";
import { failureMessage, type ItemFailure, type ReturnedInitFailure } from "./failures.ts";
import type { WorkerOptions } from "./worker.ts";

/** What an answer says beside the outcome. */
export interface AnswerNotes {
  /** The node that it ran on. */
  readonly node: string;
  readonly runMs: number;
  /** The resident set's size is said, too. */
  readonly weighed: boolean;
}

const NO_NOTES: AnswerNotes = { node: "", runMs: 0, weighed: false };

type Options = Pick<WorkerOptions, "link" | "pid" | "wroteOutput" | "rssBytes">;

/** Tells the agent what came of chunks: one answer for each, then the parts of what does not fit into it. */
export class Answers {
  readonly #options: Options;
  readonly #mintStream: () => number;

  /** `mintStream`: numbers parts. */
  constructor(options: Options, mintStream: () => number) {
    this.#options = options;
    this.#mintStream = mintStream;
  }

  /** It was left out. */
  skipped({ assignment }: RunChunk): undefined {
    this.#send(assignment, NO_NOTES, { $case: "skipped", value: {} });
  }

  /** The pool's initializer failed before it. */
  initFailed({ assignment }: RunChunk, failure: ReturnedInitFailure): undefined {
    this.#send(assignment, NO_NOTES, { $case: "initFailure", value: failure });
  }

  /** It ran. A promise while there is no room for the parts of its results. */
  ran(message: RunChunk, notes: AnswerNotes, { values, completed, end }: ChunkOutcome): Promise<void> | undefined {
    const { assignment } = message;
    const split = splitPayload(values, this.#mintStream);
    if (end.type === "all") {
      this.#send(assignment, notes, { $case: "done", value: split.header });
      return this.#sendParts(split.parts);
    }
    if (end.type === "part") {
      this.#send(assignment, notes, { $case: "part", value: { completed, values: split.header } });
      return this.#sendParts(split.parts);
    }
    const [userError, errorParts] = this.#splitError(end.failure);
    const place = { node: notes.node, pid: this.#options.pid, attempt: message.attempt };
    const value = { completed, values: split.header, failure: failureMessage(end.failure, place, userError) };
    this.#send(assignment, notes, { $case: "error", value });
    return this.#sendParts([...split.parts, ...errorParts]);
  }

  #splitError({ kind }: ItemFailure): [Failure["kind"], readonly Part[]] {
    if (kind.type === "fabric") return [undefined, []];
    const { header, parts } = splitPayload(kind.error, this.#mintStream);
    return [{ $case: "userError", value: header }, parts];
  }

  #send(assignment: number, { runMs, weighed }: AnswerNotes, outcome: ChunkReturned["outcome"]): void {
    const { link, wroteOutput, rssBytes } = this.#options;
    const runMicros = Math.min(0xffff_ffff, Math.round(runMs * 1_000));
    const value = {
      assignment,
      runMicros,
      wroteOutput: wroteOutput(),
      outcome,
      rssBytes: weighed ? rssBytes() : 0,
    };
    link.send({ kind: { $case: "chunkReturned", value } });
  }

  #sendParts(parts: readonly Part[]): Promise<void> | undefined {
    if (parts.length === 0) return undefined;
    const { link } = this.#options;
    for (const [at, part] of parts.entries()) {
      const drained = link.drained();
      if (drained !== undefined) return drained.then(() => this.#sendParts(parts.slice(at)));
      link.send({ kind: { $case: "part", value: part } });
    }
    return undefined;
  }
}
