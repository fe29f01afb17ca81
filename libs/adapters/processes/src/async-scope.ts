import { AsyncLocalStorage } from "node:async_hooks";
import type { AsyncScope } from "@heddle/kernel";

/** A place for values of this process that follow what they were set for. */
export function openScope<T>(): AsyncScope<T> {
  const storage = new AsyncLocalStorage<T>();
  return { run: (value, run) => storage.run(value, run), get: () => storage.getStore() };
}
