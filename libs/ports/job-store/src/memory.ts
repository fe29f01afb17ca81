import { type JobId, unreachable, type Write, writeToMemory } from "@heddle/kernel";
import { JobStoreFailedError, JobStoreFullError, JobStoreLockedError } from "./errors.ts";
import type { JobChange, JobStore, StoredJob } from "./index.ts";
import { HISTORY_MAX } from "./limits.ts";
import { type JobShelf, jobStoreOn, type PieceName, type ShelvedJobs } from "./shelf.ts";
import { bytesOf } from "./sizes.ts";

interface KeptPiece {
  readonly about: Uint8Array;
  readonly bytes: Uint8Array;
}

interface KeptJob {
  readonly spec: Uint8Array;
  note: Uint8Array | undefined;
  /** Set once its inputs were dropped: it takes no more of them. */
  isEnded: boolean;
  readonly chunks: KeptPiece[];
  readonly answers: Map<number, KeptPiece>;
  readonly code: Map<string, Uint8Array>;
}

/** What a memory job store keeps. It outlives the store, so that an owner can be restarted on it. */
export class MemoryJobs {
  /** Bytes of specs, inputs, code and answers. */
  bytes = 0;
  /** The store that is open on it. */
  owner: JobStore | undefined;
  readonly write: Write;
  readonly #jobs = new Map<JobId, KeptJob>();
  #history: Uint8Array[] = [];

  /** `write`: keeps everything at once unless given. Asked for every commit, with its bytes. */
  constructor(write: Write = () => "kept") {
    this.write = write;
  }

  /** Ends the owner as if its process were killed: a commit under way is lost, its store never settles anything more. */
  kill(): void {
    this.owner = undefined;
  }

  /** All of it, copied. */
  recovered(): ShelvedJobs {
    const all = [...this.#jobs];
    return {
      jobs: all.map(storedJob),
      history: this.#history.map(copyOf),
      ended: new Set(all.flatMap(([id, { isEnded }]) => (isEnded ? [id] : []))),
    };
  }

  /** The bytes themselves. */
  find(name: PieceName): Uint8Array | undefined {
    const job = this.#jobs.get(name.job);
    switch (name.type) {
      case "input":
        return job?.chunks[name.chunk]?.bytes;
      case "answer":
        return job?.answers.get(name.answer)?.bytes;
      case "code":
        return job?.code.get(name.hash);
      default:
        return unreachable(name);
    }
  }

  apply(change: JobChange): void {
    if (change.type === "history-added") {
      this.#history = [...this.#history, copyOf(change.entry)].slice(-HISTORY_MAX);
    } else if (change.type === "job-added") {
      this.#jobs.set(change.job, addedJob(change.spec));
      this.bytes += change.spec.byteLength;
    } else {
      const job = this.#jobs.get(change.job);
      if (job !== undefined) this.#applyTo(job, change);
    }
  }

  #applyTo(job: KeptJob, change: Exclude<JobChange, { readonly type: "history-added" | "job-added" }>): void {
    switch (change.type) {
      case "code-added":
        if (job.isEnded || job.code.has(change.hash)) return;
        job.code.set(change.hash, this.#kept(change.bytes));
        return;
      case "chunk-added":
        if (job.isEnded || change.chunk < job.chunks.length) return;
        job.chunks.push({ about: copyOf(change.about), bytes: this.#kept(change.input) });
        return;
      case "job-noted":
        job.note = copyOf(change.note);
        return;
      case "answer-added":
        if (job.answers.has(change.answer)) return;
        job.answers.set(change.answer, { about: copyOf(change.about), bytes: this.#kept(change.bytes) });
        return;
      case "inputs-dropped":
        this.#dropInputs(job);
        return;
      case "job-dropped":
        this.#dropInputs(job);
        for (const { bytes } of job.answers.values()) this.bytes -= bytes.byteLength;
        this.bytes -= job.spec.byteLength;
        this.#jobs.delete(change.job);
        return;
      default:
        unreachable(change);
    }
  }

  #dropInputs(job: KeptJob): void {
    for (const { bytes } of job.chunks) this.bytes -= bytes.byteLength;
    for (const bytes of job.code.values()) this.bytes -= bytes.byteLength;
    job.isEnded = true;
    job.chunks.length = 0;
    job.code.clear();
  }

  /** A copy, counted. */
  #kept(bytes: Uint8Array): Uint8Array {
    this.bytes += bytes.byteLength;
    return copyOf(bytes);
  }
}

/** A job store that lasts as long as what it keeps; as strict as one on disk. Throws JobStoreLockedError while another is open on that. */
export function memoryJobStore(kept: MemoryJobs = new MemoryJobs()): JobStore {
  if (kept.owner !== undefined) throw new JobStoreLockedError("a job store is open on this already");
  const shelf = new MemoryShelf(kept);
  const store = jobStoreOn(shelf);
  shelf.store = store;
  kept.owner = store;
  return store;
}

class MemoryShelf implements JobShelf {
  /** The store on this shelf. */
  store: JobStore | undefined;
  readonly #kept: MemoryJobs;

  constructor(kept: MemoryJobs) {
    this.#kept = kept;
  }

  get bytes(): number {
    return this.#kept.bytes;
  }

  get isKilled(): boolean {
    return this.#kept.owner !== this.store;
  }

  async recover(): Promise<ShelvedJobs> {
    return this.#kept.recovered();
  }

  async commit(changes: readonly JobChange[]): Promise<void> {
    const bytes = bytesOf(changes);
    const keep = (): void => {
      for (const change of changes) this.#kept.apply(change);
    };
    const outcome = await writeToMemory(this.#kept.write, { bytes, keep, isKilled: () => this.isKilled });
    if (outcome === "full") throw new JobStoreFullError(`no space for ${bytes} bytes`);
    if (outcome === "failed") throw new JobStoreFailedError(`a write of ${bytes} bytes failed, and may be kept or not`);
  }

  async read(name: PieceName): Promise<Uint8Array | undefined> {
    if (this.isKilled) return new Promise(() => undefined);
    const bytes = this.#kept.find(name);
    return bytes && copyOf(bytes);
  }

  async close(): Promise<void> {
    this.#kept.owner = undefined;
  }
}

function addedJob(spec: Uint8Array): KeptJob {
  return { spec: copyOf(spec), note: undefined, isEnded: false, chunks: [], answers: new Map(), code: new Map() };
}

function storedJob([id, { spec, note, chunks, answers, code }]: readonly [JobId, KeptJob]): StoredJob {
  return {
    id,
    spec: copyOf(spec),
    note: note && copyOf(note),
    chunks: chunks.map(({ about, bytes }, number) => ({ number, about: copyOf(about), size: bytes.byteLength })),
    answers: [...answers]
      .sort(([one], [other]) => one - other)
      .map(([number, { about, bytes }]) => ({ number, about: copyOf(about), size: bytes.byteLength })),
    code: [...code.keys()],
  };
}

function copyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}
