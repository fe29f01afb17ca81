import {
  type AsyncScope,
  ConflictError,
  OutcomeUnknownError,
  SessionLostError,
  UnavailableError,
} from "@heddle/kernel";
import { EFFECTS_AHEAD_BYTES, EFFECTS_AHEAD_OPERATIONS } from "../limits.ts";
import type { CallEffects, OperationReply, OperationRequest } from "./channel.ts";
import type { ObjectsHome } from "./home.ts";
import { ItemEffects, type ObjectEffects } from "./item-effects.ts";
import { askAgain } from "./retry.ts";

/** What came of making effects count. */
export interface CommittedEffects {
  /** Of the first items: what each has come to, by this or by an earlier run of it. */
  readonly outcomes: readonly Uint8Array[];
  /** Why it is not of all items. "conflict": something that the next item depends on was changed, it may run again. "error": its writes are refused. */
  readonly end:
    | { readonly type: "all" }
    | { readonly type: "conflict"; readonly error: unknown }
    | { readonly type: "error"; readonly error: unknown };
}

const ALL = { type: "all" } as const;
/** None of the items is settled: what one has written may depend on what one before it has. */
const ALL_FRESH = { object: "", key: new Uint8Array(), revision: 0 };

/** What consecutive items of a job write, until it counts. They run one after the other. */
export class CollectedEffects {
  readonly #home: ObjectsHome;
  readonly #scope: AsyncScope<CallEffects>;
  readonly #job: Uint8Array;
  readonly #objects = new Map<string, ObjectEffects>();
  /** Of those that are through. */
  readonly #items: ItemEffects[] = [];
  #current: ItemEffects | undefined;
  #operations = 0;
  #bytes = 0;

  /** `job`: its id, encoded. */
  constructor(home: ObjectsHome, scope: AsyncScope<CallEffects>, job: Uint8Array) {
    this.#home = home;
    this.#scope = scope;
    this.#job = job;
  }

  /** Runs the next item: what it writes, through whatever it awaits, is collected. */
  run<R>(item: () => R): R {
    const current = new ItemEffects(this.#objects);
    this.#current = current;
    return this.#scope.run(current, item);
  }

  /** The item has its value: it writes no more. Rejects, and drops what it has written, for the first refusal that nobody has looked at. */
  async close(): Promise<void> {
    const item = this.#current;
    if (item === undefined) return;
    try {
      await item.close();
    } catch (error) {
      this.drop();
      throw error;
    }
    this.#current = undefined;
    this.#items.push(item);
    for (const { values = [] } of item.operations) {
      this.#operations++;
      for (const { length } of values) this.#bytes += length;
    }
  }

  /** The item that ran last has failed: what it has written never was. */
  drop(): void {
    (this.#current ?? this.#items.pop())?.drop();
    this.#current = undefined;
  }

  /** So much was collected that it should count before more is. */
  get isMuch(): boolean {
    return this.#operations >= EFFECTS_AHEAD_OPERATIONS || this.#bytes >= EFFECTS_AHEAD_BYTES;
  }

  /** Objects that were written or read with what was written, in order. */
  get objects(): readonly string[] {
    return [...this.#objects.keys()].sort();
  }

  /**
   * Makes all that was collected count, together with what the items have come to: `outcomes`, of which the first is that of the item with index `first`. Where that is refused, what is refused of each item by
   * itself says which one it is.
   */
  async commit(first: number, outcomes: readonly Uint8Array[]): Promise<CommittedEffects> {
    const all = await this.#commit(first, 0, outcomes);
    if (all.end.type !== "error" || outcomes.length === 1 || isAway(all.end.error)) return all;
    const done: Uint8Array[] = [];
    for (const [at, outcome] of outcomes.entries()) {
      const { outcomes: one, end } = await this.#commit(first + at, at, [outcome]);
      done.push(...one);
      if (end.type !== "all") return { outcomes: done, end };
      if (one[0] !== outcome) return { outcomes: done, end: { type: "conflict", error: settledError(first + at) } };
    }
    return { outcomes: done, end: ALL };
  }

  /** Commits items from the one at place `from` on. A commit of which nobody knows what became is made again: of items that it has settled nothing is done twice. */
  async #commit(first: number, from: number, outcomes: readonly Uint8Array[]): Promise<CommittedEffects> {
    const request = this.#request(first, this.#items.slice(from, from + outcomes.length), outcomes);
    try {
      return { outcomes: settledBy(await askAgain(this.#home, request), outcomes), end: ALL };
    } catch (error) {
      return { outcomes: [], end: { type: error instanceof ConflictError ? "conflict" : "error", error } };
    }
  }

  #request(first: number, items: readonly ItemEffects[], outcomes: readonly Uint8Array[]): OperationRequest {
    return {
      verb: "effects-commit",
      object: "",
      values: [this.#job, ...outcomes],
      numbers: [first, ...items.map(({ operations }) => operations.length)],
      operations: items.flatMap(({ operations }) => operations),
      expectations: [...(items.length > 1 ? [ALL_FRESH] : []), ...items.flatMap(({ expectations }) => expectations)],
    };
  }
}

/** What items have come to: those that were settled before say so. */
function settledBy({ values, numbers }: OperationReply, outcomes: readonly Uint8Array[]): readonly Uint8Array[] {
  let next = 0;
  return outcomes.map((outcome, at) => (numbers[at] === 0 ? (values[next++] ?? outcome) : outcome));
}

/** Those after it may have read what its other run has written otherwise. */
function settledError(index: number): ConflictError {
  return new ConflictError(`item ${index} was settled by another run of it`);
}

/** The manager was not there to say more. */
function isAway(error: unknown): boolean {
  return error instanceof UnavailableError || error instanceof OutcomeUnknownError || error instanceof SessionLostError;
}
