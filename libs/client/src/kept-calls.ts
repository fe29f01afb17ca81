import { JobId, mintId } from "@heddle/kernel";
import type { ShippedFunction } from "@heddle/port-shipper";
import { ArgumentFunctions, artifactsOf, checkLasting } from "./argument-functions.ts";
import type { Connection } from "./connection.ts";
import { openInputs } from "./inputs.ts";
import { type JobKeeper, KeptCall } from "./kept-call.ts";
import { KeptSubmission } from "./kept-submission.ts";
import type { JobRequest } from "./line.ts";
import type { CallPlan, PoolHost, StartedCall } from "./pool-calls.ts";
import type { PoolSettings, PoolSetup } from "./pool-setup.ts";
import { keptChunkPlan } from "./sizing.ts";

/** What the kept calls of a pool need of it. */
export interface KeptCallsHost {
  readonly host: PoolHost;
  readonly keeper: JobKeeper;
  readonly settings: PoolSettings;
  /** Ships what a call needs. What is captured is read before the first wait. */
  readonly prepare: (plan: CallPlan, id: JobId) => Promise<readonly [PoolSetup, ShippedFunction | undefined]>;
  /** Gives the call its number, and describes its job. */
  readonly numbered: (plan: CallPlan) => (id: JobId, shipped: ShippedFunction | undefined) => JobRequest["job"];
  /** Cancels a call after its timeout, or with its signal. */
  readonly watch: (plan: Pick<CallPlan, "fn" | "options">, cancel: (reason: unknown) => void) => Disposable;
  /** Throws why no result can be had any more. */
  readonly check: () => void;
  /** The last of them is over, or is the fabric's alone. */
  readonly emptied: () => void;
}

/** A call on its way to the coordinator. */
interface Submitting {
  readonly plan: CallPlan;
  readonly call: KeptCall;
  readonly submission: KeptSubmission;
  readonly connection: Connection;
  readonly functions: ArgumentFunctions;
  readonly ready: ReturnType<KeptCallsHost["prepare"]>;
  readonly describe: ReturnType<KeptCallsHost["numbered"]>;
}

/** The calls of one pool that the fabric keeps, as long as they are this program's: while they are submitted, and while somebody waits for them. */
export class KeptCalls {
  readonly #host: KeptCallsHost;
  readonly #live = new Set<KeptCall>();

  constructor(host: KeptCallsHost) {
    this.#host = host;
  }

  get size(): number {
    return this.#live.size;
  }

