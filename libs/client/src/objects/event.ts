import { TimeoutError } from "@heddle/kernel";
import type { SharedDescription } from "@heddle/wire";
import { checkWait } from "../options.ts";
import type { ObjectsHome } from "./home.ts";
import { made, type Place, type SharedOptions } from "./place.ts";
import { flag, nothing, SharedObject } from "./shared-object.ts";

/** What an event is told at its construction. */
export type EventOptions = SharedOptions;

/** Something that has happened or not, for any number to wait for. It is not at first. */
export class Event extends SharedObject {
  static revive(home: ObjectsHome, { object }: SharedDescription): Event {
    return new Event({}, { home, object });
  }

  /** Throws TypeError or LimitError for options that cannot be. */
  constructor(options: EventOptions = {}, place?: Place) {
    super(...made({ what: "an event", kind: "event", options }, place));
  }

  /** It has happened: whoever waits goes on, and later ones do not wait. */
  set(): Promise<void> {
    return this.call("event-set", nothing);
  }

  /** It has not happened (any more). */
  clear(): Promise<void> {
    return this.call("event-clear", nothing);
  }

  isSet(): Promise<boolean> {
    return this.call("event-is-set", flag);
  }

  /**
   * Resolves to true once it is set, at once when it is; to false when `timeoutMs` (0 and less: at once; for ever
   * unless given) was over before.
   */
  async wait(options: { readonly timeoutMs?: number | undefined } = {}): Promise<boolean> {
    checkWait("wait", options);
    return await inTime(this.callWaiting("event-wait", options, () => true, [], [1]));
  }
}

/** False for a TimeoutError. */
export async function inTime(waited: Promise<boolean>): Promise<boolean> {
  try {
    return await waited;
  } catch (error) {
    if (error instanceof TimeoutError) return false;
    throw error;
  }
}
