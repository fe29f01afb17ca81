import { LockLostError, NotHeldError, OutcomeUnknownError, SessionLostError } from "@heddle/kernel";
import type { HeldLock, LeaseLoss, ObjectsChannel } from "./channel.ts";
import type { Flow } from "./flows.ts";

/** A share of a hold. */
export interface Share {
  release(): Promise<void>;
}

/** What a hold is of, and how it is given back. */
export interface HoldOf {
  /** The object: 32 hex digits, or "@" and its name. */
  readonly object: string;
  /** For people: "the lock 'ledger'". */
  readonly what: string;
  /** As the manager told it. */
  readonly token: number;
  /** Who may release it by the object's own `release`. */
  readonly owner: Flow;
  /** Asks the manager to take it back. */
  readonly giveBack: (token: number) => Promise<void>;
  /** Called once, when it is over. */
  readonly over: () => void;
}

/**
 * A lock or a permit that the manager granted under a session: what its guards have in common. Made at the reply that
 * grants it.
 */
export class Hold implements HeldLock {
  /** Those that are not released, the newest last. */
  readonly guards: Share[] = [];
  readonly #of: HoldOf;
  readonly #channel: ObjectsChannel;
  readonly #listening: Disposable;
  #token: number;
  #isWaiting = false;
  #isOver = false;
  /** The first loss that was seen: what the signal aborts with. */
  #firstLoss: LockLostError | undefined;
  /** Set once it is lost for good. */
  #lastLoss: LockLostError | undefined;
  #abort: AbortController | undefined;

  constructor(channel: ObjectsChannel, of: HoldOf) {
    this.#of = of;
    this.#channel = channel;
    this.#token = of.token;
    this.#listening = channel.onLoss(() => this.loss);
  }

  /** Of a condition's `wait` on another one. */
  get token(): number {
    return this.#token;
  }

  get lock(): string {
    return this.#of.object;
  }

  get what(): string {
    return this.#of.what;
  }

  get owner(): Flow {
    return this.#of.owner;
  }

  /** It waits at a condition: somebody else may have the lock. */
  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.loss !== undefined || this.#firstLoss !== undefined) this.#abort.abort(this.#firstLoss);
    }
    return this.#abort.signal;
  }

  /** Why it cannot be counted on now; undefined while it can, and when it was released. */
  get loss(): LockLostError | undefined {
    if (this.#lastLoss !== undefined) return this.#lastLoss;
    if (this.#isOver) return undefined;
    const { loss } = this.#channel;
    return loss === undefined ? undefined : this.#lost(loss);
  }

  /** Its session is over, or the manager took it away: it does not come back. */
  get isLostForGood(): boolean {
    return this.#lastLoss !== undefined;
  }

  /** Throws LockLostError or NotHeldError unless it is held as things stand. */
  assertHeld(): void {
    const { loss } = this;
    if (loss !== undefined) throw loss;
    if (this.#isOver) throw new NotHeldError(`${this.what} is not held any more`);
    if (this.#isWaiting) throw new NotHeldError(`${this.what} is not held while it waits at a condition`);
  }

  /**
   * One guard fewer; with the last of them the manager takes it back. Rejects with LockLostError when the hold was lost
   * before that.
   */
  async leave(guard: Share): Promise<void> {
    const at = this.guards.indexOf(guard);
    if (at >= 0) this.guards.splice(at, 1);
    if (this.guards.length === 0) return await this.#end();
    const { loss } = this;
    if (loss !== undefined) throw loss;
  }

  /** It is given up until `isBack`, to wait at a condition. */
  goesWaiting(): number {
    this.assertHeld();
    this.#isWaiting = true;
    return this.#token;
  }

  /** Under another token, when the manager told one. */
  isBack(token = this.#token): void {
    this.#token = token;
    this.#isWaiting = false;
    if (this.owner.isOver) this.leaveOwner();
  }

  /** Its owner is over: its guards count as released, once it does not wait at a condition. Nobody is there to hear when it was lost. */
  leaveOwner(): void {
    if (this.#isWaiting) return;
    for (const guard of [...this.guards]) guard.release().catch(() => undefined);
  }

  /** Nothing of it is left, whatever anybody does. */
  isLost(reason: string): LockLostError {
    return this.#lost({ type: "ended", reason });
  }

  async #end(): Promise<void> {
    const { loss } = this;
    this.#isOver = true;
    this.#listening[Symbol.dispose]();
    this.#of.over();
    const ended = this.#lastLoss;
    if (ended !== undefined) throw ended;
    const givenBack = this.#of.giveBack(this.#token);
    if (loss === undefined) return await this.#givenBack(givenBack);
    givenBack.catch(() => undefined); // it is lost to its holder, whatever becomes of it
    throw loss;
  }

  async #givenBack(givenBack: Promise<void>): Promise<void> {
    try {
      await givenBack;
    } catch (cause) {
      if (!isEnd(cause)) throw cause;
      throw this.#error("the manager had taken it away before it was released", cause);
    }
  }

  #lost({ type, reason }: LeaseLoss): LockLostError {
    const error = this.#error(reason);
    if (type === "ended") {
      this.#lastLoss = error;
      this.#listening[Symbol.dispose]();
    }
    this.#firstLoss ??= error;
    this.#abort?.abort(this.#firstLoss);
    return error;
  }

  #error(reason: string, cause?: unknown): LockLostError {
    const { what, object } = this.#of;
    const loss = { lock: object, token: BigInt(this.#token), reason };
    return new LockLostError(`${what} was lost: ${reason}`, loss, cause === undefined ? undefined : { cause });
  }
}

/** Whether it says that what was held is not. */
function isEnd(error: unknown): boolean {
  return error instanceof NotHeldError || error instanceof SessionLostError || error instanceof OutcomeUnknownError;
}
