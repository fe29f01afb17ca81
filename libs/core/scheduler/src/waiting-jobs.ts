import { Ranking } from "./ranking.ts";
import type { Job } from "./state.ts";

/** A job that waits, with what it is ranked by as it was when it was parked. */
interface Place {
  readonly job: Job;
  dueMs: number;
  turn: number;
  rankAt: number;
}

/** Jobs for which there is room at the same time. */
interface Kind {
  readonly ranking: Ranking<Place>;
  readonly places: Map<Job, Place>;
}

/**
 * Parked jobs with needs that may use one node when it has room, and perhaps some that are parked no more. Of each kind the one that was
 * charged least is found in O(log jobs): whether there is room is asked once for a kind, however many jobs of it wait.
 */
export class WaitingJobs {
  readonly #kinds = new Map<string, Kind>();

  get isEmpty(): boolean {
    return this.#kinds.size === 0;
  }

  /** A job that has just been parked; one that is here already gets its new place. */
  add(job: Job): void {
    const kind = this.#kindOf(job);
    let place = kind.places.get(job);
    if (place === undefined) {
      place = { job, dueMs: job.dueMs, turn: job.turn, rankAt: -1 };
      kind.places.set(job, place);
    }
    place.dueMs = job.dueMs;
    place.turn = job.turn;
    kind.ranking.update(place);
  }

  delete(job: Job): void {
    const kind = this.#kinds.get(job.kind);
    const place = kind?.places.get(job);
    if (kind === undefined || place === undefined) return;
    kind.ranking.remove(place);
    kind.places.delete(job);
    if (kind.places.size === 0) this.#kinds.delete(job.kind);
  }

  clear(): void {
    this.#kinds.clear();
  }

  /** The job that was charged least of those that are parked, in time and have room; forgets some that are not parked any more, or too late. */
  next(hasRoom: (job: Job) => boolean, isInTime: (job: Job) => boolean = () => true): Job | undefined {
    let first: Place | undefined;
    for (const { ranking } of this.#kinds.values()) {
      const place = this.#firstParked(ranking, isInTime);
      if (place !== undefined && hasRoom(place.job) && (first === undefined || goesBefore(place, first))) first = place;
    }
    return first?.job;
  }

  #firstParked(ranking: Ranking<Place>, isInTime: (job: Job) => boolean): Place | undefined {
    for (let place = ranking.peek(); place !== undefined; place = ranking.peek()) {
      if (place.job.pool.parked.has(place.job) && isInTime(place.job)) return place;
      this.delete(place.job);
    }
    return undefined;
  }

  #kindOf({ kind: name }: Job): Kind {
    const known = this.#kinds.get(name);
    if (known !== undefined) return known;
    const kind: Kind = { ranking: new Ranking(goesBefore), places: new Map() };
    this.#kinds.set(name, kind);
    return kind;
  }
}

function goesBefore(a: Place, b: Place): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.turn < b.turn);
}
