import type { ClientEvent, Tally } from "./client-events.ts";
import type { FailedCall } from "./judge.ts";
import type { Contents } from "./observer-program.ts";
import { OnceBooks } from "./once-books.ts";
import { checkLog } from "./shared-lanes.ts";

/** What is known of one counter, of one life of a client. */
interface Counter {
  readonly acknowledged: number;
  readonly unknown: number;
}

/** Who is told of what nothing explains. */
interface Told {
  readonly wrong: (problem: string) => void;
  /** A call has not settled for longer than any may take. */
  readonly hangs: (problem: string) => void;
}

/** What all clients have told. */
export class Ledger {
  readonly failed: FailedCall[] = [];
  readonly once = new OnceBooks();
  /** By lane, of all lives. */
  readonly #done = new Map<string, Readonly<Record<string, number>>>();
  /** By life. */
  readonly #tallies = new Map<string, Tally>();
  /** By life of a client, and key. */
  readonly #counters = new Map<string, Map<string, Counter>>();
  /** Lives that were killed: of each, one more write may be done that it could not tell of. */
  readonly #killed = new Set<string>();
  readonly #hangMs: number;
  readonly #hanging = new Set<string>();

  readonly #told: Told;

  constructor(hangMs: number, told: Told) {
    this.#hangMs = hangMs;
    this.#told = told;
  }

  hear(event: ClientEvent, client: string, life: string): void {
    switch (event.type) {
      case "ready":
        return;
      case "failed":
        this.failed.push({ client, ...event });
        return;
      case "wrong":
        this.#told.wrong(`${life}: ${event.message}`);
        return;
      case "counted": {
        const counters = this.#counters.get(life) ?? new Map<string, Counter>();
        this.#counters.set(life, counters.set(event.key, event));
        return;
      }
      case "once":
        this.once.hear(event);
        return;
      case "progress": {
        this.#done.set(life, event.done);
        this.#tallies.set(life, event.tally);
        const { oldest } = event;
        if (oldest === undefined || oldest.ageMs < this.#hangMs || this.#hanging.has(life)) return;
        this.#hanging.add(life);
        this.#told.hangs(`${life}: ${oldest.lane} has not settled for ${Math.round(oldest.ageMs / 1_000)} s`);
        return;
      }
    }
  }

  killed(life: string): void {
    this.#killed.add(life);
  }

  /** Things done by lane. */
  done(): Record<string, number> {
    const sums: Record<string, number> = {};
    for (const counts of this.#done.values())
      for (const [lane, count] of Object.entries(counts)) sums[lane] = (sums[lane] ?? 0) + count;
    return sums;
  }

  /** Jobs, items and second attempts that answered, of all lives: what is done within a second of a death is not told. */
  tally(): Tally {
    const sum = (part: keyof Tally): number =>
      [...this.#tallies.values()].reduce((total, tally) => total + tally[part], 0);
    return { jobs: sum("jobs"), items: sum("items"), overtaken: sum("overtaken") };
  }

  /** What is wrong with what the clients have shared, in words: every acknowledged write is there once, and every other one of which nobody knows at most once. */
  complaints({ counts, log, once, together }: Contents): string[] {
    const held = new Map(counts);
    const keys = new Set([...this.#counters.values()].flatMap((counters) => [...counters.keys()]));
    const wrong = [...keys].flatMap((key) => {
      const all = [...this.#counters].filter(([, counters]) => counters.has(key));
      const sum = (part: keyof Counter): number =>
        all.reduce((total, [, counters]) => total + (counters.get(key)?.[part] ?? 0), 0);
      const least = sum("acknowledged");
      const most = least + sum("unknown") + this.#killedOf(key);
      const value = held.get(key) ?? 0;
      const words = `counter ${key} is ${value}, and ${least} to ${most} were counted`;
      return value >= least && value <= most ? [] : [words];
    });
    wrong.push(...this.once.complaints(once, together));
    try {
      checkLog(log);
    } catch (error) {
      wrong.push(error instanceof Error ? error.message : String(error));
    }
    return wrong;
  }

  /** Of a counter of one life, or one that all lives share. */
  #killedOf(key: string): number {
    return this.#killed.has(key) ? 1 : [...this.#counters.keys()].includes(key) ? 0 : this.#killed.size;
  }
}
