import type { Link } from "@heddle/port-rpc";
import type { KeepAliveRequest, KeepAliveResponse } from "@heddle/wire";
import type { Leases } from "./leases.ts";

/** Answers the beats of one stream, which may be of several sessions. `isOver`: nothing is answered any more. */
export async function answerBeats(
  link: Link<KeepAliveResponse, KeepAliveRequest>,
  leases: Leases,
  isOver: () => boolean,
): Promise<void> {
  for await (const { session, beat } of link.incoming) {
    if (isOver()) break;
    const ttlMs = leases.extend(session);
    if (!link.send({ session, beat, alive: ttlMs !== undefined, ttlMs: ttlMs ?? 0 })) await link.drained();
  }
  await link[Symbol.asyncDispose]();
}
