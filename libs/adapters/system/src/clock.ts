import { uptime } from "node:os";
import type { Clock, Millis } from "@heddle/kernel";

/** Longest delay that Node's timers take; a later timer is set again on the way. */
const TIMER_DELAY_MS_MAX = 0x7fff_ffff;

/** Monotonic time of this process. Its timers do not keep the process alive. */
export function systemClock(): Clock {
  const nowMs = (): number => performance.now();
  return {
    nowMs,
    setTimer: (atMs, run) => {
      let timer: NodeJS.Timeout | undefined;
      const arm = (): void => {
        // Node may fire up to 1 ms early by this clock: rounded up, so that "at or after" holds.
        const delayMs = Math.max(0, Math.ceil(atMs - nowMs()));
        timer = setTimeout(fire, Math.min(delayMs, TIMER_DELAY_MS_MAX)).unref();
      };
      const fire = (): void => {
        if (nowMs() < atMs) arm();
        else run();
      };
      arm();
      return { [Symbol.dispose]: () => clearTimeout(timer) };
    },
  };
}

/** Time since this machine was started, also while it was suspended: then the clock of this process stands still. In steps of 10 ms. */
export function bootClock(): Millis {
  return uptime() * 1_000;
}
