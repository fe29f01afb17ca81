import { StateError } from "@heddle/kernel";
import {
  Encoding,
  type ObjectsState,
  type Revoked,
  type SharedDescription,
  splitPayload,
  type WorkerResponseEntry,
} from "@heddle/wire";
import { MissingPart } from "./missing.ts";

/** Operations that leave together. */
export interface WorkerOperations {
  /** 0, or that of a session which the worker's code has opened by itself: each is an owner of its own. */
  readonly owner: number;
  /** Replies that have come: first number and how many, pair by pair. */
  readonly acknowledged: number[];
  /** An OperationBatch. */
  readonly batch: Uint8Array;
  /** How many operations it has; with none the agent says how its session stands, and opens one. */
  readonly count: number;
}

/** Who makes use of the way to the manager: `heddle` as user code in this worker sees it. */
export interface ObjectsListener {
  /** A ReplyBatch. */
  readonly replies: (batch: Uint8Array) => void;
  readonly state: (state: ObjectsState) => void;
  /** What its owner holds was taken away. */
  readonly revoked: (revoked: Revoked) => void;
}

/** What `heddle` inside the worker does for the worker, once it is loaded. */
export interface InsideObjects {
  /** A live handle. */
  readonly revive: (description: SharedDescription) => object;
  /**
   * Undefined when nothing that was asked of the manager is under way. Else resolves when all of it is done; rejects with the first error of a write
   * that nobody awaited.
   */
  readonly flush: () => Promise<void> | undefined;
  /** For jobs whose items' writes count once; there are none unless given. */
  readonly effects?: InsideEffects;
}

/** Makes what items write count once. */
export interface InsideEffects {
  /** What items of a job have come to that are settled; undefined for each that is not. `first`: index of the first of them. */
  settled(job: string, first: number, count: number): Promise<readonly (Uint8Array | undefined)[]>;
  /** Begins to collect what items of a job write. */
  collect(job: string): CollectedItems;
  /** For what one chunk meets. */
  conflicts(): EffectsConflicts;
}

/** What items write that run one after the other, until it counts. */
export interface CollectedItems {
  /** Runs the next item: what it writes is collected. */
  run<R>(item: () => R): R;
  /** It has its value, and writes no more. Rejects, and drops what it has written, with the first refusal that nobody has looked at. */
  close(): Promise<void>;
  /** It has failed: what it has written never was. */
  drop(): void;
  /** So much was collected that it should count before more is. */
  readonly isMuch: boolean;
  /** Objects that are concerned. */
  readonly objects: readonly string[];
  /** Makes it count together with what the items have come to, `first` being the index of the first of them. Gives what the first of them have come to at last, and why not all. */
  commit(
    first: number,
    outcomes: readonly Uint8Array[],
  ): Promise<{
    readonly outcomes: readonly Uint8Array[];
    readonly end:
      | { readonly type: "all" }
      | { readonly type: "conflict"; readonly error: unknown }
      | { readonly type: "error"; readonly error: unknown };
  }>;
}

/** How items that meet conflicts run again. */
export interface EffectsConflicts extends AsyncDisposable {
  /** Resolves when they may; rejects when that went on for too long. */
  next(collected: CollectedItems, conflict: unknown): Promise<void>;
  /** Items got through. */
  through(): Promise<void>;
}

/** A job whose items' writes count once. */
export interface OnceJob {
  readonly id: string;
  readonly effects: InsideEffects;
  /** As InsideObjects.flush. */
  readonly flush: () => Promise<void> | undefined;
}

/** Shared objects as this worker meets them: its way to the manager through the agent, and handles among values. */
export class SharedObjects {
  readonly #send: (entry: WorkerResponseEntry) => void;
  readonly #mintStream: () => number;
  readonly #load: () => Promise<unknown>;
  #inside: InsideObjects | undefined;
  /** By owner. */
  readonly #listeners = new Map<number, ObjectsListener>();

  /** `send`: to the agent. `mintStream`: numbers parts. `load`: makes `heddle` call `provide`. */
  constructor(send: (entry: WorkerResponseEntry) => void, mintStream: () => number, load: () => Promise<unknown>) {
    this.#send = send;
    this.#mintStream = mintStream;
    this.#load = load;
  }

  readonly provide = (inside: InsideObjects): void => {
    this.#inside = inside;
  };

  /** Operations for the manager; what comes of them goes to the listener. The parts of a large batch follow it at once: nothing overtakes them. */
  readonly operate = ({ owner, acknowledged, batch, count }: WorkerOperations): void => {
    const { header, parts } = splitPayload({ encoding: Encoding.UNSPECIFIED, count, bytes: batch }, this.#mintStream);
    this.#send({ kind: { $case: "objectOperations", value: { owner, batch: header, acknowledged } } });
    for (const part of parts) this.#send({ kind: { $case: "part", value: part } });
  };

  /** Who hears what concerns an owner, until it is closed. */
  readonly listen = (owner: number, listener: ObjectsListener): void => {
    this.#listeners.set(owner, listener);
  };

  /** The owner is over: what it holds is free. */
  readonly closeOwner = (owner: number): void => {
    if (this.#listeners.delete(owner)) this.#send({ kind: { $case: "objectOwnerClosed", value: { owner } } });
  };

  /** What came of operations, in one piece. */
  replied(owner: number, batch: Uint8Array): void {
    this.#listeners.get(owner)?.replies(batch);
  }

  /** What an owner holds was taken away. */
  revoked(revoked: Revoked): void {
    this.#listeners.get(revoked.owner)?.revoked(revoked);
  }

  /** How the agent's session with the manager stands. */
  stands(state: ObjectsState): void {
    for (const listener of [...this.#listeners.values()]) listener.state(state);
  }

  /** Makes a handle; throws MissingPart while `heddle` is not loaded. */
  readonly revive = (description: SharedDescription): object => {
    if (this.#inside === undefined) throw new MissingPart();
    return this.#inside.revive(description);
  };

  /** Loads `heddle` so that `revive` can do its work. */
  async load(): Promise<void> {
    if (this.#inside === undefined) await this.#load();
  }

  /** As InsideObjects.flush. */
  flush(): Promise<void> | undefined {
    return this.#inside?.flush();
  }

  /** For a job whose items' writes count once; loads `heddle` for it. */
  async once(id: string): Promise<OnceJob> {
    await this.load();
    const effects = this.#inside?.effects;
    if (effects === undefined) throw new StateError('there is nothing here that makes effects: "once" of a call');
    return { id, effects, flush: () => this.flush() };
  }
}
