/** What a thread runs that keeps leases, as source beside source and built beside built. */
export const leaseThreadEntry: URL = new URL(
  import.meta.url.endsWith(".ts") ? "./lease-thread.ts" : "./lease-thread.js",
  import.meta.url,
);
