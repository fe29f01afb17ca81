/** What a worker process runs: the package's `heddle/worker`, as source beside source and built beside built. */
export const workerEntry: URL = new URL(
  import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js",
  import.meta.url,
);
