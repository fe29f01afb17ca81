import { type JobId, PoolTerminatedError, unreachable } from "@heddle/kernel";
import type { ItemCounts } from "./async-result.ts";
import type { Connection } from "./connection.ts";
import { KeptListener, type KeptListenerParts } from "./kept-listener.ts";
import type { KeptSubmission } from "./kept-submission.ts";
import type { PoolHost } from "./pool-calls.ts";

/** How a fabric is asked about kept jobs that are not open in this client's session. */
export interface JobKeeper {
  /** Cancels a job, for all who listen. Nothing for one that is over or unknown. Rejects with UnavailableError when no coordinator answers for `unavailableTimeoutMs`. */
  cancel(job: JobId, reason: string): Promise<void>;
}

/** What a KeptCall is made of. */
export interface KeptCallParts {
  readonly id: JobId;
  readonly host: PoolHost;
  readonly keeper: JobKeeper;
  readonly connection: Connection;
  /** Undefined: the job is there, and only listened to. */
  readonly submission: KeptSubmission | undefined;
  /** It goes on whoever listens: results are asked for when somebody wants them. Else they are as soon as it is kept. */
  readonly isDetached: boolean;
  readonly results: KeptListenerParts["results"];
  /** Something of the counts changed. */
  readonly changed?: () => void;
  /** Its result is wanted. Throws why it cannot be had any more. */
  readonly wanted: () => void;
}

/**
 * A call whose job the fabric keeps. It is submitted once, and is then the fabric's: its results are listened to when somebody wants them. A fabric that has it asks nothing of this
 * process any more.
 */
export class KeptCall {
  readonly id: JobId;
  /** Resolves when the job is on the coordinator's disk. */
  readonly accepted: Promise<void>;
  /** Resolves when every item has its result; not before somebody wants them. */
  readonly outcome: Promise<void>;
  readonly #parts: KeptCallParts;
  readonly #accepted = Promise.withResolvers<void>();
  readonly #outcome = Promise.withResolvers<void>();
  #state: "submitting" | "accepted" | "listening" | "over";
  #isWanted = false;
  #listener: KeptListener | undefined;

  constructor(parts: KeptCallParts) {
    this.#parts = parts;
    this.id = parts.id;
    this.accepted = this.#accepted.promise;
    this.outcome = this.#outcome.promise;
    this.accepted.catch(() => undefined); // whoever wants them asks for them
    this.outcome.catch(() => undefined);
    this.#state = parts.submission === undefined ? "accepted" : "submitting";
    parts.submission?.outcome.then(
      () => this.#keptNow(),
      (error: unknown) => this.#end(error),
    );
  }

  /** The fabric has it, and nobody here waits for its results. */
  get isLeft(): boolean {
    return this.#state === "accepted" && !this.#isWanted;
  }

  /** The coordinator has said how the job ended. */
  get hasEnded(): boolean {
    return this.#listener?.hasEnded ?? false;
  }

  get counts(): ItemCounts {
    const total = this.#parts.submission?.total;
    return this.#listener?.counts ?? { done: 0, failed: 0, ...(total === undefined ? {} : { total }) };
  }

  /** Somebody waits for the result, and keeps this process alive until he does no more. */
  want(): Disposable {
    this.#want();
    return this.#state === "over" ? NOTHING : this.#parts.host.hold();
  }

  /** Resolves when the fabric is known to have the job: it need not be submitted here. Rejects as the call does. */
  async whenAccepted(): Promise<void> {
    using _hold = this.#parts.host.hold();
    if (this.#parts.submission === undefined) this.#want();
    await (this.#listener !== undefined && this.#parts.submission === undefined
      ? this.#listener.attached
      : this.accepted);
  }

  /** Cancels the job for all, and rejects with `reason` at once. Resolves when the coordinator has been told; rejects when it cannot be. */
  async cancel(reason: unknown): Promise<void> {
    const { connection, submission, keeper, host } = this.#parts;
    const state = this.#state;
    if (state === "over") return;
    using _hold = host.hold();
    this.#end(reason);
    switch (state) {
      case "submitting": {
        const isTold = submission !== undefined && connection.cancel(submission, CANCELLED);
        submission?.fail(reason);
        if (isTold || submission?.number === 0) return;
        return await keeper.cancel(this.id, CANCELLED); // its last acknowledgement may be on its way
      }
      case "accepted":
      case "listening":
        return await keeper.cancel(this.id, CANCELLED);
      default:
        return unreachable(state);
    }
  }

  /** As `cancel`, when nobody waits for the coordinator to be told. */
  cancelSoon(reason: unknown): void {
    const { connection, host } = this.#parts;
    const { log } = host.env;
    const listener = this.#listener;
    const isTold = this.#state === "listening" && listener !== undefined && connection.cancelKept(listener, CANCELLED);
    if (isTold) return this.#end(reason);
    this.cancel(reason).catch((cause: unknown) =>
      log.error("a job could not be cancelled", { job: this.id, cause: String(cause) }),
    );
  }

  /** Its pool is terminated: what the fabric has and is detached goes on. */
  terminate(): void {
    const error = new PoolTerminatedError("the pool was terminated");
    const isSafe = this.#state === "accepted" || this.#state === "listening";
    if (isSafe && this.#parts.isDetached) this.#end(error);
    else this.cancelSoon(error);
  }

  #want(): void {
    if (this.#isWanted || this.#state === "over") return;
    try {
      this.#parts.wanted();
      this.#isWanted = true;
      if (this.#state === "accepted") this.#listen();
    } catch (error) {
      this.#end(error);
    }
  }

  #keptNow(): void {
    if (this.#state !== "submitting") return;
    this.#state = "accepted";
    if (this.#isWanted || !this.#parts.isDetached) this.#listen();
    this.#accepted.resolve();
  }

  #listen(): void {
    const { id, connection, results, changed = nothing, host, submission } = this.#parts;
    this.#isWanted = true;
    const localStack = (text: string): string => host.shipper.localStack(text);
    const wasAccepted = submission !== undefined;
    const digest = submission?.digest;
    const listener = new KeptListener(id, { results, wasAccepted, digest, changed, localStack });
    try {
      connection.listen(listener);
    } catch (error) {
      return this.#end(error);
    }
    this.#state = "listening";
    this.#listener = listener;
    listener.outcome.then(
      () => this.#over(() => this.#outcome.resolve()),
      (error: unknown) => this.#end(error),
    );
  }

  #end(error: unknown): void {
    this.#over(() => {
      const listener = this.#listener;
      if (listener !== undefined && !listener.settled) {
        listener.fail(error);
        this.#parts.connection.leaveJob(listener);
      }
      this.#accepted.reject(error);
      this.#outcome.reject(error);
    });
  }

  #over(settle: () => void): void {
    if (this.#state === "over") return;
    this.#state = "over";
    settle();
  }
}

const CANCELLED = "its caller cancelled it";
const NOTHING: Disposable = { [Symbol.dispose]: () => undefined };
const nothing = (): void => undefined;
