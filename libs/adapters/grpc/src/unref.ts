import type { ClientHttp2Session } from "node:http2";

/**
 * Lets the process end although this stream is open: what waits for an answer holds the process by itself (a long stream is no reason).
 * grpc-js keeps the process alive for as long as a call is open and has no option for it, so this walks from the call down to its
 * HTTP/2 session. Gives back whether it found it; tests/behaviour/scripts.test.ts fails when an update moves it.
 */
export function letProcessEnd(call: object): boolean {
  const session = findSession(call);
  session?.unref();
  return session !== undefined;
}

/** The connection that carries a call, or undefined while it has none. */
export const connectionOf = (call: object): ClientHttp2Session | undefined => findSession(call);

/** The steps from one layer of a call to the next: interceptors, resolving, retrying, load balancing, subchannel. */
const STEPS = ["call", "child", "nextCall", "underlyingCalls", "http2Stream", "session"] as const;
const DEPTH_MAX = 12;

function findSession(call: object): ClientHttp2Session | undefined {
  let layer: unknown = call;
  for (let depth = 0; depth < DEPTH_MAX; depth++) {
    if (Array.isArray(layer)) layer = layer.at(-1);
    if (typeof layer !== "object" || layer === null) return undefined;
    const here: object = layer;
    const step = STEPS.find((name) => {
      const next: unknown = Reflect.get(here, name);
      return typeof next === "object" && next !== null;
    });
    if (step === undefined) return undefined;
    layer = Reflect.get(here, step);
    if (step === "session") return layer as ClientHttp2Session;
  }
  return undefined;
}
