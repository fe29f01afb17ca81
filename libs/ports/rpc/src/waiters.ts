/** Promises that wait for one event, each with its own way to give up. */
export class Waiters {
  readonly #wakes = new Set<() => void>();

  /** Resolves at the next `wake()`. Rejects with the signal's reason when aborted. */
  wait(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const abort = (): void => {
        this.#wakes.delete(wake);
        reject(signal?.reason);
      };
      const wake = (): void => {
        signal?.removeEventListener("abort", abort);
        resolve();
      };
      this.#wakes.add(wake);
      signal?.addEventListener("abort", abort, { once: true });
    });
  }

  wake(): void {
    if (this.#wakes.size === 0) return;
    const wakes = [...this.#wakes];
    this.#wakes.clear();
    for (const wake of wakes) wake();
  }
}
