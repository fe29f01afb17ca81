import type { SessionNumber } from "@heddle/core-objects";
import type { Link } from "@heddle/port-rpc";
import type { KeepAliveRequest, KeepAliveResponse } from "@heddle/wire";
import type { Leases } from "./leases.ts";

/** What answers to beats are made of. */
export interface BeatOptions {
  readonly leases: Leases;
  /** Whether the session is that of whoever beats: a session of somebody else is answered like none. */
  readonly isTheirs: (session: SessionNumber) => boolean;
  /** Nothing is answered any more. */
  readonly isOver: () => boolean;
}

/** Answers the beats of one stream, which may be of several sessions. */
export async function answerBeats(
  link: Link<KeepAliveResponse, KeepAliveRequest>,
  { leases, isTheirs, isOver }: BeatOptions,
): Promise<void> {
  for await (const { session, beat } of link.incoming) {
    if (isOver()) break;
    const ttlMs = isTheirs(session) ? leases.extend(session) : undefined;
    if (!link.send({ session, beat, alive: ttlMs !== undefined, ttlMs: ttlMs ?? 0 })) await link.drained();
  }
  await link[Symbol.asyncDispose]();
}
