import { LimitError } from "@heddle/kernel";
import { type Caller, callerText } from "./caller.ts";

/** What a quota bounds. */
export interface QuotaOptions {
  /** Name of the limit, in a `limits.ts`. */
  readonly limitName: string;
  /** How many one identity may have at a time. */
  readonly max: number;
  /** What is counted, in the plural, for people. */
  readonly what: string;
}

/**
 * How many of something one identity may have at a time, so that nobody takes what all need. Whoever runs as the user of the server is not
 * bounded: that user could end the server as well.
 */
export class CallerQuota {
  readonly #options: QuotaOptions;
  /** By identity; those that have none are not in it. */
  readonly #counts = new Map<string, number>();

  constructor(options: QuotaOptions) {
    this.#options = options;
  }

  /** How many the caller has. */
  count(caller: Caller): number {
    return this.#counts.get(callerText(caller)) ?? 0;
  }

  /** One more for the caller, until disposed. Throws LimitError, which says whose quota it is and how many it has. */
  take(caller: Caller): Disposable {
    const { limitName, max, what } = this.#options;
    const count = this.count(caller) + 1;
    if (caller.role !== undefined && count > max)
      throw new LimitError(
        limitName,
        max,
        count,
        `${callerText(caller)} has ${count - 1} ${what}: ${limitName} is ${max}`,
      );
    return this.add(caller);
  }

  /** As `take`, of what is there already and cannot be refused any more. */
  add(caller: Caller): Disposable {
    const who = callerText(caller);
    this.#counts.set(who, this.count(caller) + 1);
    let isTaken = true;
    return {
      [Symbol.dispose]: () => {
        if (isTaken) this.#giveBack(who);
        isTaken = false;
      },
    };
  }

  #giveBack(who: string): void {
    const left = (this.#counts.get(who) ?? 0) - 1;
    if (left > 0) this.#counts.set(who, left);
    else this.#counts.delete(who);
  }
}
