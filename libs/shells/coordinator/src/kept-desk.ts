import type { ErrorCode, JobId, Millis } from "@heddle/kernel";
import type { StoredJob } from "@heddle/port-job-store";
import { callerText } from "@heddle/port-rpc";
import {
  type AttachJob,
  type FabricError,
  JobOutcome,
  type JobStatus,
  type OfferChunk,
  type OpenJob,
  type PayloadFlow,
} from "@heddle/wire";
import { isEntitled } from "./checks.ts";
import type { ClientHost } from "./client-entries.ts";
import type { Office } from "./desk.ts";
import type { JobHistory } from "./history.ts";
import type { KeptCloser } from "./kept-closer.ts";
import { EndedKeptJobs } from "./kept-ended.ts";
import type { KeptHost } from "./kept-entries.ts";
import { KeptJob } from "./kept-job.ts";
import { KeptListener } from "./kept-listener.ts";
import { KeptPatience } from "./kept-patience.ts";
import { KeptPools } from "./kept-pools.ts";
import { type AnswerFacts, noteBytes } from "./kept-records.ts";
import { recoveredJob } from "./kept-recovery.ts";
import { callersJobsRefusal, foreign, openRefusal, roomRefusal, tooManyJobs } from "./kept-refusals.ts";
import { KeptRun, type KeptRunEnd, type KeptRunsOptions } from "./kept-run.ts";
import type { KeptSpace } from "./kept-space.ts";
import { keptStatus } from "./kept-status.ts";
import { KeptSubmission } from "./kept-submission.ts";
import { KeptWriter } from "./kept-writer.ts";
import type { ClientRecord, PoolRecord } from "./ledger.ts";
import { KEPT_JOBS_MAX, KEPT_RUNS_BYTES_MAX, REASON_LENGTH_MAX } from "./limits.ts";
import { plainLine } from "./plain.ts";
import { fabricError, sendJobEnded } from "./results.ts";

/** What the desk of kept jobs needs. */
export interface KeptDeskOptions {
  readonly office: Office;
  readonly space: KeptSpace;
  readonly history: JobHistory;
  /** Where clients are served: whoever runs a kept job is one. */
  readonly host: ClientHost;
  readonly leaseMs: Millis;
  /** The time of day; undefined when nobody knows. */
  readonly timeOfDayMs: (() => Millis) | undefined;
  /** Whether a job that is not kept has the id, and the client may not have it. */
  readonly isTaken: (client: ClientRecord, id: JobId) => boolean;
  /** Lines of what its tasks print, for a client. */
  readonly print: KeptRunsOptions["print"];
  /** Closes those at the manager whose items' writes count once; undefined without a manager. */
  readonly closer: KeptCloser | undefined;
}

/** Where jobs are kept: takes them to the disk, has them run once they are there, and tells their answers to whoever listens. */
export class KeptDesk implements KeptHost {
  readonly #options: KeptDeskOptions;
  readonly #runs: KeptRunsOptions;
  /** All that are kept, and not being dropped. */
  readonly #jobs = new Map<JobId, KeptJob>();
  readonly #running = new Set<KeptRun>();
  readonly #pools: KeptPools;
  /** Those that wait for others to let go of memory. */
  readonly #starved = new Set<KeptRun>();
  readonly #ended: EndedKeptJobs;
  readonly #patience: KeptPatience;
  #isFrozen = false;

  constructor(options: KeptDeskOptions) {
    const { office, space, host, leaseMs } = options;
    this.#options = options;
    const { env } = office;
    const isNeeded = ({ id }: KeptJob): boolean => this.#isClosing(id);
    this.#ended = new EndedKeptJobs({ env, space, isNeeded, dropped: (job) => this.#forget(job) });
    const { clock } = env;
    this.#patience = new KeptPatience({ clock, leaseMs, stop: (job, error) => this.stop(job, error) });
    this.#pools = new KeptPools({ office, host });
    this.#runs = {
      ...{ office, space, pools: this.#pools, closer: options.closer },
      mayHold: (run, bytes) => this.#mayHold(run, bytes),
      released: () => this.#wakeRuns(),
      answered: (job, answer, bytes) => this.#answered(job, answer, bytes),
      print: options.print,
      ended: (job, end, writer) => this.#runEnded(job, end, writer),
    };
  }

