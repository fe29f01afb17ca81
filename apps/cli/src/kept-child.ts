import type { ServerFacts, StopSignal } from "@heddle/adapter-command";
import { type Child, endText } from "./children.ts";

/** Pause before a dead child is started again: doubled with every death, up to the longest. */
const PAUSE_MS = { first: 200, longest: 5_000 } as const;
/** One that served for so long starts with the first pause again. */
const STEADY_MS = 10_000;
/** Deaths in a row before it ever served. After so many, nothing will help. */
const STILLBORN_MAX = 5;

/** What a child is kept with. */
export interface KeptChildOptions {
  /** Starts it, always under the same name and where it was before. */
  readonly start: () => Child;
  readonly say: (message: string) => void;
  /** Deaths before it serves for the first time after which nothing will help; STILLBORN_MAX unless given. */
  readonly firstTries?: number;
  /** Called at most once: it died again and again before it served. `exitCode`: that of the last death, undefined when a signal killed it. */
  readonly gaveUp: (why: string, exitCode: number | undefined) => void;
}

/**
 * A server of `heddle up`: whenever it dies it is started again, so that the death of one is not that of the fabric. What shared objects hold is there again before
 * their leases end, and clients submit to the next coordinator what the last one had not answered.
 */
export class KeptChild {
  /** Resolves when it serves for the first time, to what it says of itself. Never rejects: `gaveUp` is told. */
  readonly serving: Promise<ServerFacts>;
  readonly #options: KeptChildOptions;
  readonly #serves: (facts: ServerFacts) => void;
  #child: Child;
  #pauseMs: number = PAUSE_MS.first;
  #stillborn = 0;
  /** After so many in a row it is given up. */
  #stillbornMax: number;
  #isEnding = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: KeptChildOptions) {
    this.#options = options;
    this.#stillbornMax = options.firstTries ?? STILLBORN_MAX;
    const { promise, resolve } = Promise.withResolvers<ServerFacts>();
    this.serving = promise;
    this.#serves = resolve;
    this.#child = this.#start();
  }

  get name(): string {
    return this.#child.name;
  }

  /** Asks it to end, for good by SIGINT, waits, and kills it when it takes longer than `graceMs`. */
  async end(graceMs: number, signal: StopSignal): Promise<void> {
    this.#letGo();
    await this.#child.end(graceMs, signal);
  }

  /** Ends it at once, as if this process were gone; kills it after `graceMs`. */
  async hurry(graceMs: number): Promise<void> {
    this.#letGo();
    await this.#child.hurry(graceMs);
  }

  /** It is not started again. */
  #letGo(): void {
    this.#isEnding = true;
    clearTimeout(this.#retry);
  }

  #start(): Child {
    const child = this.#options.start();
    let servedAtMs: number | undefined;
    child.serving.then(
      (facts) => {
        servedAtMs = performance.now();
        this.#stillborn = 0;
        this.#stillbornMax = STILLBORN_MAX;
        this.#serves(facts);
      },
      () => undefined, // its end is told below
    );
    void child.ended.then((how) => {
      if (this.#isEnding) return;
      const why = `${child.name} (pid ${child.pid}) ended ${endText(how)}`;
      if (servedAtMs === undefined) this.#stillborn++;
      else if (performance.now() - servedAtMs >= STEADY_MS) this.#pauseMs = PAUSE_MS.first;
      if (this.#stillborn < this.#stillbornMax) this.#startLater(why);
      else this.#options.gaveUp(`${why}${timesText(this.#stillborn)} before it served`, how.code ?? undefined);
    });
    return child;
  }

  #startLater(why: string): void {
    const pauseMs = this.#pauseMs;
    this.#pauseMs = Math.min(PAUSE_MS.longest, 2 * pauseMs);
    this.#options.say(`${why}: starting it again in ${pauseMs} ms`);
    this.#retry = setTimeout(() => {
      this.#child = this.#start();
    }, pauseMs);
  }
}

function timesText(count: number): string {
  return count === 1 ? "" : `, ${count} times in a row`;
}
