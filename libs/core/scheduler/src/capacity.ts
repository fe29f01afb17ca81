import type { State } from "./state.ts";

/** Wishes that clients are told what there is to run on, if that has changed. */
export function announceCapacity(state: State): void {
  const changed = state.fleet.changedCapacity();
  if (changed !== undefined) state.effects.push({ type: "announce-capacity", ...changed });
}
