import { type Command, type Effect, isWrite, Objects, type Operation, type SessionNumber } from "@heddle/core-objects";
import { assert, type Environment, type Millis } from "@heddle/kernel";
import { type Journal, JournalFullError } from "@heddle/port-journal";
import { type Batch, GroupCommit, type Outcome } from "./group-commit.ts";
import { PROBE_BYTES, PROBE_PAUSE_MS } from "./limits.ts";
import type { Counts } from "./metrics.ts";
import { Moments } from "./moments.ts";
import { emptyRecord } from "./records.ts";
import { SnapshotKeeper } from "./snapshot-keeper.ts";
import { recoverState, values } from "./snapshots.ts";

/** What a replica needs of the shell around it. */
export interface ReplicaOptions {
  readonly env: Environment;
  readonly journal: Journal;
  /** For those who watch over the manager. */
  readonly counts: Counts;
  /** Says what may be said now, in order. */
  readonly say: (outcomes: readonly Outcome[]) => void;
  /** The disk is full (true), or has room again (false). */
  readonly full: (isFull: boolean) => void;
  /** The state is that of the journal again; what these batches did is gone, and nobody was told of it. */
  readonly undone: (batches: readonly Batch[], error: JournalFullError) => void;
  /** Nobody knows what the journal keeps: this process must end. Called once. */
  readonly failed: (error: unknown) => void;
}

/** Whether what the journal keeps is being read, can be used, is being read again because the disk was full, or is given up. */
export type ReplicaState = "starting" | "serving" | "rebuilding" | "over";

/** The state and the journal that it follows from: commands are done at once, what came of them is said when they are on disk. */
export class Replica {
  readonly #options: ReplicaOptions;
  readonly #commits: GroupCommit;
  /** When what was done was done. */
  readonly moments = new Moments();
  #core = new Objects({ values });
  #state: ReplicaState = "starting";
  #isFull = false;
  #probe: Disposable | undefined;
  #ready = Promise.withResolvers<void>();
  readonly #snapshots: SnapshotKeeper;

  constructor(options: ReplicaOptions) {
    this.#options = options;
    const { env, journal } = options;
    this.#snapshots = new SnapshotKeeper({ env, journal, failed: (error) => this.#fail(error) });
    this.#commits = new GroupCommit({
      journal,
      clock: env.clock,
      commits: options.counts.commits,
      leaving: (position) => this.#snapshots.take(this.#core, position),
      durable: (batch, position) => this.#durable(batch, position),
      full: (batches, error) => void this.#rebuild(batches, error),
      failed: (error) => this.#fail(error),
    });
  }

  get core(): Objects {
    return this.#core;
  }

  get state(): ReplicaState {
    return this.#state;
  }

  /** Records behind the newest snapshot, and how long ago that was saved. */
  get tail(): { readonly bytes: number; readonly snapshotAgeMs: Millis } {
    return { bytes: this.#options.journal.bytesSinceSnapshot, snapshotAgeMs: this.#snapshots.ageMs };
  }

  /** Whether commands and reads are taken now. */
  get isServing(): boolean {
    return this.#state === "serving";
  }

  /** Whether nothing can be written. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Resolves when commands and reads are taken. */
  ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** What to wait for before more commands are taken; undefined when there is room for some. */
  room(): Promise<void> | undefined {
    return this.#commits.room();
  }

  /** Makes the state that the journal keeps. */
  async start(): Promise<void> {
    await this.#recover();
    this.moments.note(0, this.#options.env.clock.nowMs());
    this.#serve();
  }

  /** Does a command. What came of it is said once it is on disk. */
  apply(command: Command, batch?: Uint8Array): readonly Effect[] {
    assert(this.isServing && !this.#isFull, "commands are done while the journal takes them");
    this.moments.note(this.#core.revision, this.#options.env.clock.nowMs());
    const effects = this.#core.step(command);
    this.#commits.add(command, effects, batch);
    return effects;
  }

  /** Reads. What was read is said once all of it is on disk; what waits is said later. */
  read(session: SessionNumber, owner: number, operation: Operation): void {
    assert(this.isServing && !isWrite(operation.verb), "only what does not write is read");
    const effects = this.#core.read(session, owner, operation);
    if (effects.length > 0) this.say(effects);
  }

  /** Says something once everything that was done before is on disk: now, when it is. */
  say(outcomes: readonly Outcome[]): void {
    if (this.#state !== "over" && !this.#commits.hold(outcomes)) this.#options.say(outcomes);
  }

  /** Resolves when everything that was done before is on disk. Rejects when there is no room for it. */
  settled(): Promise<void> {
    return new Promise((resolve, reject) => this.say([{ type: "tell", tell: resolve, lost: reject }]));
  }

  /** Takes nothing more, and lets what is under way get to the disk. */
  async stop(): Promise<void> {
    this.#probe?.[Symbol.dispose]();
    if (this.#state === "serving") await this.settled().catch(() => undefined);
    this.end();
  }

  /** Takes and says nothing more. */
  end(): void {
    this.#state = "over";
    this.#commits.end();
    this.#snapshots.drop();
    this.#probe?.[Symbol.dispose]();
  }

  #serve(): void {
    this.#state = "serving";
    this.#ready.resolve();
  }

  async #recover(): Promise<void> {
    const { env, journal } = this.#options;
    const startedMs = env.clock.nowMs();
    const { core, snapshotBytes, records } = await recoverState(journal);
    this.#core = core;
    this.#snapshots.began(snapshotBytes);
    const tookMs = Math.round(env.clock.nowMs() - startedMs);
    env.log.info("state recovered", { position: journal.position, snapshotBytes, records, tookMs });
  }

  #durable(batch: Batch, position: number): void {
    this.#snapshots.durable(position);
    this.#options.say(batch.outcomes);
  }

  #fail(error: unknown): void {
    if (this.#state === "over") return;
    this.end();
    this.#options.failed(error);
  }

  /** The disk is full: forgets what it could not keep, and goes on for those who only read. */
  async #rebuild(batches: readonly Batch[], error: JournalFullError): Promise<void> {
    const { env, full, undone } = this.#options;
    env.log.error("the disk is full: writes are refused until there is room", { message: error.message });
    this.#isFull = true;
    this.#state = "rebuilding";
    this.#ready = Promise.withResolvers();
    this.#snapshots.drop();
    full(true);
    try {
      await this.#recover();
    } catch (cause) {
      this.#fail(cause);
      return;
    }
    if (this.#state !== "rebuilding") return;
    this.#serve();
    undone(batches, error);
    this.#probeLater();
  }

  #probeLater(): void {
    const { clock } = this.#options.env;
    this.#probe = clock.setTimer(clock.nowMs() + PROBE_PAUSE_MS, () => void this.#tryRoom());
  }

  async #tryRoom(): Promise<void> {
    const { env, journal, full } = this.#options;
    try {
      await journal.append([emptyRecord(PROBE_BYTES)]);
    } catch (error) {
      if (this.#state === "over") return;
      if (error instanceof JournalFullError) this.#probeLater();
      else this.#fail(error);
      return;
    }
    if (this.#state === "over") return;
    env.log.info("there is room on the disk again: writes are taken", {});
    this.#isFull = false;
    full(false);
  }
}
