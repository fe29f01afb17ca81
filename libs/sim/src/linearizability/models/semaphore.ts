import { fingerprint } from "../fingerprint.ts";
import { type Answer, answered, done, refused, type SequentialModel } from "../history.ts";
import { isRefusal, nextToken } from "./lock.ts";
import { buried, type DeadOwners } from "./owners.ts";

/**
 * Calls of a semaphore, and what happens to it: as those of a lock, but what is granted at once may have one token. `giveBack` is the guard's own release,
 * `release` only ever adds permits, `getValue` answers how many are free.
 */
export type SemaphoreInput =
  | { readonly type: "acquire"; readonly owner: string }
  | { readonly type: "tryAcquire"; readonly owner: string }
  | { readonly type: "giveBack"; readonly owner: string; readonly token: bigint }
  | { readonly type: "release"; readonly count: number }
  | { readonly type: "getValue" }
  | { readonly type: "expire"; readonly owner: string };

export interface SemaphoreState {
  readonly free: number;
  /** In the order of their tokens; undefined is the token of a lost reply. */
  readonly holders: readonly { readonly owner: string; readonly token: bigint | undefined }[];
  /** No token below this one is given. */
  readonly tokenFloor: bigint;
  readonly dead: DeadOwners;
}

/** A semaphore of so many permits. With a bound no more are ever free: a `release` above it is refused with RangeError, a permit given back is no more. */
export function semaphoreModel(
  permits: number,
  { bound = Number.POSITIVE_INFINITY }: { readonly bound?: number } = {},
): SequentialModel<SemaphoreState, SemaphoreInput> {
  return {
    initial: { free: permits, holders: [], tokenFloor: 0n, dead: [] },
    step: (state, input, seen) => step(state, input, seen, bound),
    key: fingerprint,
    isRead,
  };
}

type Stepped = readonly [SemaphoreState, Answer];

function step(state: SemaphoreState, input: SemaphoreInput, seen: Answer | undefined, bound: number): Stepped {
  switch (input.type) {
    case "acquire":
      if (isRefusal(seen, "TimeoutError")) return [state, seen];
      return acquire(state, input.owner, seen) ?? [state, refused("TimeoutError")];
    case "tryAcquire":
      return acquire(state, input.owner, seen) ?? [state, answered(null)];
    case "giveBack":
      return giveBack(state, input, bound);
    case "release":
      if (state.free + input.count > bound) return [state, refused("RangeError")];
      return [{ ...state, free: state.free + input.count }, done];
    case "getValue":
      return [state, answered(state.free)];
    case "expire":
      return [expire(state, input.owner, bound), done];
  }
}

/** Undefined while no permit is free. */
function acquire(state: SemaphoreState, owner: string, seen: Answer | undefined): Stepped | undefined {
  if (state.dead.includes(owner)) return [state, refused("SessionLostError")];
  if (state.free === 0) return undefined;
  const token = nextToken(state.tokenFloor, seen);
  const holders = [...state.holders, { owner, token: seen && token }];
  return [{ ...state, free: state.free - 1, holders, tokenFloor: token }, answered(token)];
}

type GiveBack = Extract<SemaphoreInput, { readonly type: "giveBack" }>;

function giveBack(state: SemaphoreState, { owner, token }: GiveBack, bound: number): Stepped {
  const at = state.holders.findIndex((holder) => holder.owner === owner && holder.token === token);
  if (at < 0) return [state, refused("NotHeldError")];
  return [{ ...state, free: Math.min(state.free + 1, bound), holders: state.holders.toSpliced(at, 1) }, done];
}

function expire(state: SemaphoreState, owner: string, bound: number): SemaphoreState {
  const holders = state.holders.filter((holder) => holder.owner !== owner);
  const free = Math.min(state.free + state.holders.length - holders.length, bound);
  return { ...state, free, holders, dead: buried(state.dead, owner) };
}

function isRead(input: SemaphoreInput, output: Answer | undefined): boolean {
  if (input.type === "getValue") return true;
  return output !== undefined && ("error" in output || output.value === null);
}
