import type { Clock, Millis } from "@heddle/kernel";
import type { Blobs } from "@heddle/port-blobs";
import { CODE_PLACE_KEEP_MS } from "./limits.ts";

interface Place {
  readonly location: string;
  readonly untilMs: Millis;
}

/** Where code lies on this machine, remembered for a while: asking the disk at each of many small calls would cost more than they do. */
export class CodePlaces {
  readonly #blobs: Blobs;
  readonly #clock: Clock;
  /** By hash, the one found longest ago first. Expired ones leave with the next that is found. */
  readonly #places = new Map<string, Place>();

  constructor(blobs: Blobs, clock: Clock) {
    this.#blobs = blobs;
    this.#clock = clock;
  }

  /** The place, if it was found lately. */
  known(hash: string): string | undefined {
    const place = this.#places.get(hash);
    return place !== undefined && this.#clock.nowMs() < place.untilMs ? place.location : undefined;
  }

  /** Looks for it; undefined when this machine has not got it. */
  async find(hash: string): Promise<string | undefined> {
    const location = await this.#blobs.locate(hash);
    const nowMs = this.#clock.nowMs();
    this.#places.delete(hash);
    for (const [old, { untilMs }] of this.#places) {
      if (nowMs < untilMs) break;
      this.#places.delete(old);
    }
    if (location !== undefined) this.#places.set(hash, { location, untilMs: nowMs + CODE_PLACE_KEEP_MS });
    return location;
  }
}
