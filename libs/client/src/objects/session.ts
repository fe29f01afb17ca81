import type { AsyncScope, Environment, HeddleError, Millis } from "@heddle/kernel";
import type { LeaseKeeper, LeaseTerms } from "@heddle/port-rpc";
import { decodeReplies, encodeOperations, type Guard, type Reply } from "@heddle/wire";
import { FIRST_CONNECT_TIMEOUT_MS, OBJECTS_CLOSE_MS } from "../limits.ts";
import type { HeldLock, LeaseLoss, ObjectsChannel, OperationReply, OperationRequest, WaitOptions } from "./channel.ts";
import { insist, isDiskFull } from "./insist.ts";
import { LeaseWatch } from "./lease-watch.ts";
import { Lending } from "./lending.ts";
import { NO_GUARDS, PendingOperation } from "./operation.ts";
import { OperationLine } from "./operation-line.ts";
import type { Failure } from "./operation-promise.ts";
import { limitPatience } from "./patience.ts";
import { closedError, cutOffError, endError, lossUnder, refusalOf, timedOut, unreachedError } from "./reply-errors.ts";
import type { ObjectsEnd, ObjectsTransport, TransportListener } from "./transport.ts";
import { Unheard } from "./unheard.ts";
import { traitsOf } from "./verb-traits.ts";

/** What a session with the manager is made of. */
export interface ObjectsSessionOptions {
  readonly env: Environment;
  readonly transport: ObjectsTransport;
  readonly leases: LeaseKeeper;
  /** A place for the guards of what runs now. */
  readonly openScope: <T>() => AsyncScope<T>;
  /** That place, when several sessions with one manager have it in common: a lock of one guards what is written in another. */
  readonly guards?: AsyncScope<readonly HeldLock[]> | undefined;
  /** Keeps the caller's process alive until disposed. */
  readonly hold: () => Disposable;
  /** Of tasks: lends the slot until disposed, while operations wait for others. */
  readonly lend?: (() => Disposable) | undefined;
  /** Longest wait for a manager that vanished, or that lets this side in no more. Then what is pending rejects with UnavailableError, or its refusal, and the session is given up. */
  readonly unavailableTimeoutMs: number;
  /** What sessions of one program have in common of the manager; nothing unless given. */
  readonly seen?: ManagerSeen;
  /** Time that goes on while the machine is suspended. */
  readonly bootClock?: (() => Millis) | undefined;
  /** Called once, when it was closed. */
  readonly closed?: () => void;
}

/** What a program knows of the manager. */
export interface ManagerSeen {
  /** It has answered before, in whatever session: it is there, though it may be away. */
  hasAnswered: boolean;
}

/** Where the session stands. "idle": there is none, the next operation opens it. "opening", "down": there is no stream to send on. */
type State = "idle" | "opening" | "open" | "down" | "closed";

/** Waits for replies to what was asked before it. */
interface Flush {
  /** Number of the last operation it waits for. */
  readonly seq: number;
  /** How many of them have no reply. */
  left: number;
  readonly done: () => void;
}

/** Gives what waits the promise that was asked for, and takes what it is for. */
const asIs = (reply: OperationReply): OperationReply => reply;
/** The session asked that by itself: no caller is to hear of its failure, at a flush or close either. */
const ours = (): void => undefined;

/** The channel of a program, or of an agent's worker: which of the two is the transport's matter. */
export class ObjectsSession implements ObjectsChannel {
  readonly #options: ObjectsSessionOptions;
  readonly #line = new OperationLine();
  readonly #leases: LeaseWatch;
  readonly #lossListeners = new Set<(loss: LeaseLoss | undefined) => void>();
  readonly #revokeListeners = new Set<(object: string, token: number, reason: string) => void>();
  readonly #flushes = new Set<Flush>();
  /** Writes that failed and that nobody has looked at. */
  readonly #unheard = new Unheard();
  #scope: AsyncScope<readonly HeldLock[]> | undefined;
  #state: State = "idle";
  #session: number | undefined;
  readonly #seen: ManagerSeen;
  #lastSeq = 0;
  #isFlushing = false;
  /** Alive while operations have no reply. */
  #hold: Disposable | undefined;
  readonly #lending: Lending | undefined;
  /** The manager cannot be reached now. */
  #isAway = true;
  /** Why, as far as it was told. */
  #awayWhy = "nobody answers";
  /** Set when it is there and does not let this side in. */
  #refusal: HeddleError | undefined;
  /** Set while operations wait for a manager that is away. */
  #patience: Disposable | undefined;
  #closing: Promise<void> | undefined;
  /** Nothing more is asked. */
  #isClosing = false;

