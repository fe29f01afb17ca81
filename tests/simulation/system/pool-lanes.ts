import { range, WorkerLostError } from "heddle";
import { moreCalls, wholePoolCalls } from "../../harness/whole-pool-calls.ts";
import { type Lane, type LaneStage, passed, promised } from "./lane.ts";
import { pick } from "./plan.ts";

/** What calls of pools promise: the lanes that need no manager. */
export const poolLanes = { mapped, streamed, scattered, applied, failing, poisoned, cancelled, heavy } as const;

const squares = (count: number): number[] => Array.from({ length: count }, (_, n) => n * n);

function same(is: unknown, should: unknown, what: string): void {
  const [one, other] = [JSON.stringify(is), JSON.stringify(should)];
  promised(one === other, () => `${what}: ${one}, and it should be ${other}`);
}

function mapped({ cluster, pool, random }: LaneStage): Lane {
  const count = 5 + random.int(60);
  const chunkSize = 1 + random.int(8);
  const retries = random.int(2);
  const failed = new Set<number>();
  const slow = cluster.tasks.slowSquare(pick(random, [1, 20, 300]));
  const every = 3 + random.int(20);
  const task = (n: number): number | Promise<number> => {
    if (retries > 0 && n % every === 0 && !failed.has(n)) {
      failed.add(n);
      throw new RangeError(`no ${n}`);
    }
    return slow(n);
  };
  return { run: async () => same(await pool.map(task, range(count), { chunkSize, retries }), squares(count), "map") };
}

/** In order, to a reader who takes its time. */
function streamed({ cluster, pool, random }: LaneStage): Lane {
  const count = 5 + random.int(60);
  const bytes = pick(random, [1, 1_000, 100_000]);
  const pauseMs = random.int(100);
  const task = (n: number): Uint8Array => new Uint8Array(bytes).fill(n);
  const run = async (): Promise<void> => {
    let next = 0;
    for await (const value of pool.imap(task, range(count), { chunkSize: 1 + random.int(4) })) {
      same([value.length, value[0]], [bytes, next], `result ${next} of imap`);
      next++;
      if (next % 8 === 0) await passed(cluster, pauseMs);
    }
    same(next, count, "results of imap");
  };
  return { run };
}

/** Each once, of inputs that are read once and no further ahead than the window. */
function scattered({ cluster, pool, random }: LaneStage): Lane {
  const count = 5 + random.int(60);
  const bufferSize = 1 + random.int(10);
  const task = cluster.tasks.slowSquare(1 + random.int(50));
  const run = async (): Promise<void> => {
    let read = 0;
    function* inputs() {
      while (read < count) yield read++;
    }
    const seen: number[] = [];
    for await (const value of pool.imapUnordered(task, inputs(), { bufferSize })) {
      seen.push(value);
      promised(read <= seen.length + bufferSize, () => `${read} inputs were read for ${seen.length} results`);
    }
    same(
      seen.toSorted((a, b) => a - b),
      squares(count),
      "imapUnordered",
    );
  };
  return { run };
}

function applied({ cluster, pool, random }: LaneStage): Lane {
  const count = 1 + random.int(10);
  const task = cluster.tasks.slowSquare(1 + random.int(200));
  const run = async (): Promise<void> => {
    for (let n = 0; n < count; n++) same(await pool.apply(task, [n]), n * n, "apply");
  };
  return { run };
}

/** The error names the item. */
function failing({ cluster, pool, random }: LaneStage): Lane {
  const count = 3 + random.int(30);
  const bad = random.int(count);
  const slow = cluster.tasks.slowSquare(1 + random.int(50));
  const task = (n: number): number | Promise<number> => {
    if (n === bad) throw new RangeError(`no ${n}`);
    return slow(n);
  };
  const run = async (): Promise<void> => {
    const outcome = await pool
      .map(task, range(count), { chunkSize: 1 + random.int(4) })
      .catch((error: unknown) => error);
    if (!(outcome instanceof RangeError)) {
      promised(outcome instanceof Error, () => `a map of which item ${bad} fails gave ${JSON.stringify(outcome)}`);
      throw outcome;
    }
    const { remote } = outcome as RangeError & { readonly remote?: { readonly index?: number } };
    same([outcome.message.includes(`no ${bad}`), remote?.index], [true, bad], "the item that failed");
  };
  return { run };
}

/** One item kills whoever runs it; the others have their results, unless others died by chance. */
function poisoned({ cluster, pool, random, plan }: LaneStage): Lane {
  const count = 3 + random.int(20);
  const bad = random.int(count);
  const task = cluster.tasks.crashOn(bad);
  const run = async (): Promise<void> => {
    const results = await pool.map(task, range(count), { chunkSize: 1 + random.int(4), onError: "collect" });
    for (const [n, result] of results.entries()) {
      const isLost = result.status === "rejected" && result.reason instanceof WorkerLostError;
      if (n === bad) promised(isLost, () => `item ${n} kills its worker and gave ${JSON.stringify(result)}`);
      else if (plan.faults.killWorker + plan.faults.crash === 0 || !isLost)
        same(result, { status: "fulfilled", value: n * n }, `item ${n}`);
    }
  };
  return { run };
}

/** Cancelled amid its run; the pool goes on. */
function cancelled({ cluster, pool, random }: LaneStage): Lane {
  const count = 5 + random.int(40);
  const afterMs = random.int(3_000);
  const task = cluster.tasks.slowSquare(1 + random.int(500));
  const run = async (): Promise<void> => {
    const cancel = new AbortController();
    const reason = new Error("cancelled by its caller");
    const map = pool.map(task, range(count), { signal: cancel.signal });
    void passed(cluster, afterMs).then(() => cancel.abort(reason));
    try {
      same(await map, squares(count), "a map that was about to be cancelled");
    } catch (error) {
      if (error !== reason) throw error;
    }
    same(await pool.apply(cluster.tasks.square, [7]), 49, "apply after a cancel");
  };
  return { run };
}

/** Calls with thousands of items, of chunks that travel together, of folds: see whole-pool-calls.ts. */
function heavy({ cluster, pool, random }: LaneStage): Lane {
  const call = pick(random, [...wholePoolCalls, ...moreCalls]);
  return { run: () => call({ cluster, pool, random, joined: (fn) => fn }) };
}
