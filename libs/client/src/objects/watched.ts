import { WATCH_CHANGES_MAX } from "../limits.ts";
import type { OperationReply } from "./channel.ts";
import { SharedObject } from "./shared-object.ts";
import { Watch } from "./watch.ts";

/** That changes stand for which the manager does not remember any more: what is there has to be read anew. */
export interface ResetChange {
  readonly type: "reset";
  readonly revision: bigint;
}

/** An object whose changes can be followed. */
export abstract class WatchedObject extends SharedObject {
  /** `values`: what is followed of it; all unless given. */
  protected openWatch<C>(values: readonly Uint8Array[]): Watch<C | ResetChange> {
    return new Watch<C | ResetChange>({
      home: this.home,
      look: (after) => this.call("watch", whole, values, [after, WATCH_CHANGES_MAX]),
      wait: (after, options) => this.callWaiting("watch", options, whole, values, [after, WATCH_CHANGES_MAX]),
      reset: (revision) => ({ type: "reset", revision }),
    });
  }
}

const whole = (reply: OperationReply): OperationReply => reply;
