import { type Clock, LimitError, type Millis } from "@heddle/kernel";

/** Pause before what a full disk has refused is asked again: how often the manager itself looks for room. */
const FULL_DISK_PAUSE_MS: Millis = 1_000;

/**
 * Asks for what others wait for: that something is given back, or not waited for any more. Settles as the first try does. While the manager's disk is
 * full it is asked again and again all the same, or the manager would count as held for ever what nobody here remembers.
 */
export function insist<T>(clock: Clock, ask: () => Promise<T>): Promise<T> {
  const asked = ask();
  asked.catch((error: unknown) => {
    if (isDiskFull(error))
      clock.setTimer(clock.nowMs() + FULL_DISK_PAUSE_MS, () => insist(clock, ask).catch(nobodyListens));
  });
  return asked;
}

/** Whether nothing was done because the manager's disk is full. */
export function isDiskFull(error: unknown): boolean {
  return error instanceof LimitError && error.limitName === "DISK_SPACE";
}

function nobodyListens(): void {}
