import { type BackoffPolicy, backoffMs, type Millis, OutcomeUnknownError, SessionLostError } from "@heddle/kernel";
import { ASK_AGAIN_MAX } from "../limits.ts";
import type { AskingHome, OperationReply, OperationRequest } from "./channel.ts";

/** Pauses between tries of what others keep changing. */
export const RETRY_BACKOFF: BackoffPolicy = { firstMs: 1, maxMs: 50 };
/** Pauses before what a lost session has interrupted is asked of a new one. */
export const SESSION_BACKOFF: BackoffPolicy = { firstMs: 20, maxMs: 2_000 };

/** Resolves after a while. */
export async function pause(
  { env: { clock }, keepAlive }: Pick<AskingHome, "env" | "keepAlive">,
  forMs: Millis,
): Promise<void> {
  using _hold = keepAlive();
  await new Promise<void>((resolve) => {
    clock.setTimer(clock.nowMs() + forMs, resolve);
  });
}

/** Asks for what may be asked twice: what a lost session has interrupted is asked of the next one. Rejects as operations do, with the session's end when that comes ASK_AGAIN_MAX times. */
export async function askAgain(home: AskingHome, request: OperationRequest): Promise<OperationReply> {
  for (let losses = 1; ; losses++) {
    try {
      return await home.live(request, asIs);
    } catch (error) {
      const isLost = error instanceof OutcomeUnknownError || error instanceof SessionLostError;
      if (!isLost || losses > ASK_AGAIN_MAX) throw error;
      await pause(home, backoffMs(SESSION_BACKOFF, losses, home.env.random));
    }
  }
}

const asIs = (reply: OperationReply): OperationReply => reply;
