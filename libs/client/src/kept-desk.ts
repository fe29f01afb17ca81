import {
  CLIENT_JOBS_MAX,
  type Environment,
  Fifo,
  type JobId,
  NotFoundError,
  ProtocolError,
  StateError,
  UnavailableError,
  unreachable,
} from "@heddle/kernel";
import { type JobEnded, KEPT_JOBS_MINOR, type KeptItemFailed, type RunResponseEntry } from "@heddle/wire";
import { made, UnshippedFunctions } from "./argument-functions.ts";
import { fabricErrorOf } from "./failure.ts";
import { KeptListener } from "./kept-listener.ts";
import type { KeptSubmission } from "./kept-submission.ts";
import { CONTEND_PAUSE_MS, VERIFIED_CHUNKS_PER_TURN } from "./limits.ts";
import { type JobRequest, jobsOf, type Line, receive } from "./line.ts";
import { keepsNoJobs } from "./offering.ts";

/** What kept jobs need of their connection. */
export interface KeptDeskHost {
  readonly env: Environment;
  readonly unavailableTimeoutMs: number;
  /** The session, if there is one. */
  readonly line: () => Line | undefined;
  /** Submits a job once more. Throws ClosedError. */
  readonly submit: (request: JobRequest) => void;
}

/** The kept jobs of a connection beside their submission: who listens to them, in whichever session there is, and who is compared with one that is there. */
export class KeptDesk {
  readonly #host: KeptDeskHost;
  /** Not attached in this session, the oldest first. */
  readonly #waiting = new Fifo<KeptListener>();
  /** Those that a coordinator refused because it stops: for the one after it, unless that takes too long. */
  readonly #refused = new Map<KeptListener, Disposable>();
  /** Submissions that read their inputs on. */
  readonly #verified = new Set<KeptSubmission>();
  /** Until the last submission of an id is settled. */
  readonly #turns = new Map<JobId, Promise<void>>();
  #pumping = false;

  constructor(host: KeptDeskHost) {
    this.#host = host;
  }

