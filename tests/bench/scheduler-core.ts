import {
  type AssignmentId,
  type ClientKey,
  type Effect,
  type Input,
  type JobKey,
  type NodeKey,
  type PoolKey,
  Scheduler,
} from "@heddle/core-scheduler";
import { assert, seededRandom } from "@heddle/kernel";

const [client, pool, job] = [1 as ClientKey, 1 as PoolKey, 1 as JobKey];
/** Every how many answers the clock of the run goes on by a millisecond. */
const ANSWERS_PER_MS = 300;

/**
 * The scheduler's core alone: `nodes` of `slots` each with credit for twice as many, and one job that always has more chunks than they hold, all
 * offered before the first is finished; any of those placed may be finished next. A decision is one chunk offered, placed and finished, of
 * `chunks`. The tenths are the first and the last of the finished ones, per second: they tell whether it slows down.
 */
export function benchScheduler({ nodes, chunks, slots }: { nodes: number; chunks: number; slots: number }): {
  readonly decisionsPerSecond: number;
  readonly firstTenth: number;
  readonly lastTenth: number;
} {
  const run = new Run(nodes, slots);
  const tenth = Math.max(1, Math.floor(chunks / 10));
  const laps: number[] = [];
  const startedMs = performance.now();
  run.offer(10 * tenth + run.room);
  for (let lap = 0; lap < 10; lap++) {
    const lapMs = performance.now();
    run.finish(tenth);
    laps.push((1_000 * tenth) / (performance.now() - lapMs));
  }
  const seconds = (performance.now() - startedMs) / 1_000;
  assert(run.chunksDone === 10 * tenth, "every answer was one of a chunk that was placed");
  return { decisionsPerSecond: (10 * tenth) / seconds, firstTenth: laps[0] ?? 0, lastTenth: laps[9] ?? 0 };
}

class Run {
  readonly #core = new Scheduler({ random: { float: () => 0.5, int: (bound) => bound >> 1 } });
  readonly #outcome = { type: "done", bytes: 8 } as const;
  readonly #random = seededRandom(1);
  /** Chunks that the nodes hold at a time. */
  readonly room: number;
  /** Assignments are numbered as they are placed, and each that is finished makes room for one. */
  readonly #live: number[];
  #finished = 0;

  constructor(nodes: number, slots: number) {
    this.room = 2 * slots * nodes;
    this.#live = Array.from({ length: this.room }, (_, at) => at + 1);
    this.#feed({ type: "client-joined", client });
    this.#feed({ type: "pool-opened", pool, client, slotsMax: undefined, requirements: undefined });
    const plain = { collect: false, unreadBytesMax: undefined, ordered: false, requirements: undefined };
    this.#feed({ type: "job-opened", job, pool, retries: 0, depth: 0, ...plain });
    for (let at = 1; at <= nodes; at++) {
      const node = at as NodeKey;
      this.#feed({ type: "node-joined", node, slots, labels: new Map(), resources: new Map() });
      this.#feed({ type: "credit-granted", node, chunks: 2 * slots });
    }
  }

  get chunksDone(): number | undefined {
    return this.#core.jobs()[0]?.chunksDone;
  }

  offer(chunks: number): void {
    for (let chunk = 0; chunk < chunks; chunk++) this.#feed({ type: "chunk-offered", job, chunk, count: 1, grain: 0 });
  }

  /** Finishes so many of what the nodes hold, by chance. */
  finish(count: number): void {
    for (let left = count; left > 0; left--) {
      const at = this.#random.int(this.room);
      const assignment = this.#live[at] as AssignmentId;
      this.#live[at] = this.room + ++this.#finished;
      this.#feed({ type: "chunk-finished", assignment, outcome: this.#outcome, runMs: 5 });
    }
  }

  #feed(input: Input): readonly Effect[] {
    return this.#core.step(this.#finished / ANSWERS_PER_MS, input);
  }
}
