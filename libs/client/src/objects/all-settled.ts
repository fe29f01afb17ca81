/** Waits for all of them, whichever fails. Rejects with the error of the first in order that has one. */
export async function allSettled(promises: Iterable<Promise<unknown>>): Promise<void> {
  for (const outcome of await Promise.allSettled(promises)) if (outcome.status === "rejected") throw outcome.reason;
}
