import { changed, charge, keep, needRoom, valueAt, weight } from "./content.ts";
import { busy, called, done, overLimit, readNumbers, refusal, refused, values } from "./replies.ts";
import type { Owner, Queue, State } from "./state.ts";
import type { Operation, Reply } from "./types.ts";
import { answer, nextOf, wait } from "./waits.ts";

export function queuePut(state: State, queue: Queue, operation: Operation, owner: Owner): Reply | undefined {
  const item = valueAt(operation, 0, "the item");
  const { maxSize } = queue.spec;
  const size = queue.items.size + 1;
  if (size > state.limits.OBJECT_ITEMS_MAX)
    throw overLimit(state, "OBJECT_ITEMS_MAX", size, `${called(queue)} is full`);
  needRoom(state, weight(item));
  if (maxSize > 0 && size > maxSize) {
    if (operation.numbers[0] === 0) return busy(state, operation, "full", `${called(queue)} is full`);
    return wait(state, owner, { ...operation, values: [item] }, { object: queue, line: queue.putters });
  }
  enter(state, queue, keep(item));
  serve(state, queue);
  return done(state, operation);
}

export function queueGet(state: State, queue: Queue, operation: Operation, owner: Owner): Reply | undefined {
  const item = queue.items.shift();
  if (item === undefined) {
    if (operation.numbers[0] === 0) return busy(state, operation, "empty", `${called(queue)} is empty`);
    return wait(state, owner, operation, { object: queue, line: queue.getters });
  }
  charge(state, queue, -weight(item));
  changed(state, queue);
  serve(state, queue);
  return values(state, operation, [item]);
}

export function queueTaskDone(state: State, queue: Queue, operation: Operation): Reply {
  if (queue.unfinished === 0)
    throw refused(
      "state",
      queue.spec.joinable ? `no item of ${called(queue)} is left to be done` : `${called(queue)} is not joinable`,
    );
  queue.unfinished--;
  changed(state, queue);
  return done(state, operation);
}

export function queueSize(_state: State, queue: Queue, operation: Operation): Reply {
  return readNumbers(operation, queue.changed, [queue.items.size, queue.spec.maxSize, queue.unfinished]);
}

/** Undefined while items are left to be done. */
export function queueJoin(_state: State, queue: Queue, operation: Operation): Reply | undefined {
  if (!queue.spec.joinable) throw refused("state", `${called(queue)} is not joinable`);
  if (queue.unfinished === 0) return readNumbers(operation, queue.changed, []);
  if (operation.numbers[0] !== 0) return undefined;
  const message = `${queue.unfinished} items of ${called(queue)} are left to be done`;
  return refusal(operation, queue.changed, { code: "busy", message });
}

/** Items for those who wait for one, room for those who wait for that. */
function serve(state: State, queue: Queue): void {
  const { maxSize } = queue.spec;
  for (;;) {
    if (queue.items.size > 0) {
      const getter = nextOf(state, queue.getters);
      const item = getter === undefined ? undefined : queue.items.shift();
      if (getter !== undefined && item !== undefined) {
        charge(state, queue, -weight(item));
        answer(state, getter, { values: [item] });
        continue;
      }
    }
    if (maxSize > 0 && queue.items.size >= maxSize) return;
    const putter = nextOf(state, queue.putters);
    const [item] = putter?.operation.values ?? [];
    if (putter === undefined || item === undefined) return;
    answer(state, putter, {});
    enter(state, queue, item);
  }
}

function enter(state: State, queue: Queue, item: Uint8Array): void {
  queue.items.push(item);
  if (queue.spec.joinable) queue.unfinished++;
  charge(state, queue, weight(item));
  changed(state, queue);
}
