import type { Contender } from "../contender.ts";
import { connectTo, type Security, startUp } from "../heddle-up.ts";
import { singleCalls, streamedNoops } from "./heddle.ts";

/** `heddle up`, reached with a token in clear or over mutual TLS: the rest of both is the same. */
export async function openSecured(security: Security): Promise<Contender> {
  await using scope = new AsyncDisposableStack();
  const up = scope.use(await startUp(security));
  const fabric = scope.use(await connectTo(up.facts));
  const pool = scope.use(fabric.pool());
  const moved = scope.move();
  return {
    operations: { securedNoops: streamedNoops(pool), securedApply: singleCalls(pool) },
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}
