import { BrokenBarrierError, TimeoutError } from "@heddle/kernel";
import { type SharedDescription, shared } from "@heddle/wire";
import { described } from "../describe.ts";
import { checkWait } from "../options.ts";
import type { ObjectsHome } from "./home.ts";
import { checkWhole, made, type Place, type SharedOptions } from "./place.ts";
import { nothing, number, SharedObject } from "./shared-object.ts";

/** What a barrier is told at its construction. */
export interface BarrierOptions extends SharedOptions {
  /**
   * Run by the last party to come, before any goes on; it may be async. When it throws, that party rejects with the
   * error and the barrier is broken for the others. It travels with the handle as functions do: to tasks and processes,
   * not into other shared objects.
   */
  readonly action?: () => unknown;
  /** What `wait` waits, unless it says itself. For ever unless given. */
  readonly timeoutMs?: number;
}

/** How long to wait at a barrier. */
export interface BarrierWait {
  /** Milliseconds. When they are over the barrier is broken for all. Those of the barrier unless given. */
  readonly timeoutMs?: number | undefined;
}

/** Where a number of parties wait for one another, again and again. Each `wait` is a party. */
export class Barrier extends SharedObject {
  /** How many must come. */
  readonly parties: number;
  readonly #action: (() => unknown) | undefined;
  readonly #timeoutMs: number | undefined;

  static revive(home: ObjectsHome, { object, parties, action, timeoutMs }: SharedDescription): Barrier {
    const options = {
      ...(typeof action === "function" ? { action: () => action() } : {}),
      ...(typeof timeoutMs === "number" ? { timeoutMs } : {}),
    };
    return new Barrier(Number(parties), options, { home, object });
  }

  /** Throws TypeError, RangeError or LimitError for what cannot be. */
  constructor(parties: number, options: BarrierOptions = {}, place?: Place) {
    checkWhole("parties", parties, 1);
    const { action, timeoutMs } = options;
    const spec = { what: "a barrier", kind: "barrier", options, known: ["action", "timeoutMs"], traits: { parties } };
    super(...made(spec, place));
    checkWait("a barrier", { timeoutMs });
    if (action !== undefined && typeof action !== "function")
      throw new TypeError(`action must be a function, got ${described(action)}`);
    this.parties = parties;
    this.#action = action;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Waits for all parties; resolves to this one's number: 0 for the first to come, to parties - 1. Rejects with
   * BrokenBarrierError when one of them was not in time (that one too) or is gone, or when it was aborted or reset.
   */
  async wait(options: BarrierWait = {}): Promise<number> {
    checkWait("wait", options);
    const { timeoutMs = this.#timeoutMs } = options;
    const [index, isLast] = await this.#arrive(timeoutMs);
    if (isLast) await this.#act();
    return index;
  }

  /** Breaks it for those who wait and those who come, until `reset`. */
  abort(): Promise<void> {
    return this.call("barrier-abort", nothing);
  }

  /** Breaks it for those who wait; then it is as new. */
  reset(): Promise<void> {
    return this.call("barrier-reset", nothing);
  }

  /** How many wait. */
  nWaiting(): Promise<number> {
    return this.call("barrier-state", number);
  }

  /** Whether it is broken. */
  broken(): Promise<boolean> {
    return this.call("barrier-state", ({ numbers }) => numbers[1] === 1);
  }

  override [shared](): SharedDescription {
    const action = this.#action;
    const timeoutMs = this.#timeoutMs;
    return {
      ...super[shared](),
      ...(action === undefined ? {} : { action }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    };
  }

  async #arrive(timeoutMs: number | undefined): Promise<readonly [index: number, isLast: boolean]> {
    const numbers = [1, this.#action === undefined ? 0 : 1];
    try {
      return await this.callWaiting(
        "barrier-wait",
        { timeoutMs },
        (reply) => {
          const [index = 0, isLast] = reply.numbers;
          return [index, isLast === 1] as const;
        },
        [],
        numbers,
      );
    } catch (cause) {
      if (!(cause instanceof TimeoutError)) throw cause;
      throw new BrokenBarrierError(`the barrier is broken: not all of ${this.parties} came within ${timeoutMs} ms`, {
        cause,
      });
    }
  }

  async #act(): Promise<void> {
    let worked = 0;
    try {
      await this.#action?.();
      worked = 1;
    } finally {
      await this.call("barrier-release", nothing, [], [worked]);
    }
  }
}
