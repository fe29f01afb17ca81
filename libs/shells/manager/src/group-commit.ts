import type { Command, Effect } from "@heddle/core-objects";
import type { Clock } from "@heddle/kernel";
import { type Journal, JournalFullError } from "@heddle/port-journal";
import type { Histogram } from "@heddle/port-metrics";
import { GATHERED_BYTES_MAX, RECORD_BYTES_TARGET } from "./limits.ts";
import { encodeCommand, joined } from "./records.ts";

/** What is to be said: by an effect of the core, or to whom the core does not know. */
export type Outcome =
  | Effect
  | { readonly type: "tell"; readonly tell: () => void; readonly lost: (error: unknown) => void };

/** Commands that reach the disk together, and what may be said once they have. */
export interface Batch {
  readonly commands: Command[];
  /** What came of them, and of what was read after them, in order. */
  readonly outcomes: Outcome[];
}

interface Gathering extends Batch {
  /** Encoded commands, record by record. */
  readonly records: Uint8Array[][];
  lastRecordBytes: number;
  bytes: number;
}

/** What is done at the ends of commits. */
export interface GroupCommitOptions {
  readonly journal: Journal;
  readonly clock: Clock;
  /** Counts commits that reached the disk by how long they took, in seconds. */
  readonly commits: Histogram;
  /** A batch leaves for the disk: the state of now is that of the journal at `position`, once it is there. */
  readonly leaving: (position: number) => void;
  /** It is there. */
  readonly durable: (batch: Batch, position: number) => void;
  /** There was no room: nothing of these batches is kept, in order. */
  readonly full: (batches: readonly Batch[], error: JournalFullError) => void;
  /** Nobody knows what is kept. */
  readonly failed: (error: unknown) => void;
}

/**
 * Brings commands to the disk, one commit at a time: what comes while one is under way leaves with the next, and so the slower the disk
 * the larger the commits. No timers: a command that comes alone leaves at the end of its turn.
 */
export class GroupCommit {
  readonly #options: GroupCommitOptions;
  #gathering: Gathering = emptyBatch();
  #underWay: Gathering | undefined;
  #isScheduled = false;
  #room: PromiseWithResolvers<void> | undefined;
  #isOver = false;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
  }

  /** Nothing waits for the disk. */
  get isIdle(): boolean {
    return this.#underWay === undefined && this.#gathering.commands.length === 0;
  }

  /** What to wait for before more commands are taken; undefined when there is room for some. */
  room(): Promise<void> | undefined {
    if (this.#gathering.bytes < GATHERED_BYTES_MAX || this.#isOver) return undefined;
    this.#room ??= Promise.withResolvers<void>();
    return this.#room.promise;
  }

  /** Adds a command that was done, and what came of it. `batch`: its operations in bytes, if at hand. */
  add(command: Command, outcomes: readonly Outcome[], batch?: Uint8Array): void {
    if (this.#isOver) return;
    const gathering = this.#gathering;
    const bytes = encodeCommand(command, batch);
    const record = gathering.records.at(-1);
    if (record === undefined || gathering.lastRecordBytes + bytes.length > RECORD_BYTES_TARGET) {
      gathering.records.push([bytes]);
      gathering.lastRecordBytes = 0;
    } else record.push(bytes);
    gathering.lastRecordBytes += bytes.length;
    gathering.bytes += bytes.length;
    gathering.commands.push(command);
    for (const outcome of outcomes) gathering.outcomes.push(outcome);
    if (this.#underWay !== undefined || this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.#commit();
    });
  }

  /**
   * Takes what is to be said by somebody who may have seen what is not on disk yet: it is told when that is. False, and nothing is taken: it may be
   * said at once.
   */
  hold(outcomes: readonly Outcome[]): boolean {
    const batch = this.#gathering.commands.length > 0 ? this.#gathering : this.#underWay;
    if (batch === undefined) return false;
    for (const outcome of outcomes) batch.outcomes.push(outcome);
    return true;
  }

  /** Nothing is taken or told any more. */
  end(): void {
    this.#isOver = true;
    this.#makeRoom();
  }

  #commit(): void {
    const batch = this.#gathering;
    if (this.#underWay !== undefined || batch.commands.length === 0 || this.#isOver) return;
    const { journal, clock, commits, leaving } = this.#options;
    this.#underWay = batch;
    this.#gathering = emptyBatch();
    this.#makeRoom();
    const records = batch.records.map((pieces) => joined(pieces));
    const position = journal.position + records.length;
    leaving(position);
    const leftMs = clock.nowMs();
    journal.append(records).then(
      () => {
        commits.observe((clock.nowMs() - leftMs) / 1_000);
        this.#durable(batch, position);
      },
      (error: unknown) => this.#lost(batch, error),
    );
  }

  #durable(batch: Gathering, position: number): void {
    if (this.#isOver) return;
    this.#underWay = undefined;
    this.#commit(); // the disk works while replies are written
    this.#options.durable(batch, position);
  }

  #lost(batch: Gathering, error: unknown): void {
    if (this.#isOver) return;
    this.#underWay = undefined;
    if (!(error instanceof JournalFullError)) {
      this.end();
      this.#options.failed(error);
      return;
    }
    const gathered = this.#gathering;
    this.#gathering = emptyBatch();
    this.#makeRoom();
    this.#options.full([batch, gathered], error);
  }

  #makeRoom(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }
}

function emptyBatch(): Gathering {
  return { commands: [], outcomes: [], records: [], lastRecordBytes: 0, bytes: 0 };
}
