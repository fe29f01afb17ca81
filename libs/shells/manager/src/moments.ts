import type { Revision } from "@heddle/core-objects";
import type { Millis } from "@heddle/kernel";
import { MOMENTS_MAX } from "./limits.ts";

/** Commands that come so soon after each other count as one moment. */
const MOMENT_MS = 100;

interface Moment {
  /** What was done from then on is behind this revision. */
  readonly revision: Revision;
  readonly atMs: Millis;
}

/** When revisions came about, about: the state itself knows no time. What was there when this process started counts from there. */
export class Moments {
  #moments: Moment[] = [];

  /** The next command is done now. */
  note(revision: Revision, nowMs: Millis): void {
    const last = this.#moments.at(-1);
    if (last !== undefined && nowMs - last.atMs < MOMENT_MS) return;
    this.#moments.push({ revision, atMs: nowMs });
    if (this.#moments.length > MOMENTS_MAX) this.#thin();
  }

  /** When this revision came about. */
  of(revision: Revision): Millis {
    const moment = this.#moments.findLast((each) => each.revision < revision);
    return (moment ?? this.#moments[0])?.atMs ?? 0;
  }

  #thin(): void {
    const old = this.#moments.slice(0, MOMENTS_MAX / 2).filter((_, at) => at % 2 === 0);
    this.#moments = [...old, ...this.#moments.slice(MOMENTS_MAX / 2)];
  }
}
