import { Barrier } from "./barrier.ts";
import { Condition } from "./condition.ts";
import { Connection } from "./connection.ts";
import { Dict } from "./dict.ts";
import { Event } from "./event.ts";
import type { Kinds } from "./home.ts";
import { List } from "./list.ts";
import { Lock } from "./lock.ts";
import { Namespace } from "./namespace.ts";
import { reviveQueue } from "./queue.ts";
import { RLock } from "./rlock.ts";
import { Semaphore } from "./semaphore.ts";
import { SharedArray } from "./shared-array.ts";
import { Value } from "./value.ts";

/** Every kind of shared object that handles are made of. */
export const KINDS: Kinds = {
  dict: Dict.revive,
  list: List.revive,
  namespace: Namespace.revive,
  value: Value.revive,
  array: SharedArray.revive,
  lock: Lock.revive,
  rlock: RLock.revive,
  semaphore: Semaphore.revive,
  condition: Condition.revive,
  event: Event.revive,
  barrier: Barrier.revive,
  queue: reviveQueue,
  pipe: Connection.revive,
};
