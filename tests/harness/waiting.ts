/** Looks until `found` gives something; rejects after `withinMs`, saying what was looked for. For what tells nobody when it happens. */
export async function eventually<T>(
  what: string,
  found: () => T | undefined | Promise<T | undefined>,
  withinMs = 30_000,
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const result = await found();
    if (result !== undefined) return result;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Rejects when `promise` has not settled within `withinMs`: nothing may hang. */
export async function settles<T>(
  promise: PromiseLike<T>,
  describe: () => Promise<string> | string,
  withinMs = 60_000,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(async () => {
      const description = await Promise.resolve().then(describe).catch(String);
      reject(new Error(`nothing settled within ${withinMs} ms: ${description}`));
    }, withinMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What a promise rejects with; rejects when it does not. */
export async function failure(promise: PromiseLike<unknown>): Promise<unknown> {
  let value: unknown;
  try {
    value = await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`it should have failed, and gave ${String(value)}`);
}
