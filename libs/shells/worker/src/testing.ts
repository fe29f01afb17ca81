import { type Environment, ProtocolError, seededRandom, silentLogger } from "@heddle/kernel";
import type { AnyFunction, FunctionMaker } from "@heddle/port-shipper";
import {
  type ChunkReturned,
  decodeError,
  decodePayload,
  type EncodedPayload,
  encodePayload,
  type FabricError,
  PayloadAssembler,
  PrepareJob,
  RunChunk,
  splitPayload,
  type WorkerRequestEntry,
  type WorkerResponseEntry,
} from "@heddle/wire";
import type { TaskScope } from "./task-context.ts";
import { runWorker, type WorkerOptions, type WorkerRuntime } from "./worker.ts";

/** What a chunk came back with, decoded. */
export type Answer =
  | { readonly assignment: number; readonly done: readonly unknown[] }
  | { readonly assignment: number; readonly skipped: true }
  /** Some first items; the rest was given back. */
  | { readonly assignment: number; readonly part: readonly unknown[]; readonly completed: number }
  | { readonly assignment: number; readonly initFailure: string; readonly error: unknown }
  | {
      readonly assignment: number;
      readonly completed: number;
      readonly values: readonly unknown[];
      readonly offset: number | undefined;
      readonly summary: string;
      /** The user's error. */
      readonly error?: unknown;
      /** The fabric's. */
      readonly refused?: FabricError;
      readonly place: { readonly node: string; readonly pid: number; readonly attempt: number };
    };

type Said = NonNullable<WorkerResponseEntry["kind"]>;

function callScope<T>(): TaskScope<T> {
  let current: T | undefined;
  const run = <R>(value: T, act: () => R): R => {
    const outer = current;
    current = value;
    try {
      return act();
    } finally {
      current = outer;
    }
  };
  return { run, get: () => current };
}

/** A worker whose agent is the test. Time stands still unless a function moves it. */
export class Bench {
  nowMs = 0;
  /** What the worker said, raw, in the order in which it left. */
  readonly sent: WorkerResponseEntry[] = [];
  /** How many entries each flush took along; empty flushes are not noted. */
  readonly flushes: number[] = [];
  readonly marks: [assignment: number, offset: number][] = [];
  /** The marks that were not taken back, by slot. */
  readonly marked = new Map<number, number>();
  rssBytes = 0;
  readonly answers: Answer[] = [];
  /** By export name; a value that is no function is what loading it throws. */
  readonly functions = new Map<string, unknown>();
  /** Captured values that are artifacts of their own, by hash. */
  readonly values = new Map<string, Uint8Array>();
  /** Aborting it is what the agent's wish to end this worker is. */
  readonly stop = new AbortController();
  readonly runtime: WorkerRuntime;
  wrote = false;
  /** Where the agent says that an artifact is, to a worker that asks; "" for nowhere. */
  place = "/b";
  /** A location where nothing is any more. */
  missingAt: string | undefined;
  /** Locations that were loaded from, in order. */
  readonly loads: string[] = [];
  /** Set: there is no room until `drain`. */
  isFull = false;
  turns = 0;
  #listen: (entries: readonly WorkerRequestEntry[]) => void = () => undefined;
  #waiting: { readonly count: number; readonly resolve: () => void }[] = [];
  #drain = Promise.withResolvers<void>();
  #unflushed = 0;
  #lastAssignment = 0;
  /** What happens when the worker loads `heddle`. */
  loadInside: () => void = () => undefined;
  /** What it wrote of errors that nobody caught. */
  readonly complaints: unknown[] = [];
  /** How it ended, as a process of a user's own. */
  readonly exits: (number | undefined)[] = [];
  readonly #parts = new PayloadAssembler<(payload: EncodedPayload | undefined) => void>();

