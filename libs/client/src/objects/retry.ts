import type { BackoffPolicy, Millis } from "@heddle/kernel";
import type { ObjectsHome } from "./home.ts";

/** Pauses between tries of what others keep changing. */
export const RETRY_BACKOFF: BackoffPolicy = { firstMs: 1, maxMs: 50 };
/** Pauses before what a lost session has interrupted is asked of a new one. */
export const SESSION_BACKOFF: BackoffPolicy = { firstMs: 20, maxMs: 2_000 };

/** Resolves after a while. */
export async function pause({ env: { clock }, keepAlive }: ObjectsHome, forMs: Millis): Promise<void> {
  using _hold = keepAlive();
  await new Promise<void>((resolve) => {
    clock.setTimer(clock.nowMs() + forMs, resolve);
  });
}
