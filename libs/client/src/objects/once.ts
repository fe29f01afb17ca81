import { type AsyncScope, backoffMs, ConflictError, type Millis, SessionLostError } from "@heddle/kernel";
import { EFFECTS_CONFLICT_MS, TRANSACTION_QUEUED_CONFLICTS } from "../limits.ts";
import type { CallEffects, OperationReply } from "./channel.ts";
import { CollectedEffects } from "./collected-effects.ts";
import type { ObjectsHome } from "./home.ts";
import { foreignEffects } from "./item-effects.ts";
import { askAgain, pause, RETRY_BACKOFF } from "./retry.ts";
import { nothing } from "./shared-object.ts";
import { takeTurn } from "./transaction.ts";

/** What is needed to collect what tasks write. */
export interface OnceEffectsOptions {
  /** Where the fabric is asked that the tasks belong to. Called when it is needed first. */
  readonly home: () => ObjectsHome;
  readonly openScope: <T>() => AsyncScope<T>;
}

/** Inside a worker: collects what the items of jobs write whose writes count once, and makes it count. */
export class OnceEffects {
  readonly #home: () => ObjectsHome;
  readonly #openScope: OnceEffectsOptions["openScope"];
  #scope: AsyncScope<CallEffects> | undefined;

  constructor({ home, openScope }: OnceEffectsOptions) {
    this.#home = home;
    this.#openScope = openScope;
  }

  /** For homes of the fabric that the tasks belong to: what takes the place of asking, while the code of such an item runs. */
  readonly own = (): CallEffects | undefined => this.#scope?.get();

  /** The same, for homes of other fabrics. */
  readonly foreign = (): CallEffects | undefined => (this.#scope?.get() === undefined ? undefined : foreignEffects);

  /** What items have come to that are settled; undefined for each that is not. `first`: index of the first of them. */
  async settled(job: string, first: number, count: number): Promise<readonly (Uint8Array | undefined)[]> {
    const home = this.#home();
    const values = [home.encode(job)];
    const reply = await askAgain(home, { verb: "effects-settled", object: "", values, numbers: [first, count] });
    let next = 0;
    return Array.from({ length: count }, (_, at) => (reply.numbers[at] === 1 ? reply.values[next++] : undefined));
  }

  /** Begins to collect what items of a job write. */
  collect(job: string): CollectedEffects {
    this.#scope ??= this.#openScope<CallEffects>();
    const home = this.#home();
    return new CollectedEffects(home, this.#scope, home.encode(job));
  }

  /** For the conflicts of one chunk. To be disposed of once it is through. */
  conflicts(): EffectsConflicts {
    return new EffectsConflicts(this.#home());
  }
}

/** How items that meet conflicts run again: after a pause, and from some conflict on one after the other with whoever writes the same objects. */
export class EffectsConflicts implements AsyncDisposable {
  readonly #home: ObjectsHome;
  #turns = new AsyncDisposableStack();
  #count = 0;
  #sinceMs: Millis | undefined;

  constructor(home: ObjectsHome) {
    this.#home = home;
  }

  /** Resolves when the items may run again whose effects were these. Rejects with ConflictError when conflicts went on for EFFECTS_CONFLICT_MS. */
  async next({ objects }: Pick<CollectedEffects, "objects">, conflict: unknown): Promise<void> {
    const { clock, random } = this.#home.env;
    const nowMs = clock.nowMs();
    this.#sinceMs ??= nowMs;
    if (nowMs - this.#sinceMs >= EFFECTS_CONFLICT_MS) {
      const words = conflict instanceof Error ? conflict.message : String(conflict);
      const message = `an item ran ${this.#count + 1} times in ${EFFECTS_CONFLICT_MS / 1_000} s, and each time something that its writes depend on was changed meanwhile; the last time ${words}`;
      throw new ConflictError(message, { cause: conflict });
    }
    this.#count++;
    if (this.#count === TRANSACTION_QUEUED_CONFLICTS) await takeTurn(this.#turns, this.#home, objects);
    else await pause(this.#home, backoffMs(RETRY_BACKOFF, this.#count, random));
  }

  /** Items got through: others have their turn, and what comes is new. */
  async through(): Promise<void> {
    if (this.#count === 0) return;
    const turns = this.#turns;
    this.#turns = new AsyncDisposableStack();
    this.#count = 0;
    this.#sinceMs = undefined;
    await turns.disposeAsync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turns.disposeAsync();
  }
}

/** Of calls whose items' writes count once: their jobs, as the manager knows them by the session of this home. */
export class EffectsJobs {
  readonly #home: () => ObjectsHome;
  /** Who is told that the session ended, by job. */
  readonly #listening = new Map<string, Disposable>();

  constructor(home: () => ObjectsHome) {
    this.#home = home;
  }

  /**
   * The manager takes the job. Rejects as operations do, with StateError where the fabric has no manager and ConflictError for an id that another has. It is forgotten with the
   * session, which `lost` is told once, unless it was closed before; without that it outlives it.
   */
  async open(job: string, lost?: (error: Error) => void): Promise<void> {
    const home = this.#home();
    if (lost !== undefined) this.#listen(home, job, lost);
    const values = [home.encode(job)];
    try {
      await home.live({ verb: "effects-open", object: "", values, numbers: [lost === undefined ? 1 : 0] }, nothing);
    } catch (error) {
      this.#forget(job);
      throw error;
    }
  }

  /** An item is answered by an error: no run of it comes to count any more. Resolves to what it has come to, where one does already. Rejects as operations do. */
  async writeOff(job: string, index: number): Promise<Uint8Array | undefined> {
    const home = this.#home();
    const values = [home.encode(job), WRITTEN_OFF];
    const reply = await home.live({ verb: "effects-commit", object: "", values, numbers: [index, 0] }, asIs);
    return reply.numbers[0] === 0 && reply.values[0]?.length !== 0 ? reply.values[0] : undefined;
  }

  /** The job is over: what still runs of it counts no more. Rejects as operations do. */
  async close(job: string): Promise<void> {
    this.#forget(job);
    const home = this.#home();
    await home.live({ verb: "effects-close", object: "", values: [home.encode(job)] }, nothing);
  }

  #listen(home: ObjectsHome, job: string, lost: (error: Error) => void): void {
    const ended = home.channel().onLoss((loss) => {
      if (loss?.type === "ended") void this.#lose(job, loss.reason, lost);
    });
    this.#listening.set(job, ended);
  }

  async #lose(job: string, reason: string, lost: (error: Error) => void): Promise<void> {
    this.#forget(job);
    await undefined; // who closes the fabric says so first
    lost(
      new SessionLostError(
        `what items of this call wrote counts no more, and of some nobody knows whether it did: the manager has forgotten its job, for ${reason}`,
      ),
    );
  }

  #forget(job: string): void {
    this.#listening.get(job)?.[Symbol.dispose]();
    this.#listening.delete(job);
  }
}

/** In the place of an outcome: the item was answered by an error. */
const WRITTEN_OFF = new Uint8Array();
const asIs = (reply: OperationReply): OperationReply => reply;