  /** `openScope`: for workers whose items run side by side; by default a scope has no value after an await. */
  constructor(openScope: WorkerOptions["openScope"] = callScope) {
    const clock = { nowMs: () => this.nowMs, setTimer: () => ({ [Symbol.dispose]: () => undefined }) };
    const env: Environment = { clock, random: seededRandom(1), log: silentLogger };
    this.runtime = runWorker({
      link: {
        send: (entry) => this.#send(entry),
        flush: () => this.#flush(),
        drained: () => (this.isFull ? this.#drain.promise : undefined),
        onEntries: (listen) => {
          this.#listen = listen;
        },
      },
      mark: (assignment, offset, slot) => {
        this.marks.push([assignment, offset]);
        this.marked.set(slot, offset);
      },
      unmark: (slot) => void this.marked.delete(slot),
      rssBytes: () => this.rssBytes,
      openScope,
      loadInside: () => Promise.resolve(this.loadInside()),
      loader: {
        load: async (location, _hash, name) => {
          this.loads.push(location);
          if (this.missingAt === location) throw new ProtocolError(`artifact h cannot be read at ${location}`);
          const found = this.functions.get(name);
          if (typeof found === "function") return found as AnyFunction;
          throw found;
        },
        read: async (location, hash) => {
          const values = this.values.get(hash);
          if (values === undefined || this.missingAt === location)
            throw new ProtocolError(`artifact ${hash} cannot be read at ${location}`);
          return values;
        },
      },
      stopSignal: () => this.stop.signal,
      noticeStop: (reason) => this.stop.abort(new DOMException(reason, "AbortError")),
      env,
      pid: 77,
      agentPid: 7,
      ending: {
        complain: (error) => this.complaints.push(error),
        exit: (exitCode) => this.exits.push(exitCode),
      },
      nodeVersion: "v24.0.0",
      wroteOutput: () => {
        const { wrote } = this;
        this.wrote = false;
        return wrote;
      },
      turn: async () => {
        this.turns++;
        await Promise.resolve();
      },
    });
  }

  /** Describes a job that runs `fn` (or that cannot be loaded because of it). */
  job(number: number, fn: unknown, spread = false, more: Partial<PrepareJob> = {}): void {
    const exportName = `export${number}`;
    this.functions.set(exportName, fn);
    const base = { job: number, jobId: "j", location: "/a", artifact: "h", exportName, spread, node: "n1" };
    const value = { ...PrepareJob.fromPartial(base), ...more };
    this.tell({ kind: { $case: "prepareJob", value } });
  }

  /** A shipped function as PlacedFunction, under the name. */
  placed(name: string, fn: unknown): NonNullable<PrepareJob["combine"]> {
    this.functions.set(name, fn);
    const none = { closure: false, captured: new Uint8Array(0), capturedArtifact: "", capturedLocation: "" };
    return { location: "/a", artifact: "h", exportName: name, ...none };
  }

  /** As `job`: `maker` makes the function of these captured values. */
  closure(number: number, maker: FunctionMaker, captured: Uint8Array, more: Partial<PrepareJob> = {}): void {
    this.job(number, maker, false, { closure: true, captured, ...more });
  }

  /** Whatever the worker said of one kind, in order. */
  said<Case extends Said["$case"]>($case: Case): Extract<Said, { readonly $case: Case }>["value"][] {
    return this.sent.flatMap(({ kind }) => (kind?.$case === $case ? [kind.value as never] : []));
  }

  tell(...entries: WorkerRequestEntry[]): void {
    this.#listen(entries);
  }

  /** The entries of a chunk: its announcement, then its parts. */
  chunk(job: number, items: readonly unknown[] | EncodedPayload, more: Partial<RunChunk> = {}): WorkerRequestEntry[] {
    const assignment = ++this.#lastAssignment;
    const payload = "encoding" in items ? items : encodePayload(items, "argument");
    const { header, parts } = splitPayload(payload, () => assignment);
    const base = RunChunk.fromPartial({ assignment, job, attempt: 1 });
    const run: WorkerRequestEntry = { kind: { $case: "runChunk", value: { ...base, input: header, ...more } } };
    return [run, ...parts.map((part): WorkerRequestEntry => ({ kind: { $case: "part", value: part } }))];
  }

  /** Runs one chunk and gives its answer. */
  async run(job: number, items: readonly unknown[] | EncodedPayload, more: Partial<RunChunk> = {}): Promise<Answer> {
    const count = this.answers.length + 1;
    this.tell(...this.chunk(job, items, more));
    const answers = await this.answered(count);
    return answers.at(-1) as Answer;
  }

  /** Runs one chunk, all of it, and gives its values as what the test knows them to be. */
  async results<T>(
    job: number,
    items: readonly unknown[] | EncodedPayload,
    more: Partial<RunChunk> = {},
  ): Promise<T[]> {
    const answer = await this.run(job, items, more);
    if (!("done" in answer)) throw new TypeError(`not done: ${JSON.stringify(answer)}`);
    return answer.done as T[];
  }

  /** Resolves once so many chunks were answered in all. */
  async answered(count: number): Promise<readonly Answer[]> {
    if (this.answers.length < count) await new Promise<void>((resolve) => this.#waiting.push({ count, resolve }));
    return this.answers;
  }

  drain(): void {
    this.isFull = false;
    this.#drain.resolve();
    this.#drain = Promise.withResolvers();
  }

  #flush(): void {
    if (this.#unflushed > 0) this.flushes.push(this.#unflushed);
    this.#unflushed = 0;
  }

  #send(entry: WorkerResponseEntry): void {
    this.sent.push(entry);
    this.#unflushed++;
    const { kind } = entry;
    if (kind?.$case === "chunkReturned") this.#returned(kind.value);
    else if (kind?.$case === "wantArtifact") {
      const missing = this.place === "" ? "nobody has it" : "";
      const value = { hash: kind.value.hash, location: this.place, missing };
      queueMicrotask(() => this.tell({ kind: { $case: "artifactPlace", value } }));
    } else if (kind?.$case === "objectOperations" && kind.value.batch !== undefined) {
      this.#parts.open(kind.value.batch, () => undefined);
    } else if (kind?.$case === "part") {
      const complete = this.#parts.add(kind.value);
      complete?.tag(complete.payload);
    }
  }

  #returned({ assignment, outcome }: ChunkReturned): void {
    switch (outcome?.$case) {
      case "done":
        return this.#open(outcome.value, (payload) => this.#answer({ assignment, done: decodePayload(payload) }));
      case "skipped":
        return this.#answer({ assignment, skipped: true });
      case "part": {
        const { completed, values } = outcome.value;
        return this.#open(values, (payload) => this.#answer({ assignment, part: decodePayload(payload), completed }));
      }
      case "initFailure": {
        const { summary, error } = outcome.value;
        const thrown = error.length === 0 ? undefined : decodeError(error);
        return this.#answer({ assignment, initFailure: summary, error: thrown });
      }
      case "error": {
        const { completed, values, failure } = outcome.value;
        const { offset, summary = "", place, kind } = failure ?? {};
        const at = { node: place?.node ?? "", pid: place?.pid ?? 0, attempt: place?.attempt ?? 0 };
        const answer = (known: unknown[], more: { error?: unknown; refused?: FabricError }) =>
          this.#answer({ assignment, completed, values: known, offset, summary, place: at, ...more });
        return this.#open(values, (payload) => {
          const known = decodePayload(payload);
          if (kind?.$case === "userError")
            this.#open(kind.value, (error) => answer(known, { error: decodeError(error.bytes) }));
          else if (kind?.$case === "fabricError") {
            answer(known, { refused: kind.value });
          } else throw new TypeError(`a failure of no kind: ${summary}`);
        });
      }
      default:
        throw new TypeError("a chunk was returned without an outcome");
    }
  }

  #open(
    header: Parameters<PayloadAssembler<never>["open"]>[0] | undefined,
    then: (payload: EncodedPayload) => void,
  ): void {
    if (header === undefined) throw new TypeError("an outcome has no values");
    const complete = (payload: EncodedPayload | undefined): void => {
      if (payload === undefined) throw new TypeError("a worker aborted its own parts");
      then(payload);
    };
    const payload = this.#parts.open(header, complete);
    if (payload !== undefined) complete(payload);
  }

  #answer(answer: Answer): void {
    this.answers.push(answer);
    for (const { count, resolve } of this.#waiting) if (this.answers.length >= count) resolve();
  }
}