  /** Starts a call: its function is read now. Of an id that is there with another content its outcome is a ConflictError. */
  start(plan: CallPlan, connection: Connection): StartedCall {
    const { host, keeper } = this.#host;
    const { options, total, sink, onItemError, inputs, changed } = plan;
    const { chunkSize, concurrency = 1, detach: isDetached = false } = options;
    host.effects?.checkCall();
    const id = JobId(options.jobId ?? mintId(host.env.random));
    const functions = new ArgumentFunctions(host.shipper, { isLasting: isDetached });
    const reader = openInputs(inputs, { chunkSize: 1, functions, wake: () => submission.onWake() });
    const chunks = keptChunkPlan({ chunkSize, total, concurrency });
    const sha256Hex = (bytes: Uint8Array): string => host.shipper.sha256Hex(bytes);
    const submission: KeptSubmission = new KeptSubmission(id, { reader, plan: chunks, sha256Hex });
    const call: KeptCall = new KeptCall({
      ...{ id, host, keeper, connection, submission, isDetached },
      results: () => ({ sink, onItemError }),
      ...(changed === undefined ? {} : { changed }),
      wanted: () => this.#wanted(call),
    });
    this.#live.add(call);
    const describe = this.#host.numbered(plan);
    void this.#run({ plan, call, submission, connection, functions, describe, ready: this.#host.prepare(plan, id) });
    return {
      ...{ jobId: id, outcome: call.outcome, counts: () => call.counts, release: () => this.#over(call) },
      cancel: (reason) => call.cancel(reason),
      accepted: () => call.whenAccepted(),
      want: () => call.want(),
    };
  }

  /** The pool is terminated: calls reject, and what is detached and on disk goes on. */
  terminate(): void {
    for (const call of [...this.#live]) call.terminate();
  }

  /** This process lives on until the fabric has the job; and, unless it is detached, until it is over. */
  async #run(at: Submitting): Promise<void> {
    const { plan, call } = at;
    const { host } = this.#host;
    const { timeoutMs: _, ...unbound } = plan.options;
    using hold = new DisposableStack();
    hold.use(host.hold());
    using scope = new DisposableStack();
    scope.use(this.#host.watch({ ...plan, options: unbound }, (reason) => call.cancelSoon(reason)));
    await this.#submit(at);
    if (plan.options.detach === true) hold.dispose();
    if (call.isLeft) this.#over(call);
    await call.outcome.catch(() => undefined);
    if (plan.options.effects === "once" && call.hasEnded) await host.effects?.close(call.id).catch(() => undefined); // else it is for whoever hears of its end
  }

  /** Settles with the submission; never rejects. */
  async #submit({ plan, call, submission, connection, functions, ready, describe }: Submitting): Promise<void> {
    // once it is accepted the coordinator counts the time
    using _timer = this.#host.watch({ ...plan, options: withoutSignal(plan.options) }, (reason) =>
      call.cancelSoon(reason),
    );
    try {
      await Promise.race([ready, submission.outcome]); // one that is stopped before it has begun need not wait for its code
      if (submission.settled) return;
      const [setup, shipped] = await ready;
      if (plan.options.detach === true)
        for (const one of [shipped, setup.shipped]) if (one !== undefined) checkLasting(one);
      const job = describe(call.id, shipped);
      submission.about = this.#content(plan, job, setup, shipped);
      await connection.turn(submission);
      if (submission.settled) return;
      const artifacts = [...setup.artifacts, ...(shipped === undefined ? [] : artifactsOf(shipped))];
      connection.submit({ run: submission, pool: setup.open, artifacts, functions, job });
      await call.accepted;
    } catch (error) {
      submission.fail(error);
    }
  }

  /** What the job is beside its inputs, as far as it decides about results and about how it is kept. */
  #content(
    { options, shape }: CallPlan,
    job: JobRequest["job"],
    { open, shipped: initial }: PoolSetup,
    shipped: ShippedFunction | undefined,
  ): unknown {
    const { shipper } = this.#host.host;
    const sha256Hex = (bytes: Uint8Array): string => shipper.sha256Hex(bytes);
    const { function: fn, spread, retries, collect, itemTimeoutMs, effectsOnce, seedLow, seedHigh } = job;
    const isSeeded = (options.seed ?? this.#host.settings.seed) !== undefined;
    const { initializer } = open;
    const codeOf = (ref: typeof fn, of: ShippedFunction | undefined): unknown =>
      ref && [of && shipper.codeHash(of.artifact), ref.exportName, ref.capturedArtifact || sha256Hex(ref.captured)];
    return {
      function: codeOf(fn, shipped),
      ...{ shape, spread, retries, collect, itemTimeoutMs, effectsOnce, detached: options.detach === true },
      seed: isSeeded ? [seedLow, seedHigh] : undefined,
      initializer: initializer && [
        codeOf(initializer.function, initial),
        initializer.argsArtifact || sha256Hex(initializer.args),
      ],
    };
  }

  #wanted(call: KeptCall): void {
    this.#host.check();
    this.#live.add(call);
  }

  /** Whoever waits for the pool's end is told of it once the last call is over. */
  #over(call: KeptCall): void {
    if (this.#live.delete(call) && this.#live.size === 0) this.#host.emptied();
  }
}

function withoutSignal({ signal: _, ...options }: CallPlan["options"]): CallPlan["options"] {
  return options;
}