  constructor(options: ObjectsSessionOptions) {
    this.#options = options;
    this.#seen = options.seen ?? { hasAnswered: false };
    this.#lending = options.lend === undefined ? undefined : new Lending(options.env.clock, options.lend);
    this.#scope = options.guards;
    this.#leases = new LeaseWatch({
      clock: options.env.clock,
      bootClock: options.bootClock,
      keeper: options.leases,
      changed: (loss) => this.#lossChanged(loss),
      over: () => this.#ended({ code: "expired", message: "the manager does not know the session any more" }),
    });
  }

  get session(): number | undefined {
    return this.#session;
  }

  get loss(): LeaseLoss | undefined {
    return this.#leases.loss;
  }

  onLoss(listen: (loss: LeaseLoss | undefined) => void): Disposable {
    const own = (loss: LeaseLoss | undefined): void => listen(loss);
    this.#lossListeners.add(own);
    return { [Symbol.dispose]: () => void this.#lossListeners.delete(own) };
  }

  onRevoked(listen: (object: string, token: number, reason: string) => void): Disposable {
    this.#revokeListeners.add(listen);
    return { [Symbol.dispose]: () => void this.#revokeListeners.delete(listen) };
  }

  call(request: OperationRequest): Promise<OperationReply>;
  call<T>(request: OperationRequest, read: (reply: OperationReply) => T): Promise<T>;
  call(request: OperationRequest, read: (reply: OperationReply) => unknown = asIs): Promise<unknown> {
    const traits = traitsOf(request.verb);
    const guards = traits.isGuarded ? this.#guards() : NO_GUARDS;
    const operation = new PendingOperation(++this.#lastSeq, request, { traits, isWaiting: false, guards, read });
    if (guards !== NO_GUARDS && this.#refuseUnderLoss(operation)) return operation.promise;
    this.#ask(operation);
    return operation.promise;
  }

  wait(request: OperationRequest, options?: WaitOptions): Promise<OperationReply>;
  wait<T>(request: OperationRequest, options: WaitOptions | undefined, read: (reply: OperationReply) => T): Promise<T>;
  wait(
    request: OperationRequest,
    { timeoutMs, signal }: WaitOptions = {},
    read: (reply: OperationReply) => unknown = asIs,
  ): Promise<unknown> {
    const isPoll = timeoutMs !== undefined && timeoutMs <= 0;
    const traits = traitsOf(request.verb);
    const isWaiting = !isPoll || !traits.canPoll;
    const numbers = request.verb === "watch" ? undefined : [isWaiting ? 1 : 0, ...(request.numbers?.slice(1) ?? [])];
    const guards = traits.isGuarded ? this.#guards() : NO_GUARDS;
    const operation = new PendingOperation(++this.#lastSeq, request, { traits, isWaiting, guards, numbers, read });
    if (signal?.aborted) {
      operation.reject({ make: () => signal.reason, isOurs: false });
      return operation.promise;
    }
    if (guards !== NO_GUARDS && this.#refuseUnderLoss(operation)) return operation.promise;
    this.#ask(operation);
    if (operation.isSettled) return operation.promise;
    if (isPoll && isWaiting) this.#stopWaiting(operation, timedOut(operation, 0));
    else if (isWaiting) operation.patience = this.#limit(operation, { timeoutMs, signal });
    return operation.promise;
  }

  get isQuiet(): boolean {
    return this.#line.flushCount === 0 && this.#unheard.isEmpty;
  }

  async flush(): Promise<void> {
    if (this.#line.flushCount > 0) await this.#replied();
    this.#unheard.raise();
  }

  /** Runs a function: what it writes, through whatever it awaits, is refused when one of the locks is not held by its token any more. */
  withGuards<R>(guards: readonly HeldLock[], run: () => R): R {
    this.#scope ??= this.#options.openScope<readonly HeldLock[]>();
    const outer = this.#scope.get() ?? [];
    return this.#scope.run([...outer, ...guards], run);
  }

  /** The manager knows of it, or is being told. */
  get isOpen(): boolean {
    return this.#state !== "idle" && this.#state !== "closed";
  }

  /** The process ends: says goodbye, and leaves what is pending unsettled. What comes after all opens another session. */
  async leave(): Promise<void> {
    if (!this.isOpen || this.#closing !== undefined) return;
    using _hold = this.#options.hold();
    for (const { patience } of this.#line.clear()) patience?.[Symbol.dispose]();
    this.#over("idle", "this process ends", () => ({ make: closedError, isOurs: true }));
    await this.#options.transport.close();
  }

  close(asking?: Promise<unknown>): Promise<void> {
    this.#closing ??= this.#close(asking);
    return this.#closing;
  }

  async #close(asking: Promise<unknown> | undefined): Promise<void> {
    using _hold = this.#options.hold();
    this.#isClosing = asking === undefined;
    this.#endWaits();
    if (asking !== undefined || this.#line.flushCount > 0) await this.#finish(asking);
    this.#over("closed", "the session was closed", (operation) => {
      const wasSent = this.#line.isSent(operation);
      return { make: () => cutOffError(operation, wasSent), isOurs: true };
    });
    this.#options.closed?.();
    await this.#options.transport.close();
    this.#unheard.raise();
  }

  /** Resolves when all is asked and has its reply, or time is up. */
  async #finish(asking: Promise<unknown> | undefined): Promise<void> {
    const { clock } = this.#options.env;
    const { promise: late, resolve } = Promise.withResolvers<void>();
    using _late = clock.setTimer(clock.nowMs() + OBJECTS_CLOSE_MS, resolve);
    if (asking !== undefined) await Promise.race([asking, late]);
    this.#isClosing = true;
    this.#endWaits();
    if (this.#line.flushCount > 0) await Promise.race([this.#replied(), late]);
  }

  #endWaits(): void {
    for (const operation of this.#line.pending())
      if (!operation.isAwaitedByFlush) this.#reject(operation, { make: closedError, isOurs: true });
  }

  /** Resolves when what was asked so far has its replies, or is over. */
  #replied(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#flushes.add({ seq: this.#lastSeq, left: this.#line.flushCount, done: resolve });
    return promise;
  }

  #guards(): Guard[] {
    const held = this.#scope?.get();
    if (held === undefined || held.length === 0) return NO_GUARDS;
    return held.map(({ lock, token }) => ({ lock, token }));
  }

  /** A write under a guard that is lost is not asked. */
  #refuseUnderLoss(operation: PendingOperation): boolean {
    const failure = lossUnder(operation, this.#scope?.get() ?? [], () => this.loss);
    if (failure !== undefined) this.#reject(operation, failure);
    return failure !== undefined;
  }

  #ask(operation: PendingOperation): void {
    if (this.#state === "closed" || this.#isClosing) {
      operation.reject({ make: closedError, isOurs: true });
      return;
    }
    try {
      this.#line.push(operation);
    } catch (error) {
      this.#reject(operation, { make: () => error, isOurs: true });
      return;
    }
    this.#hold ??= this.#options.hold();
    if (operation.isWaiting) this.#lending?.waiting(this.#line.waitingCount);
    if (this.#state === "idle") this.#open();
    else if (this.#state === "open") this.#leaveSoon();
    if (this.#isAway) this.#awaitManager();
  }

  #open(): void {
    this.#state = "opening";
    this.#isAway = true;
    this.#options.transport.open(this.#listener);
  }

  readonly #listener: TransportListener = {
    opened: (terms) => this.#opened(terms),
    interrupted: () => {
      if (this.#state === "open") this.#state = "down";
    },
    linked: (up, why, refusal) => {
      if (up && this.#state !== "open") return; // until it has opened the session it is not there
      this.#isAway = !up;
      if (why !== "") {
        this.#awayWhy = why;
        this.#refusal = refusal;
      }
      if (up) this.#managerIsThere();
      else if (this.#line.size > 0) this.#awaitManager();
    },
    replies: (_owner, batch) => {
      for (const reply of decodeReplies(batch)) this.#answered(reply);
      this.#settled();
      if (this.#state === "open") this.#leaveSoon();
    },
    revoked: ({ object, token, reason }) => {
      for (const listen of [...this.#revokeListeners]) listen(object, token, reason);
    },
    lost: (why) => this.#leases.lost(why),
    ended: (end) => this.#ended(end),
    failed: (error) => this.#over("idle", error.message, () => ({ make: () => error, isOurs: false })),
  };

  #opened(terms: LeaseTerms): void {
    this.#session = terms.session;
    this.#seen.hasAnswered = true;
    this.#state = "open";
    this.#isAway = false;
    this.#managerIsThere();
    this.#leases.opened(terms);
    this.#line.again();
    this.#leave();
  }

  /** What is asked in one turn leaves together. */
  #leaveSoon(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    queueMicrotask(() => {
      this.#isFlushing = false;
      this.#leave();
    });
  }

  #leave(): void {
    if (this.#state !== "open") return;
    const { transport } = this.#options;
    for (let next = this.#line.take(); next !== undefined; next = this.#line.take()) {
      const { operations, acknowledged } = next;
      const batch = encodeOperations(operations);
      transport.send({ owner: 0, acknowledged, batch, count: operations.length });
    }
  }

  #answered(reply: Reply): void {
    const operation = this.#line.answered(reply);
    if (operation === undefined) return; // it was sent twice, and answered twice
    const { error } = reply;
    if (error === undefined) this.#granted(operation, reply);
    else if (operation.impatience !== undefined && (error.code === "cancelled" || error.code === "busy"))
      this.#reject(operation, operation.impatience.failure);
    else {
      const refusal = refusalOf(error, operation);
      const { handle } = operation.request;
      const explained = handle === undefined ? refusal : handle.explain(refusal, operation.request);
      this.#reject(operation, { make: () => explained, isOurs: true });
    }
    this.#count(operation);
  }

  #granted(operation: PendingOperation, reply: Reply): void {
    if (operation.isSettled) this.#giveBack(operation, reply);
    else operation.resolve(reply);
  }

  /** Its caller was told that it is over, when nobody could say; now it is granted. */
  #giveBack({ traits: { name }, object }: PendingOperation, { numbers }: Reply): void {
    if (name !== "lock-acquire" && name !== "semaphore-acquire") return;
    const verb = name === "lock-acquire" ? "lock-release" : "semaphore-return";
    const giveBack = (): Promise<unknown> => this.call({ verb, object, numbers: numbers.slice(0, 1) });
    insist(this.#options.env.clock, giveBack).catch(ours);
  }

  /** The flushes that wait for it. */
  #count({ seq, isAwaitedByFlush }: PendingOperation): void {
    if (!isAwaitedByFlush || this.#flushes.size === 0) return;
    for (const flush of this.#flushes) if (seq <= flush.seq && --flush.left === 0) this.#flushed(flush);
  }

  #flushed(flush: Flush): void {
    this.#flushes.delete(flush);
    flush.done();
  }

  /** After some were answered: nothing may be left. */
  #settled(): void {
    if (this.#line.waitingCount === 0) this.#lending?.waiting(0);
    if (this.#line.size > 0) return;
    this.#hold?.[Symbol.dispose]();
    this.#hold = undefined;
    this.#managerIsThere();
  }

  /** Rejects it; when nobody looks at a write, `flush` will tell. */
  #reject(operation: PendingOperation, failure: Failure): void {
    if (operation.isSettled) return;
    operation.reject(failure);
    if (operation.isWrite && operation.isAwaitedByFlush) this.#unheard.note(operation.promise, failure);
  }

  /** Ends the wait of an operation at its timeout, and when its signal aborts. */
  #limit(operation: PendingOperation, options: WaitOptions): Disposable | undefined {
    return limitPatience(this.#options.env.clock, options, {
      timedOut: (timeoutMs) => this.#timedOut(operation, timeoutMs),
      aborted: (reason) => this.#stopWaiting(operation, { make: () => reason, isOurs: false }),
    });
  }

  /** Before it was sent nobody knows what a queue has: it is asked for what is there when the manager hears of it, and waits no more then. */
  #timedOut(operation: PendingOperation, timeoutMs: number): void {
    if (operation.traits.isTelling && !this.#line.isSent(operation)) operation.numbers[0] = 0;
    else this.#stopWaiting(operation, timedOut(operation, timeoutMs));
  }

  /** The caller waits no more: what the manager says to that decides. Nobody has to be asked about what was not sent. */
  #stopWaiting(operation: PendingOperation, failure: Failure): void {
    if (operation.isSettled || operation.impatience !== undefined) return;
    operation.patience?.[Symbol.dispose]();
    operation.patience = undefined;
    if (operation.traits.canPoll && this.#line.withdraw(operation)) {
      this.#reject(operation, failure);
      this.#count(operation);
      this.#settled();
      return;
    }
    operation.impatience = { failure };
    insist(this.#options.env.clock, () => this.#cancel(operation)).catch(ours);
    if (this.loss !== undefined) this.#stopAsking(operation);
  }

  #cancel(operation: PendingOperation): Promise<OperationReply> {
    const cancelled = this.call({ verb: "cancel", object: operation.object, numbers: [operation.seq] });
    cancelled.catch((error: unknown) => (isDiskFull(error) ? this.#stopAsking(operation) : undefined));
    return cancelled;
  }

  /** Nobody can say what became of its wait: it is over for its caller. Should it be granted, it is given back. */
  #stopAsking(operation: PendingOperation): void {
    const { impatience, traits } = operation;
    if (impatience !== undefined && traits.canBeForgotten) this.#reject(operation, impatience.failure);
  }

  #lossChanged(loss: LeaseLoss | undefined): void {
    if (loss !== undefined) for (const operation of this.#line.pending()) this.#stopAsking(operation);
    for (const listen of [...this.#lossListeners]) listen(loss);
  }

  /** The manager says that the session is over. */
  #ended({ code, message }: ObjectsEnd): void {
    if (this.#state === "idle" || this.#state === "closed") return;
    void this.#options.transport.close();
    const why = `the session with the manager is over (${code}): ${message}`;
    this.#over("idle", why, (operation) => {
      if (operation.impatience !== undefined && !operation.traits.outlastsSession) return operation.impatience.failure;
      const wasSent = this.#line.isSent(operation);
      return { make: () => endError(operation, wasSent, why), isOurs: true };
    });
  }

  /**
   * There is no session any more; what is pending fails. When it is not closed, the next operation opens another: those who hear of the loss may ask it at once, so what
   * belonged to this one is put aside before.
   */
  #over(next: "idle" | "closed", why: string, failureOf: (operation: PendingOperation) => Failure): void {
    if (this.#state === "closed") return;
    const hadSession = this.#session !== undefined;
    const failures = [...this.#line.pending()].map((operation) => ({ operation, failure: failureOf(operation) }));
    const flushes = [...this.#flushes];
    this.#line.clear();
    this.#state = next;
    this.#session = undefined;
    for (const { operation, failure } of failures) this.#reject(operation, failure);
    if (hadSession) this.#leases.ended(why);
    for (const flush of flushes) this.#flushed(flush);
    this.#settled();
  }

  #managerIsThere(): void {
    this.#patience?.[Symbol.dispose]();
    this.#patience = undefined;
  }

  /** Operations wait for a manager that is away: not for ever. Time in which this process itself stood still does not count. */
  #awaitManager(): void {
    if (this.#patience !== undefined) return;
    const { env, transport, unavailableTimeoutMs } = this.#options;
    const isSomewhere = this.#seen.hasAnswered || transport.isCertain === true;
    const timeoutMs = isSomewhere ? unavailableTimeoutMs : Math.min(FIRST_CONNECT_TIMEOUT_MS, unavailableTimeoutMs);
    const deadlineMs = env.clock.nowMs() + timeoutMs;
    this.#patience = env.clock.setTimer(deadlineMs, () => {
      this.#patience = undefined;
      if (env.clock.nowMs() > deadlineMs + STANDSTILL_MS) return this.#awaitManager();
      this.#unavailable(timeoutMs);
    });
  }

  #unavailable(timeoutMs: number): void {
    const { transport } = this.#options;
    const why = `the manager at ${transport.address} could not be reached for ${timeoutMs} ms: ${this.#awayWhy}`;
    const refusal = this.#refusal;
    void transport.close();
    this.#over("idle", why, () => ({ make: () => unreachedError(why, refusal), isOurs: true }));
  }
}

/** A timer that fires later than this was kept waiting by this process itself. */
const STANDSTILL_MS = 500;
