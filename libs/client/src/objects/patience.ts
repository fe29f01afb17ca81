import type { Clock } from "@heddle/kernel";
import type { WaitOptions } from "./channel.ts";

/** What happens to somebody's patience. */
export interface PatienceEnds {
  readonly timedOut: (timeoutMs: number) => void;
  /** With the signal's reason. */
  readonly aborted: (reason: unknown) => void;
}

/** Calls one of them at the end of the time or at the abort, until disposed. Undefined for a patience without end. */
export function limitPatience(
  clock: Clock,
  { timeoutMs = Number.POSITIVE_INFINITY, signal }: WaitOptions,
  ends: PatienceEnds,
): Disposable | undefined {
  const isTimed = timeoutMs !== Number.POSITIVE_INFINITY;
  if (signal === undefined && !isTimed) return undefined;
  const timer = isTimed ? clock.setTimer(clock.nowMs() + timeoutMs, () => ends.timedOut(timeoutMs)) : undefined;
  const aborted = (): void => ends.aborted(signal?.reason);
  signal?.addEventListener("abort", aborted, { once: true });
  return {
    [Symbol.dispose]: () => {
      timer?.[Symbol.dispose]();
      signal?.removeEventListener("abort", aborted);
    },
  };
}
