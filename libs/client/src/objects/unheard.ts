/** A promise that knows whether anybody looks at it. */
interface Looked {
  readonly isObserved: boolean;
}

/** Failures that are kept until `flush` asks for them. More that nobody has heard are dropped: only the first is told. */
const FAILURES_MAX = 100;

/** Failures of what was never asked of the manager, that somebody should hear of. */
export class Unheard {
  #failures: { readonly promise: Looked; readonly error: unknown }[] = [];

  /** There is nothing to be heard. */
  get isEmpty(): boolean {
    return this.#failures.length === 0;
  }

  /** `promise` fails with `error`. */
  note(promise: Looked, error: unknown): void {
    if (promise.isObserved) return;
    if (this.#failures.length === FAILURES_MAX)
      this.#failures = this.#failures.filter((one) => !one.promise.isObserved);
    if (this.#failures.length < FAILURES_MAX) this.#failures.push({ promise, error });
  }

  /** Throws the first that nobody has looked at. All are forgotten. */
  raise(): void {
    const failure = this.#failures.find(({ promise }) => !promise.isObserved);
    this.#failures = [];
    if (failure !== undefined) throw failure.error;
  }
}