  /** Listeners that wait for a session. */
  get size(): number {
    return [...this.#waiting].filter(({ settled }) => !settled).length;
  }

  /** Submissions of one id follow each other. Resolves when those before this one are settled. */
  async turn({ id, outcome }: KeptSubmission): Promise<void> {
    const before = this.#turns.get(id);
    const settled = outcome.catch(() => undefined);
    const turn = before === undefined ? settled : before.then(() => settled);
    this.#turns.set(id, turn);
    void turn.then(() => this.#turns.get(id) === turn && this.#turns.delete(id));
    await before;
  }

  /** It attaches when it is its turn. */
  listen(listener: KeptListener): void {
    this.#waiting.push(listener);
    this.schedule();
  }

  /** Nobody wants its results any more, and it is settled. */
  leave(listener: KeptListener): void {
    this.#forgetRefused(listener);
    const line = this.#host.line();
    if (line?.listeners.get(listener.number) !== listener) return; // one that waits is passed over
    line.listeners.delete(listener.number);
    line.session.send({ kind: { $case: "leaveJob", value: { job: listener.number } } }, 0);
  }

  /** Cancels the job for all who listen: it must be settled by the caller. False: it is listened to in no session. */
  cancel(listener: KeptListener, reason: string): boolean {
    const line = this.#host.line();
    if (line?.listeners.get(listener.number) !== listener) return false;
    line.listeners.delete(listener.number);
    // in the bulk lane, as what attaches it
    line.session.send({ kind: { $case: "cancelJob", value: { job: listener.number, reason } } }, 0);
    return true;
  }

  /** There may be room, or a session: looks soon, once. */
  schedule(): void {
    if (this.#pumping || this.#waiting.size === 0) return;
    this.#pumping = true;
    queueMicrotask(() => {
      this.#pumping = false;
      const line = this.#host.line();
      if (line !== undefined && line.firstAnswer === undefined) this.#pump(line);
    });
  }

  /** What the coordinator says to whoever listens. Throws ProtocolError for what it cannot say. */
  answer(
    line: Line,
    kind: Extract<RunResponseEntry["kind"], { $case: "jobAttached" | "keptSpanDone" | "keptItemFailed" }>,
  ): void {
    switch (kind.$case) {
      case "jobAttached":
        return this.#take(line, kind.value.job, (listener) => listener.attach(kind.value));
      case "keptSpanDone": {
        const { job, span, values } = kind.value;
        if (span === undefined) throw new ProtocolError("an answer of a kept job does not say which items it is of");
        return receive(line, values, (payload) =>
          this.#take(line, job, (listener) => listener.spanDone(span, payload)),
        );
      }
      case "keptItemFailed":
        return this.#itemFailed(line, kind.value);
      default:
        return unreachable(kind);
    }
  }

  #itemFailed(line: Line, failed: KeptItemFailed): void {
    const { job, failure } = failed;
    if (failure === undefined) throw new ProtocolError("a failed item came without its failure");
    const take = (userError: Uint8Array | undefined): void =>
      this.#take(line, job, (listener) => listener.itemFailed(failed, failure, userError));
    if (failure.kind?.$case === "userError") receive(line, failure.kind.value, ({ bytes }) => take(bytes));
    else take(undefined);
  }

  /** An answer for a listener. What cannot be taken fails that alone; what breaks the protocol ends the session, by being thrown on. */
  #take(line: Line, job: number, answer: (listener: KeptListener) => void): void {
    const listener = line.listeners.get(job);
    if (listener === undefined) return; // it has left
    try {
      answer(listener);
    } catch (error) {
      if (error instanceof ProtocolError) throw error;
      listener.fail(error);
      this.leave(listener);
    }
  }

  /** The last word about a job. False: nobody listens under this number. */
  ended(line: Line, end: JobEnded): boolean {
    const listener = line.listeners.get(end.job);
    if (listener === undefined) return false;
    line.listeners.delete(end.job);
    this.schedule();
    if (end.error?.code !== "unavailable") {
      listener.ended(end);
      return true;
    }
    const { env, unavailableTimeoutMs } = this.#host;
    const why = fabricErrorOf(end.error);
    const timer = env.clock.setTimer(env.clock.nowMs() + unavailableTimeoutMs, () => {
      if (this.#refused.delete(listener)) listener.fail(why);
    });
    this.#refused.set(listener, timer);
    return true;
  }

  /** The session is over: whoever listened in it does so in the next, ahead of those that wait. */
  restart(line: Line): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const listener of [...line.listeners.values(), ...this.#refused.keys(), ...waiting])
      if (!listener.settled) this.#waiting.push(listener);
    this.#forgetRefused();
  }

  /** There is no coordinator any more: whoever listens, or waits to, fails. */
  fail(line: Line | undefined, error: Error): void {
    const all = [...(line?.listeners.values() ?? []), ...this.#refused.keys(), ...this.#waiting];
    this.#waiting.clear();
    this.#forgetRefused();
    for (const listener of all) listener.fail(error);
  }

  /** Nobody waits for anything any more. */
  close(error: Error): void {
    for (const run of this.#verified) run.fail(error);
  }

  /**
   * All of a job is kept under this id, by this submission or another: the run settles by whether its content is the same. What of its inputs was not read is read for that,
   * a few chunks in a turn.
   */
  async verify(request: JobRequest, run: KeptSubmission): Promise<void> {
    this.#verified.add(run);
    const { clock } = this.#host.env;
    for (let chunks = 1; !run.settled; chunks++) {
      const woken = Promise.withResolvers<void>();
      run.onWake = woken.resolve;
      try {
        if (run.verify() === "wait") await woken.promise;
      } catch (error) {
        if (error instanceof UnshippedFunctions) await ship(request, error);
        else run.fail(error);
      }
      if (chunks % VERIFIED_CHUNKS_PER_TURN === 0)
        await new Promise<void>((resolve) => clock.setTimer(clock.nowMs(), resolve));
    }
    this.#verified.delete(run);
  }

  /**
   * The id is in use. Another client may be submitting it: then this submission follows when that is settled, for it may be the same job, or when that client is away. Else the id is that of a job which is not
   * kept, and `end` is the last word.
   */
  async contend(request: JobRequest, run: KeptSubmission, end: JobEnded): Promise<void> {
    const listener = new KeptListener(run.id, {
      results: () => ({ sink: { values: nothing, failed: nothing }, onItemError: "keep" }),
      ...{ wasAccepted: false, digest: undefined, changed: nothing, localStack: (text) => text },
    });
    this.listen(listener);
    const { clock } = this.#host.env;
    const later = Promise.withResolvers<void>();
    using _timer = clock.setTimer(clock.nowMs() + CONTEND_PAUSE_MS, later.resolve); // it may be away by then
    const settled = Promise.race([listener.attached, run.outcome, later.promise]);
    const rival = await settled.catch((error: unknown) => error);
    listener.fail(new StateError("nobody listens"));
    this.leave(listener);
    try {
      if (run.settled) return;
      if (rival instanceof NotFoundError) run.ended(end);
      else if (rival instanceof UnavailableError || rival instanceof ProtocolError) run.fail(rival);
      else this.#host.submit(request);
    } catch (error) {
      run.fail(error);
    }
  }

  #pump(line: Line): void {
    while (jobsOf(line) < CLIENT_JOBS_MAX) {
      const listener = this.#waiting.shift();
      if (listener === undefined) return;
      if (listener.settled) continue;
      if (line.minor < KEPT_JOBS_MINOR) listener.fail(keepsNoJobs(line.minor));
      else this.#attach(line, listener);
    }
  }

  /** In the bulk lane, as what leaves it: what is settled may be long, and neither may overtake the other. */
  #attach(line: Line, listener: KeptListener): void {
    listener.number = ++line.lastJob;
    line.listeners.set(listener.number, listener);
    const settled = [...listener.answered];
    const value = { job: listener.number, jobId: listener.id, settled };
    line.session.send({ kind: { $case: "attachJob", value } }, settled.length * INDEX_SPAN_BYTES);
  }

  /** All of them unless given. */
  #forgetRefused(only?: KeptListener): void {
    for (const [listener, timer] of this.#refused) {
      if (only !== undefined && listener !== only) continue;
      this.#refused.delete(listener);
      timer[Symbol.dispose]();
    }
  }
}

const nothing = (): void => undefined;

/** A span of indices on the wire, at most. */
const INDEX_SPAN_BYTES = 24;

/** Functions among the inputs are shipped to be compared: a refusal is thrown by the input that has them. */
async function ship({ functions }: JobRequest, { fns, handles }: UnshippedFunctions): Promise<void> {
  for (const met of [...handles, ...fns])
    try {
      await (typeof met === "function" ? functions.ship(met) : made(met));
    } catch (error) {
      functions.refuse(met, error);
    }
}
