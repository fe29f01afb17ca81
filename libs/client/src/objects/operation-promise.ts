/** Why an operation fails. */
export interface Failure {
  /** Gives the error: called when it is wanted. */
  readonly make: () => unknown;
  /** It is an error of the fabric, whose stack is to name the caller; others keep theirs. */
  readonly isOurs: boolean;
}

/** The error of a failure. One of ours names those who await `above`, which is running. */
export function errorOf({ make, isOurs }: Failure, above: () => unknown): unknown {
  const error = make();
  if (isOurs && error instanceof Error) Error.captureStackTrace(error, above);
  return error;
}

/**
 * The promise of an operation. It knows whether anybody looks at it: `then`, `catch`, `finally` and `await` do. One that nobody looks at never rejects, so a write
 * that was not awaited is no unhandled rejection: `flush` says its error. Who looks later gets the error then.
 *
 * The stack of an error of ours is taken within the chain of promises that its caller awaits: so it names the caller, at no cost for what succeeds. Taking it as the
 * operation is asked would cost half as much as the operation.
 */
export class OperationPromise<T> extends Promise<T> {
  readonly #resolve: (value: T | PromiseLike<T>) => void;
  #isObserved = false;
  #failure: Failure | undefined;

  /** What `then` gives is an ordinary promise. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  constructor() {
    let kept: (value: T | PromiseLike<T>) => void = neverCalled;
    super((resolve) => {
      kept = resolve;
    });
    this.#resolve = kept;
  }

  /** Somebody looks, or has. */
  get isObserved(): boolean {
    return this.#isObserved;
  }

  // biome-ignore lint/suspicious/noThenProperty: a promise has one
  override then<Fulfilled = T, Rejected = never>(
    onfulfilled?: ((value: T) => Fulfilled | PromiseLike<Fulfilled>) | null,
    onrejected?: ((reason: unknown) => Rejected | PromiseLike<Rejected>) | null,
  ): Promise<Fulfilled | Rejected> {
    if (!this.#isObserved) {
      this.#isObserved = true;
      if (this.#failure !== undefined) this.#reject(this.#failure);
    }
    return super.then(onfulfilled, onrejected);
  }

  /** Resolves it. Once, and not after `fail`. */
  fulfil(value: T): void {
    this.#resolve(value);
  }

  /** Rejects it with what `failure` makes, when anybody looks. */
  fail(failure: Failure): void {
    this.#failure = failure;
    if (this.#isObserved) this.#reject(failure);
  }

  /** The engine links promises a job after they resolve with one another: the stack is taken in the job after that, when it can follow the links. */
  #reject(failure: Failure): void {
    const thrower = (): never => {
      throw errorOf(failure, thrower);
    };
    this.#resolve(Promise.resolve().then(nothing).then(thrower));
  }
}

function nothing(): void {}

function neverCalled(): void {}
