import type { Millis } from "@heddle/kernel";
import { SESSION_TTL_MS, SESSION_TTL_MS_MAX, SESSION_TTL_MS_MIN } from "./limits.ts";

/** Leases that sessions may have. */
export interface TtlBounds {
  /** Of one that asks for none. */
  readonly defaultMs: Millis;
  readonly minMs: Millis;
  readonly maxMs: Millis;
}

export const TTL_BOUNDS: TtlBounds = {
  defaultMs: SESSION_TTL_MS,
  minMs: SESSION_TTL_MS_MIN,
  maxMs: SESSION_TTL_MS_MAX,
};

/** The lease of a session that asks for `ttlMs`; 0 is no wish. */
export function clampedTtlMs(ttlMs: Millis, { defaultMs, minMs, maxMs }: TtlBounds): Millis {
  return ttlMs === 0 ? defaultMs : Math.min(maxMs, Math.max(minMs, ttlMs));
}
