import { systemEnvironment } from "@heddle/adapter-system";
import { type Random, seededRandom } from "@heddle/kernel";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Caller } from "../../harness/caller.ts";
import { type Subject, subjectsOf } from "../../harness/history-subjects.ts";
import { LockHistory } from "../../harness/lock-history.ts";
import { ServedManager } from "../../harness/served-manager.ts";
import { settles } from "../../harness/waiting.ts";

const SEEDS = Number(process.env.HEDDLE_HISTORY_SEEDS ?? 2);
const FIRST = Number(process.env.HEDDLE_HISTORY_FIRST ?? 1);
/** Of the caller that is killed in each run: the least there is. */
const DOOMED_TTL_MS = 2_000;
/** In each line of calls. */
const CALLS = 40;
/** From one kill of the manager to the next, in calls that were answered. */
const CALLS_BETWEEN_KILLS = 150;
const KILLS = 3;
/** How an object refuses. Any other error is one of the system, and nobody may see it. */
const REFUSALS: ReadonlySet<string> = new Set(["EmptyError", "NotFoundError", "RangeError", "TimeoutError"]);

/** Calls that were answered, for those who wait for so many. */
class Progress {
  #count = 0;
  #more = Promise.withResolvers<void>();

  add(): void {
    this.#count++;
    this.#more.resolve();
    this.#more = Promise.withResolvers();
  }

  async passed(calls: number): Promise<void> {
    for (const until = this.#count + calls; this.#count < until; ) await this.#more.promise;
  }
}

/** Runs a seed's calls against the manager, through its kills and a caller's. */
class Run {
  readonly subjects: readonly Subject[];
  readonly lock: LockHistory;
  readonly #seed: number;
  readonly #progress = new Progress();
  #serial = 0;

  constructor(seed: number) {
    const { clock } = systemEnvironment();
    this.#seed = seed;
    this.subjects = subjectsOf(`of seed ${seed}`, clock);
    this.lock = new LockHistory(`of seed ${seed}`, clock);
  }

  /** The last caller is killed with its calls under way, as the manager is for the last time. */
  async through(manager: ServedManager, callers: readonly [Caller, Caller], doomed: Caller): Promise<void> {
    const lines = callers.flatMap((caller, client) => this.#lines(caller, client));
    for (const line of this.#lines(doomed, callers.length)) line.catch(() => undefined);
    const all = Promise.all(lines);
    const over = all.then(() => undefined);
    for (let kill = 0; kill < KILLS; kill++) {
      await Promise.race([over, this.#progress.passed(CALLS_BETWEEN_KILLS)]);
      await manager.kill();
      if (kill === KILLS - 1) {
        await doomed.kill();
        this.lock.ends(callers.length);
      }
      await manager.start();
    }
    await all;
    await this.#close(callers[0]);
  }

  async #close(caller: Caller): Promise<void> {
    for (const subject of this.subjects) await subject.close(caller, 0);
    expect(await this.lock.close(caller, 0)).toBe(false);
    const written = (await caller.call(this.lock.log, "toArray")) as bigint[];
    expect(written).toEqual(written.toSorted((a, b) => Number(a - b)));
  }

  #lines(caller: Caller, client: number): Promise<void>[] {
    const calls = this.subjects.flatMap((subject) =>
      Array.from({ length: subject.lines }, (_, line) => {
        const random = seededRandom(this.#seed, `${subject.object.name} ${client} ${line}`);
        return this.#line(() => subject.call(caller, client, random, ++this.#serial));
      }),
    );
    const random: Random = seededRandom(this.#seed, `lock ${client}`);
    return [...calls, this.#line(() => this.lock.use(caller, client, random))];
  }

  async #line(call: () => Promise<unknown>): Promise<void> {
    for (let made = 0; made < CALLS; made++) {
      await call().catch((error: Error) => {
        if (!REFUSALS.has(error.name)) throw error;
      });
      this.#progress.add();
    }
  }
}

describe(`histories of client processes at the real manager, killed ${KILLS} times over`, () => {
  const scope = new AsyncDisposableStack();
  let manager: ServedManager;
  let address = "";
  let callers: readonly [Caller, Caller];

  beforeAll(async () => {
    manager = scope.use(await ServedManager.start());
    address = await manager.coordinates();
    callers = await Promise.all([Caller.start(address), Caller.start(address)]);
    for (const caller of callers) scope.use(caller);
  });
  afterAll(() => scope.disposeAsync());

  test.for(Array.from({ length: SEEDS }, (_, at) => FIRST + at))(
    "no caller sees an error, and each object behaves as one that takes one call at a time, through seed %i",
    { timeout: 120_000 },
    async (seed) => {
      await using doomed = await Caller.start(address, DOOMED_TTL_MS);
      const run = new Run(seed);
      await settles(run.through(manager, callers, doomed), () => manager.complaints, 100_000);
      for (const subject of run.subjects) {
        expect(subject.length).toBeGreaterThan(2 * CALLS);
        subject.judge();
      }
      run.lock.judge();
      expect(LockHistory.allows(withTokensSwapped(run.lock.history))).toBe(false);
    },
  );
});

type LockCalls = LockHistory["history"];

/** The history as it would be if two holders had been given each other's tokens. */
function withTokensSwapped(history: LockCalls): LockCalls {
  const granted = history.filter(({ output }) => output !== undefined && "value" in output && isToken(output.value));
  const [one, other] = [granted.at(0), granted.at(-1)];
  return history.map((call) => {
    const swapped = call === one ? other : call === other ? one : undefined;
    return swapped?.output === undefined ? call : { ...call, output: swapped.output };
  });
}

const isToken = (value: unknown): value is bigint => typeof value === "bigint";
