/** Iterates over what was asked for at once, when the iterator was taken. */
export function snapshotIterator<T>(snapshot: Promise<readonly T[]>): AsyncIterableIterator<T> {
  snapshot.catch(() => undefined); // `next` says so
  return iterate(snapshot);
}

async function* iterate<T>(snapshot: Promise<readonly T[]>): AsyncGenerator<T, void, undefined> {
  yield* await snapshot;
}
