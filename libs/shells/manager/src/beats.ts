import type { SessionNumber } from "@heddle/core-objects";
import { unreachable } from "@heddle/kernel";
import type { Link } from "@heddle/port-rpc";
import type { KeepAliveRequest, KeepAliveResponse } from "@heddle/wire";
import type { Leases } from "./leases.ts";

/**
 * What a beat is worth: it is of the session's holder; there is no such session; it is somebody else's; or it says no nonce, as those of
 * older builds do, and the holder has not been heard of since this manager has begun, so that nobody knows whether it is of such a build.
 */
export type BeatVerdict =
  | { readonly type: "theirs" }
  | { readonly type: "unknown" }
  | { readonly type: "refused"; readonly why: string }
  | { readonly type: "unheard" };

/** What answers to beats are made of. */
export interface BeatOptions {
  readonly leases: Leases;
  readonly judge: (session: SessionNumber, nonce: string) => BeatVerdict;
  /** A beat was refused: told once for each stream. */
  readonly refused: (why: string) => void;
  /** Nothing is answered any more. */
  readonly isOver: () => boolean;
}

/** Answers the beats of one stream, which may be of several sessions. One of somebody else's session is answered as if there were none. */
export async function answerBeats(
  link: Link<KeepAliveResponse, KeepAliveRequest>,
  { leases, judge, refused, isOver }: BeatOptions,
): Promise<void> {
  let wasRefused = false;
  const extend = (session: SessionNumber, nonce: string): number | "dead" | "silent" => {
    const verdict = judge(session, nonce);
    switch (verdict.type) {
      case "theirs":
        return leases.extend(session) ?? "dead";
      case "unknown":
        return "dead";
      case "refused":
        if (!wasRefused) refused(verdict.why);
        wasRefused = true;
        return "dead";
      case "unheard":
        return "silent"; // asked again on another stream, when its holder is there
      default:
        return unreachable(verdict);
    }
  };
  for await (const { session, beat, nonce } of link.incoming) {
    if (isOver()) break;
    const lease = extend(session, nonce);
    if (lease === "silent") continue;
    const alive = lease !== "dead";
    if (!link.send({ session, beat, alive, ttlMs: alive ? lease : 0 })) await link.drained();
  }
  await link[Symbol.asyncDispose]();
}
