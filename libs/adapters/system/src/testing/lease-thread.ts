/**
 * A thread whose sessions live for another second every 20 ms, and which ends of itself when it is to keep the session 13 for the first time. What their trouble is tells of the
 * client that they have: its number and its token; of that whose token is "nonces" the nonce that it is to say.
 */
import { existsSync, writeFileSync } from "node:fs";
import { systemEnvironment } from "../environment.ts";
import { type LeaseClient, serveLeaseThread } from "../lease-thread.ts";

const env = systemEnvironment();
let clients = 0;

serveLeaseThread(env, ({ token }): LeaseClient => {
  const trouble = `client ${++clients} with ${token ?? "nothing"}`;
  let isOpen = true;
  return {
    keep: ({ session, nonce, addresses: [mark = ""] }) => {
      const listeners = new Set<() => void>();
      let untilMs = 0;
      const beat = setInterval(() => {
        if (!isOpen) throw new Error("its client was closed");
        untilMs = env.clock.nowMs() + 1_000;
        for (const listen of listeners) listen();
        if (session !== 13 || existsSync(mark)) return;
        writeFileSync(mark, "ended");
        process.exit(3);
      }, 20);
      return {
        validUntilMs: () => untilMs,
        isOver: session === 14,
        trouble: token === "nonces" ? `it says ${nonce}` : trouble,
        onChange: (listen) => {
          listeners.add(listen);
          return { [Symbol.dispose]: () => void listeners.delete(listen) };
        },
        [Symbol.dispose]: () => clearInterval(beat),
      };
    },
    [Symbol.asyncDispose]: async () => {
      isOpen = false;
    },
  };
});
