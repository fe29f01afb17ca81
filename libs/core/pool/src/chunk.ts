import type { Job, Worker } from "./records.ts";
import type { Assignment } from "./types.ts";

/** Where an unfinished chunk is: with its job until the code is here, in its pool's queue, or sent to a worker. */
export type ChunkPlace = "waiting" | "queued" | "sent";
/** What the coordinator asked for: nothing, give it back if it has not begun, or stop it too. Only ever rises. */
export type Revocation = "none" | "unstarted" | "stop";

/** An assigned chunk that is not finished. In exactly one ChunkList: its job's, its pool's or its worker's. */
export class Chunk {
  readonly assignment: Assignment;
  readonly job: Job;
  /** It runs in a worker that has run nothing before, and nothing is sent behind it. */
  readonly fresh: boolean;
  /** Small chunks that travel as this one; counted as so many in the life of a worker. */
  readonly grains: number;
  place: ChunkPlace = "waiting";
  revocation: Revocation = "none";
  /** Rank in its pool's queue, given when it first enters it: a chunk that comes back gets its old place. */
  order = 0;
  /** Its worker was asked to leave it out and has not answered. */
  skipAsked = false;
  /** `report-started` was emitted. */
  reported = false;
  /** Holder while `place` is "sent". */
  worker: Worker | undefined = undefined;
  /** Links of the list it is in; written by ChunkList only. */
  next: Chunk | undefined = undefined;
  previous: Chunk | undefined = undefined;

  constructor(assignment: Assignment, job: Job, fresh: boolean, grains: number) {
    this.assignment = assignment;
    this.job = job;
    this.fresh = fresh;
    this.grains = grains;
  }
}

/** A doubly linked list through the chunks themselves: every operation but `insertInOrder` is O(1). */
export class ChunkList implements Iterable<Chunk> {
  size = 0;
  first: Chunk | undefined = undefined;
  #last: Chunk | undefined = undefined;

  push(chunk: Chunk): void {
    this.#link(chunk, this.#last, undefined);
  }

  /** Puts it before the first one of a higher `order`, searched from the front. */
  insertInOrder(chunk: Chunk): void {
    let after = this.first;
    while (after !== undefined && after.order < chunk.order) after = after.next;
    this.#link(chunk, after === undefined ? this.#last : after.previous, after);
  }

  /** Takes out a chunk of this list. */
  remove(chunk: Chunk): void {
    if (chunk.previous === undefined) this.first = chunk.next;
    else chunk.previous.next = chunk.next;
    if (chunk.next === undefined) this.#last = chunk.previous;
    else chunk.next.previous = chunk.previous;
    chunk.next = undefined;
    chunk.previous = undefined;
    this.size--;
  }

  /** Empties the list and returns what was in it, in order. */
  takeAll(): Chunk[] {
    const taken = [...this];
    for (const chunk of taken) this.remove(chunk);
    return taken;
  }

  *[Symbol.iterator](): Iterator<Chunk> {
    for (let chunk = this.first; chunk !== undefined; chunk = chunk.next) yield chunk;
  }

  #link(chunk: Chunk, previous: Chunk | undefined, next: Chunk | undefined): void {
    chunk.previous = previous;
    chunk.next = next;
    if (previous === undefined) this.first = chunk;
    else previous.next = chunk;
    if (next === undefined) this.#last = chunk;
    else next.previous = chunk;
    this.size++;
  }
}