  /** Those that are kept, by what they do. */
  get counts(): { readonly submitting: number; readonly running: number; readonly ended: number } {
    const ended = this.#ended.size;
    const submitting = [...this.#jobs.values()].filter(({ submission }) => submission !== undefined).length;
    return { submitting, running: this.#jobs.size - ended - submitting, ended };
  }

  get(id: JobId): KeptJob | undefined {
    return this.#jobs.get(id);
  }

  /** Those that are not all on disk, newest first: nobody else knows of them. */
  submitting(nowMs: Millis): JobStatus[] {
    const jobs = [...this.#jobs.values()].filter(({ submission }) => submission !== undefined);
    return jobs.reverse().map((job) => keptStatus(job, "submitting", "", nowMs));
  }

  /** What was kept before this coordinator began: what has not ended goes on. Throws JobStoreDamagedError. */
  recover(stored: readonly StoredJob[]): void {
    const { office, timeOfDayMs } = this.#options;
    const now = { nowMs: office.env.clock.nowMs(), dayMs: timeOfDayMs?.() };
    for (const one of stored) this.#found(recoveredJob(one, now, this.#options.space.shares));
    this.#ended.look();
  }

  open(pool: PoolRecord, opened: OpenJob, id: JobId): void {
    const { client } = pool;
    const { job: number } = opened;
    const known = this.#standing(this.#jobs.get(id), client);
    const refusal = known === undefined ? this.#newRefusal(client, id) : openRefusal(known, client);
    if (refusal !== undefined) {
      if (known === undefined && refusal.code !== "conflict") this.#close(opened, id);
      return sendJobEnded(client, number, JobOutcome.FAILED, refusal);
    }
    if (known?.end !== undefined) this.#close(opened, id); // who submits it has opened it at the manager again
    if (known?.digest !== undefined) {
      const value = { job: number, chunks: known.chunkCount, digest: known.digest };
      client.session.send({ kind: { $case: "jobKept", value } }, 0);
      known.submitters.add(client);
      return this.#patience.look(known);
    }
    const job = known ?? this.#add(pool, opened, id);
    job.submission?.begin(client, number);
    this.#patience.look(job);
  }

  offer(submission: KeptSubmission, client: ClientRecord, offer: OfferChunk, input: PayloadFlow): void {
    submission.offer(client, offer, input);
  }

  attach(client: ClientRecord, { job: number, settled }: AttachJob, id: JobId): void {
    const job = this.#jobs.get(id);
    const refuse = (code: ErrorCode, message: string): void =>
      sendJobEnded(client, number, JobOutcome.FAILED, fabricError(code, message));
    if (job === undefined)
      return refuse(
        "not-found",
        `no job ${id} is kept: only calls of apply, map and starmap (and their Async forms) with detach or a jobId are, not those of tasks, for an hour after they end`,
      );
    if (!isEntitled(job.spec.caller, client.caller))
      return sendJobEnded(client, number, JobOutcome.FAILED, foreign(job, client.caller));
    const { office, space } = this.#options;
    const over = (gone: KeptListener): void => this.leave(gone);
    const nowMs = office.env.clock.nowMs;
    const listener = new KeptListener({ ...{ space, job, client, number, settled, nowMs }, over });
    client.kept.set(number, listener);
    job.submitters.delete(client);
    job.listeners.add(listener);
    this.#patience.look(job);
    listener.wake();
  }

  leave(listener: KeptListener): void {
    const { client, number, job } = listener;
    listener.stop();
    client.kept.delete(number);
    job.listeners.delete(listener);
    this.#patience.look(job);
    if (job.end !== undefined) this.#ended.look();
  }

  cancel({ job, client }: KeptSubmission | KeptListener, reason: string): void {
    const who = client === undefined ? "its client" : callerText(client.caller);
    const why = plainLine(reason, REASON_LENGTH_MAX);
    this.stop(job, fabricError("cancelled", `job ${job.id} was cancelled by ${who}${why === "" ? "" : `: ${why}`}`));
  }

  /** Ends it as cancelled, if it has not ended. False: it has. */
  stop(job: KeptJob, error: FabricError): boolean {
    if (job.submission === undefined) return job.run?.cancel(error) === true;
    job.submission.drop(JobOutcome.CANCELLED, error);
    return true;
  }

  /** A pool is closed that jobs may run in the name of. */
  poolClosed(pool: PoolRecord): void {
    this.#pools.closed(pool);
  }

  /** A client is gone. `isLeaving`: it said so, and does not come back. */
  clientLeft(client: ClientRecord, isLeaving: boolean): void {
    for (const tie of [...client.kept.values()]) {
      if (tie.type === "listener") this.leave(tie);
      else if (isLeaving)
        tie.drop(JobOutcome.CANCELLED, fabricError("cancelled", "its client left before it was kept"));
      else tie.pause();
    }
    for (const job of this.#jobs.values()) {
      job.submitters.delete(client);
      this.#patience.look(job);
    }
    for (const pool of client.pools.values()) this.#pools.closed(pool);
  }

  /** Some jobs were closed at the manager. */
  closed(): void {
    this.#ended.look();
  }

  /** Nothing is taken any more: the coordinator ends. What has not ended goes on with the next. */
  freeze(): void {
    this.#isFrozen = true;
    this.#ended.freeze();
    this.#patience.freeze();
    for (const job of this.#jobs.values()) {
      job.stopTimers();
      job.run?.freeze();
    }
    this.#pools.freeze();
  }

  /** What was taken is on disk. */
  async flushed(): Promise<void> {
    await Promise.all([this.#ended.flushed(), ...[...this.#running].map((run) => run.flushed())]);
  }

  #mayHold(run: KeptRun, bytes: number): boolean {
    if (this.#pools.heldBytes + bytes <= KEPT_RUNS_BYTES_MAX) return true;
    this.#starved.add(run);
    return false;
  }

  #wakeRuns(): void {
    const starved = [...this.#starved];
    this.#starved.clear();
    for (const run of starved) run.wake();
  }

  /** Why a new one cannot be kept. */
  #newRefusal(client: ClientRecord, id: JobId): FabricError | undefined {
    const { office, space, isTaken } = this.#options;
    if (!office.open()) return fabricError("unavailable", "the coordinator is stopping and takes no new jobs");
    if (isTaken(client, id)) return fabricError("conflict", `a job with the id ${id} is open or was before`);
    if (this.#isClosing(id))
      return fabricError("unavailable", `an earlier job with the id ${id} is being closed at the manager: try again`);
    const open = this.#jobs.size - this.#ended.size;
    if (open >= KEPT_JOBS_MAX) return tooManyJobs(open + 1);
    const share = space.shares.of(client.caller);
    const own = this.#jobs.values().reduce((sum, job) => sum + Number(job.share === share && job.end === undefined), 0);
    return callersJobsRefusal(share, own + 1) ?? roomRefusal(space, share, 1);
  }

  /**
   * The job of an id for who submits it; none, where that begins it anew: another client was submitting it which is away, or it was cancelled and nobody listens to that any more. Ended otherwise it stays what its id names.
   */
  #standing(job: KeptJob | undefined, client: ClientRecord): KeptJob | undefined {
    if (job === undefined || !isEntitled(job.spec.caller, client.caller)) return job;
    const { submission, end, listeners } = job;
    if (end?.error?.code === "cancelled" && listeners.size === 0 && !this.#isClosing(job.id)) {
      this.#ended.drop(job);
      return undefined;
    }
    if (submission === undefined || submission.client !== undefined || job.spec.clientId === client.id) return job;
    submission.drop(JobOutcome.CANCELLED, fabricError("cancelled", `another client submits job ${job.id} anew`));
    return undefined;
  }

  #add({ client, opened: pool }: PoolRecord, opened: OpenJob, id: JobId): KeptJob {
    const { office, space, timeOfDayMs } = this.#options;
    const { description, caller } = client;
    const openedAtMs = Math.round(timeOfDayMs?.() ?? 0);
    const spec = { id, opened, pool, clientId: client.id, description, caller, openedAtMs };
    const job = new KeptJob(spec, office.env.clock.nowMs(), space.shares.of(caller));
    this.#jobs.set(id, job);
    office.env.log.info("job is to be kept", { job: id, client: description, caller: callerText(caller) });
    this.#submit(job, false);
    this.#patience.begin(job);
    return job;
  }

  #submit(job: KeptJob, isStored: boolean): void {
    const { office, space } = this.#options;
    job.submission = new KeptSubmission({
      ...{ office, space, job, isStored, after: this.#ended.gone(job.id) },
      accepted: (whole, by) => this.#accepted(whole, by),
      dropped: (gone, outcome, error) => this.#refused(gone, outcome, error),
    });
  }

  #accepted(job: KeptJob, by: ClientRecord | undefined): void {
    job.submission = undefined;
    if (by !== undefined) job.submitters.add(by);
    this.#options.office.env.log.info("job is kept", { job: job.id, items: job.items, bytes: job.bytes });
    if (!this.#isFrozen) this.#start(job);
    for (const listener of [...job.listeners]) listener.wake();
    this.#patience.look(job);
  }

  /** A submission came to nothing. */
  #refused(job: KeptJob, outcome: JobOutcome, error: FabricError): void {
    job.submission = undefined;
    this.#ended.drop(job);
    queueMicrotask(() => {
      if (!this.#jobs.has(job.id)) this.#close(job.spec.opened, job.id); // else another client goes on with the id, which it has opened at the manager
    });
    for (const listener of [...job.listeners]) listener.refuse(outcome, error);
  }

  #start(job: KeptJob): void {
    const run = new KeptRun(this.#runs, job);
    job.run = run;
    this.#running.add(run);
    run.start();
  }

  #answered(job: KeptJob, answer: AnswerFacts, bytes: Uint8Array): void {
    this.#options.office.counts.keptAnswers++;
    for (const listener of [...job.listeners]) listener.answered(answer, bytes);
  }

  #runEnded(job: KeptJob, { outcome, error, status }: KeptRunEnd, writer: KeptWriter): void {
    const { office, history, timeOfDayMs } = this.#options;
    job.stopTimers();
    const { digest = "", id } = job;
    const endedAtMs = Math.round(timeOfDayMs?.() ?? 0);
    const { chunkCount: chunks, items } = job;
    const note = noteBytes({ digest, chunks, items, end: { outcome, error, endedAtMs } });
    const failed =
      outcome === JobOutcome.FAILED ? job.answers.find((answer) => answer.failure !== undefined) : undefined;
    const failure = plainLine(error?.message ?? failed?.failure?.summary ?? "", REASON_LENGTH_MAX);
    const last =
      status ?? keptStatus(job, outcome === JobOutcome.DONE ? "done" : "failed", failure, office.env.clock.nowMs());
    if (status === undefined) history.add(last);
    const changes = [
      { type: "job-noted", job: id, note },
      { type: "inputs-dropped", job: id },
      { type: "history-added", entry: history.entryOf(last) },
    ] as const;
    const freed = job.inputBytes;
    job.inputBytes = 0;
    writer.push(changes, -freed, () => {
      if (job.run !== undefined) this.#running.delete(job.run);
      job.run = undefined;
      job.forgetChunks(chunks, items);
      job.end = { outcome, error, endedMs: office.env.clock.nowMs() };
      office.env.log.info("kept job has ended", { job: id, state: last.state, failure: last.failure });
      this.#close(job.spec.opened, id);
      this.#ended.add(job);
      for (const listener of [...job.listeners]) listener.wake();
    });
  }

  /** It is over, or never was: where its items' writes were to count once, the manager need not know it any more. */
  #close({ effectsOnce }: OpenJob, id: JobId): void {
    if (effectsOnce) this.#options.closer?.close(id);
  }

  #isClosing(id: JobId): boolean {
    return this.#options.closer?.isClosing(id) === true;
  }

  #forget(job: KeptJob): void {
    job.stopTimers();
    this.#jobs.delete(job.id);
  }

  /** What was left on disk goes on. */
  #found(job: KeptJob): void {
    this.#jobs.set(job.id, job);
    if (job.end !== undefined) {
      this.#close(job.spec.opened, job.id);
      return this.#ended.add(job);
    }
    if (job.digest === undefined) this.#submit(job, true);
    else this.#goOn(job);
    this.#patience.begin(job);
    this.#patience.look(job, true);
  }

  /** It was running. One that an item has failed ends as it would have. */
  #goOn(job: KeptJob): void {
    const isLost = !job.spec.opened.collect && job.answers.some(({ failure }) => failure !== undefined);
    if (!isLost) return this.#start(job);
    const { office, space } = this.#options;
    const writer = new KeptWriter({ env: office.env, space, job: job.id, waits: true, refused: () => undefined });
    this.#runEnded(job, { outcome: JobOutcome.FAILED, error: undefined, status: undefined }, writer);
  }
}
