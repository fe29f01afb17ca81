import { expectTypeOf, test } from "vitest";
import type { Barrier } from "./barrier.ts";
import type { Condition } from "./condition.ts";
import type { Connection } from "./connection.ts";
import type { Event } from "./event.ts";
import type { Guard } from "./guard.ts";
import type { Lock } from "./lock.ts";
import type { Pipe } from "./pipe.ts";
import type { JoinableQueue, Queue, SimpleQueue } from "./queue.ts";
import type { RLock } from "./rlock.ts";
import type { BoundedSemaphore, Semaphore } from "./semaphore.ts";

test("locks of all kinds give guards, and what runs under them gives what its function gives", () => {
  type Any = Lock | RLock | Semaphore | BoundedSemaphore | Condition;
  expectTypeOf<ReturnType<Any["acquire"]>>().toEqualTypeOf<Promise<Guard>>();
  expectTypeOf<ReturnType<Any["tryAcquire"]>>().toEqualTypeOf<Promise<Guard | null>>();
  const run = (lock: Lock) => lock.run(async (guard) => guard.token);
  expectTypeOf(run).returns.toEqualTypeOf<Promise<bigint>>();
  const nested = (guard: Guard) => guard.run(() => 5);
  expectTypeOf(nested).returns.toEqualTypeOf<Promise<number>>();
  expectTypeOf<Guard["signal"]>().toEqualTypeOf<AbortSignal>();
  expectTypeOf<Awaited<ReturnType<Condition["waitFor"]>>>().toEqualTypeOf<boolean>();
  expectTypeOf<Awaited<ReturnType<Event["wait"]>>>().toEqualTypeOf<boolean>();
  expectTypeOf<Awaited<ReturnType<Barrier["wait"]>>>().toEqualTypeOf<number>();
});

test("queues and pipes carry values of one type", () => {
  expectTypeOf<Parameters<Queue<string>["put"]>[0]>().toEqualTypeOf<string>();
  expectTypeOf<Awaited<ReturnType<JoinableQueue<string>["getNowait"]>>>().toEqualTypeOf<string>();
  expectTypeOf<Awaited<ReturnType<SimpleQueue<Date>["get"]>>>().toEqualTypeOf<Date>();
  expectTypeOf<Awaited<ReturnType<Connection<number>["recv"]>>>().toEqualTypeOf<number>();
  expectTypeOf<ReturnType<typeof Pipe<number>>>().toEqualTypeOf<[Connection<number>, Connection<number>]>();
  expectTypeOf<Parameters<Connection<number>["send"]>[0]>().not.toEqualTypeOf<string>();
});
