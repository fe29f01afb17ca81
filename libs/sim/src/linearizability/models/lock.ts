import { fingerprint } from "../fingerprint.ts";
import { type Answer, answered, done, refused, type SequentialModel } from "../history.ts";
import { buried, type DeadOwners } from "./owners.ts";

/**
 * Calls of a leased lock, and what happens to it. An owner is whose lease it is: a session, or something smaller that ends as a whole.
 *
 * - `acquire` answers the token. One that ended its wait is refused with TimeoutError, which is taken at its word: it says nothing about the lock.
 * - `tryAcquire` answers the token, or null when somebody holds it.
 * - `write` stands for any write made under the guard with that token, to whatever object. It is done only while the token holds the lock; a refusal with
 *   LockLostError is taken at its word, for a holder gives the lock up before the manager does.
 * - `expire`: the owner's session is over. Nobody calls it: whoever keeps the history adds one for each owner that was closed, or was silent for long enough,
 *   of unknown outcome and invoked when its lease could first have ended. An acquire whose reply was lost can be freed by nothing else.
 */
export type LockInput =
  | { readonly type: "acquire"; readonly owner: string }
  | { readonly type: "tryAcquire"; readonly owner: string }
  | { readonly type: "release"; readonly token: bigint }
  | { readonly type: "write"; readonly token: bigint }
  | { readonly type: "locked" }
  | { readonly type: "expire"; readonly owner: string };

export interface LockState {
  /** Its token is undefined when the reply that told it was lost. */
  readonly holder: { readonly owner: string; readonly token: bigint | undefined } | undefined;
  /** No token up to this one is given again. */
  readonly tokenFloor: bigint;
  readonly dead: DeadOwners;
}

/** A lock that nobody holds. Tokens are whatever the lock chooses, but each is greater than all before. */
export function lockModel(): SequentialModel<LockState, LockInput> {
  return {
    initial: { holder: undefined, tokenFloor: 0n, dead: [] },
    step,
    key: fingerprint,
    isRead,
  };
}

function step(state: LockState, input: LockInput, seen: Answer | undefined): readonly [LockState, Answer] {
  switch (input.type) {
    case "acquire":
      if (isRefusal(seen, "TimeoutError")) return [state, seen];
      return acquire(state, input.owner, seen) ?? [state, refused("TimeoutError")];
    case "tryAcquire":
      return acquire(state, input.owner, seen) ?? [state, answered(null)];
    case "release":
      return holds(state, input.token) ? [{ ...state, holder: undefined }, done] : [state, refused("NotHeldError")];
    case "write":
      if (isRefusal(seen, "LockLostError")) return [state, seen];
      return [state, holds(state, input.token) ? done : refused("LockLostError")];
    case "locked":
      return [state, answered(state.holder !== undefined)];
    case "expire": {
      const holder = state.holder?.owner === input.owner ? undefined : state.holder;
      return [{ ...state, holder, dead: buried(state.dead, input.owner) }, done];
    }
  }
}

/** Undefined while somebody holds it. */
function acquire(state: LockState, owner: string, seen: Answer | undefined): readonly [LockState, Answer] | undefined {
  if (state.dead.includes(owner)) return [state, refused("SessionLostError")];
  if (state.holder !== undefined) return undefined;
  const token = nextToken(state.tokenFloor + 1n, seen);
  return [{ ...state, holder: { owner, token: seen && token }, tokenFloor: token }, answered(token)];
}

/** The token that the caller saw if it may be one, else the smallest that may: that of a lost reply is no smaller. */
export function nextToken(smallest: bigint, seen: Answer | undefined): bigint {
  const told = seen !== undefined && "value" in seen ? seen.value : undefined;
  return typeof told === "bigint" && told >= smallest ? told : smallest;
}

/** Whether the caller was refused with an error of that name. */
export function isRefusal(seen: Answer | undefined, error: string): seen is { readonly error: string } {
  return seen !== undefined && "error" in seen && seen.error === error;
}

function holds(state: LockState, token: bigint): boolean {
  return state.holder?.token === token;
}

function isRead(input: LockInput, output: Answer | undefined): boolean {
  if (input.type === "locked" || input.type === "write") return true;
  return output !== undefined && ("error" in output || output.value === null);
}
