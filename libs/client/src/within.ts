import type { PoolHost } from "./pool-calls.ts";

/** Resolves when the promise does, which never rejects, or when the time is up. 0 and less only look. For ever unless given. */
export async function within(
  { env, hold }: Pick<PoolHost, "env" | "hold">,
  ended: Promise<void>,
  timeoutMs: number = Number.POSITIVE_INFINITY,
): Promise<void> {
  if (timeoutMs <= 0) return;
  using _hold = hold();
  if (timeoutMs === Number.POSITIVE_INFINITY) return await ended;
  const { promise: late, resolve } = Promise.withResolvers<void>();
  using _deadline = env.clock.setTimer(env.clock.nowMs() + timeoutMs, resolve);
  await Promise.race([ended, late]);
}
