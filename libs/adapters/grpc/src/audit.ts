import type { Logger } from "@heddle/kernel";
import { Audit } from "@heddle/port-rpc";

export type { Audit } from "@heddle/port-rpc";

/** What writes the refusals of one server to its log. It keeps no process alive. */
export function openAudit(log: Logger): Audit {
  const nowMs = (): number => performance.now();
  const setTimer = (atMs: number, run: () => void): Disposable => {
    const timer = setTimeout(run, Math.max(0, atMs - nowMs())).unref();
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  };
  return new Audit({ log, clock: { nowMs, setTimer } });
}
