import { UNOBSERVED_ERRORS_MAX } from "../limits.ts";
import { errorOf, type Failure } from "./operation-promise.ts";

/** A promise that knows whether anybody looks at it. */
interface Looked {
  readonly isObserved: boolean;
}

/** Failures of promises that nobody looks at, for `flush` to tell. */
export class Unheard {
  #failures: { readonly promise: Looked; readonly failure: Failure }[] = [];

  /** There is nothing to be heard. */
  get isEmpty(): boolean {
    return this.#failures.length === 0;
  }

  /** `promise` has failed. */
  note(promise: Looked, failure: Failure): void {
    if (promise.isObserved) return;
    if (this.#failures.length === UNOBSERVED_ERRORS_MAX)
      this.#failures = this.#failures.filter((one) => !one.promise.isObserved);
    if (this.#failures.length < UNOBSERVED_ERRORS_MAX) this.#failures.push({ promise, failure });
  }

  /** Throws the first that nobody has looked at. All are forgotten. */
  raise(): void {
    const first = this.#failures.find(({ promise }) => !promise.isObserved);
    this.#failures = [];
    if (first !== undefined) throw errorOf(first.failure, this.raise);
  }
}
