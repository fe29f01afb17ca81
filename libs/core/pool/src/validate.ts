import { assert } from "@heddle/kernel";
import type { Chunk, ChunkList, ChunkPlace } from "./chunk.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { Fleet } from "./fleet.ts";
import type { Ledger } from "./ledger.ts";
import { WAITING_PER_SLOT_MAX } from "./limits.ts";
import type { PoolRecord, Worker } from "./records.ts";

/** Counts everything anew and compares. Throws InvariantViolation. */
export function validatePool(ledger: Ledger, fleet: Fleet, dispatcher: Dispatcher): void {
  const seen = new Set<Chunk>();
  validateWorkers(fleet, ledger, seen);
  let queued = 0;
  for (const pool of ledger.pools.values()) {
    validatePoolRecord(pool, fleet, seen);
    queued += pool.queue.size + pool.suspects.size;
    assert(
      pool.queue.size + pool.suspects.size > 0 === (dispatcher.backlog[pool.backlogAt] === pool),
      "the backlog is the pools with a queue",
    );
    for (const chunk of [...pool.queue, ...pool.suspects])
      assert(ledger.chunks.get(chunk.assignment) === chunk, "a queued chunk is unfinished");
  }
  assert(queued === dispatcher.queued, "the queued chunks are counted");
  assert(
    dispatcher.backlog.every((pool) => pool.queue.size + pool.suspects.size > 0),
    "a pool of the backlog has a queue",
  );
  for (const job of ledger.jobs.values()) {
    assert(job.code.type === "awaited" || job.waiting.size === 0, "only a job without code has waiting chunks");
    validateList(job.waiting, "waiting", seen);
  }
  for (const chunk of ledger.chunks.values()) assert(seen.has(chunk), `chunk ${chunk.assignment} is in a list`);
  assert(seen.size === ledger.chunks.size, "every chunk in a list is unfinished");
}

function validateWorkers(fleet: Fleet, ledger: Ledger, seen: Set<Chunk>): void {
  const counts = {
    spawning: 0,
    blank: 0,
    idle: 0,
    busy: 0,
    stopping: 0,
    recycling: 0,
    running: 0,
    waiting: 0,
    outer: 0,
  };
  for (const worker of fleet.workers.values()) {
    counts[worker.state]++;
    if (worker.state === "stopping" && worker.ending === "recycled") counts.recycling++;
    if (worker.occupiesSlot && !worker.waiting) counts.running++;
    if (worker.waiting) counts.waiting++;
    if (worker.waiting && worker.waitsOutside) counts.outer++;
    validateWorker(worker);
    validateList(worker.held, "sent", seen);
    for (const chunk of worker.held) {
      assert(chunk.worker === worker, "a chunk knows its worker");
      assert(ledger.chunks.get(chunk.assignment) === chunk, "a held chunk is unfinished");
    }
  }
  assert(counts.blank + counts.idle === 0 || fleet.excess <= 0, "workers are bounded");
  assert(counts.waiting <= WAITING_PER_SLOT_MAX * fleet.slots, "tasks that wait are bounded");
  assert(counts.waiting === fleet.waiting && counts.outer === fleet.waitingOuter, "lent slots are counted");
  assert(counts.running === fleet.running, "running is counted");
  assert(counts.spawning === fleet.spawning && counts.blank === fleet.blanks.length, "free workers are counted");
  assert(counts.stopping === fleet.stopping && counts.recycling === fleet.recycling, "ending workers are counted");
}

function validateWorker(worker: Worker): void {
  const { state, pool, held } = worker;
  if (state === "spawning" || state === "blank")
    assert(pool === undefined && held.size === 0, "an unbound worker has nothing");
  if (state === "idle")
    assert(held.size === 0 && pool?.idle.includes(worker), "an idle worker is listed and has nothing");
  if (state === "busy")
    assert(held.size > 0 && pool?.busy[worker.busyAt] === worker, "a busy worker is listed and has a head");
  const isOnlyChunk = held.size === 1 && worker.chunksTaken === held.first?.grains;
  assert(held.first?.fresh !== true || isOnlyChunk, "a fresh chunk is the first of its worker, and alone");
  if (state === "busy" || (state === "stopping" && held.size > 0))
    assert(worker.occupiesSlot, "a head occupies a slot");
  if (worker.waiting) assert(state === "busy", "only a task that runs can wait");
  if (!worker.joined) assert(pool?.hasInitializer === true && held.size <= 1, "nothing waits behind an initializer");
  const isWatched = worker.markAsked || Number.isFinite(worker.watchAtMs);
  assert(!isWatched || (state === "busy" && worker.joined), "only items that run are watched");
  const mustWatch = state === "busy" && worker.joined && held.first?.job.itemTimeoutMs !== undefined;
  assert(!mustWatch || isWatched, "a head whose items have a longest run is watched");
  if (worker.overdue !== undefined) assert(state === "stopping", "a worker with an overdue item is told to end");
  if (state === "idle") assert(!worker.occupiesSlot, "an idle worker occupies no slot");
}

function validatePoolRecord(pool: PoolRecord, fleet: Fleet, seen: Set<Chunk>): void {
  let [held, running, busy, idle] = [0, 0, 0, 0];
  for (const worker of fleet.workers.values()) {
    if (worker.pool !== pool) continue;
    if (worker.occupiesSlot) running++;
    if (worker.state === "idle") idle++;
    if (worker.state !== "busy") continue;
    busy++;
    held += worker.held.size;
  }
  assert(pool.busy.length === busy && pool.idle.length === idle, "a pool's workers are listed once");
  assert(pool.held === held && pool.running === running, "a pool's chunks are counted");
  validateQueue(pool, pool.queue, false, seen);
  validateQueue(pool, pool.suspects, true, seen);
}

function validateQueue(pool: PoolRecord, queue: ChunkList, fresh: boolean, seen: Set<Chunk>): void {
  validateList(queue, "queued", seen);
  let order = 0;
  for (const chunk of queue) {
    assert(chunk.fresh === fresh, "what needs a fresh worker has a queue of its own");
    assert(chunk.order > order && chunk.job.pool === pool && chunk.worker === undefined, "a queue is in order");
    order = chunk.order;
  }
}

function validateList(list: ChunkList, place: ChunkPlace, seen: Set<Chunk>): void {
  let size = 0;
  for (const chunk of list) {
    assert(chunk.place === place && !seen.has(chunk), `chunk ${chunk.assignment} is in one list, its own`);
    seen.add(chunk);
    size++;
  }
  assert(size === list.size, "a list knows its size");
}
