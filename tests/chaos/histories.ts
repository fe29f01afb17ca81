import { type Clock, type Random, seededRandom } from "@heddle/kernel";
import { HistoryError } from "@heddle/sim";
import { type Subject, subjectsOf } from "../harness/history-subjects.ts";
import type { ClientRunner } from "./client-runner.ts";
import { HISTORY_STEPS_MAX } from "./limits.ts";
import { pick } from "./plan.ts";

/** How an object refuses; any other error is one of the system. */
const REFUSALS: ReadonlySet<string> = new Set(["EmptyError", "NotFoundError", "RangeError", "TimeoutError"]);
/** In each line of calls. */
const CALLS = 8;
/** Clients that call the objects of one round. */
const CALLERS = 3;

export interface HistoriesOptions {
  readonly seed: number;
  readonly leaseMs: number;
  readonly clock: Clock;
  readonly clients: readonly ClientRunner[];
  /** A call was refused by the system. */
  readonly failed: (client: ClientRunner, error: Error, fromMs: number) => void;
  /** A history that no order explains. */
  readonly wrong: (message: string) => void;
}

/** Rounds of calls of a dict, a list, a value and a queue by several clients, each judged when it is over. */
export class Histories {
  readonly counts = { calls: 0, histories: 0, undecided: 0 };
  readonly #options: HistoriesOptions;
  #isOver = false;

  constructor(options: HistoriesOptions) {
    this.#options = options;
  }

  /** Begins no more calls: `run` resolves soon. */
  finish(): void {
    this.#isOver = true;
  }

  /** Resolves, once it was told to finish, when the last round is judged. */
  async run(): Promise<void> {
    for (let round = 1; !this.#isOver; round++) await this.#round(round);
  }

  async #round(round: number): Promise<void> {
    const { seed, clock, clients } = this.#options;
    const subjects = subjectsOf(`chaos ${seed}.${round}`, clock);
    const random = seededRandom(seed, `history ${round}`);
    const callers = Array.from({ length: Math.min(CALLERS, clients.length) }, () => pick(random, clients));
    let serial = 0;
    const lines = callers.flatMap((caller, client) =>
      subjects.map((subject) => {
        const own = seededRandom(seed, `history ${round} ${client} ${subject.object.name}`);
        return this.#line(own, caller, () => subject.call(caller, client, own, ++serial));
      }),
    );
    await Promise.all(lines);
    const [closer] = callers.filter(({ isRunning }) => isRunning);
    for (const subject of subjects) {
      if (closer !== undefined) await this.#settled(subject.close(closer, 0).catch(() => undefined));
      this.#judge(subject);
      if (closer !== undefined) await this.#settled(closer.call(subject.object, "destroy").catch(() => undefined));
    }
  }

  async #line(random: Random, caller: ClientRunner, call: () => Promise<unknown>): Promise<void> {
    const { clock, leaseMs, failed } = this.#options;
    for (let made = 0; made < CALLS && !this.#isOver; made++) {
      await new Promise((resolve) => setTimeout(resolve, random.int(leaseMs / 5)));
      if (!caller.isRunning) continue;
      this.counts.calls++;
      const fromMs = clock.nowMs();
      const ending = call().catch((error: Error) => {
        if (!REFUSALS.has(error.name)) failed(caller, error, fromMs);
      });
      await this.#settled(ending);
    }
  }

  /** What does not settle soon counts as of unknown outcome: its caller was killed, or is held up. */
  async #settled(call: Promise<unknown>): Promise<void> {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, 2 * this.#options.leaseMs);
    await Promise.race([call, late.promise]);
    clearTimeout(timer);
  }

  #judge(subject: Subject): void {
    this.counts.histories++;
    try {
      subject.judge({ stepsMax: HISTORY_STEPS_MAX });
    } catch (error) {
      if (!(error instanceof HistoryError)) throw error;
      if (error.message.includes("Unknown whether linearizable")) this.counts.undecided++;
      else this.#options.wrong(error.message);
    }
  }
}
