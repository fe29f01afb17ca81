import { range } from "heddle";
import { shared } from "./client-events.ts";
import { type Lane, type LaneContext, mustBe, WrongResult } from "./lane.ts";
import {
  countRun,
  failThirds,
  flakySquare,
  LARGE_BYTES,
  large,
  lazySquare,
  markedSquare,
  plus,
  slowSquare,
  square,
  straggle,
  turned,
} from "./tasks.ts";

/** A straggler is known as one by half of this. */
const STRAGGLER_MS = 4_000;

const squaresOf = (count: number): number[] => Array.from({ length: count }, (_, n) => n * n);

/** A generator that is read now and then. */
function* numbers(count: number): Generator<number> {
  for (let n = 0; n < count; n++) yield n;
}

async function map({ pool, random, tally }: LaneContext): Promise<void> {
  const count = 1 + random.int(3_000);
  tally(1, count);
  mustBe("map", await pool.map(square, range(count)), squaresOf(count));
}

async function mapSlowly({ pool, random, tally }: LaneContext): Promise<void> {
  const count = 10 + random.int(100);
  tally(1, count);
  const chunkSize = 1 + random.int(8);
  mustBe("map of tasks that wait", await pool.map(lazySquare, range(count), { chunkSize }), squaresOf(count));
}

async function mapLarge({ pool, random, tally }: LaneContext): Promise<void> {
  const inputs = Array.from({ length: 1 + random.int(4) }, (_, at) =>
    new Uint8Array(1_000 + random.int(600_000)).fill(at + 1).fill(7, 0, 1),
  );
  tally(1, inputs.length);
  const outputs = await pool.map(turned, inputs, { chunkSize: 1 });
  for (const [at, input] of inputs.entries()) {
    const output = outputs[at];
    const sum = 7 + (at + 1) * (input.length - 1);
    mustBe("map of large values", [output?.sum, output?.bytes.length, output?.bytes.at(-1)], [sum, input.length, 7]);
  }
}

async function imap({ pool, random, tally }: LaneContext): Promise<void> {
  const count = 20 + random.int(150);
  tally(1, count);
  const seen: number[] = [];
  const isSlow = random.int(2) === 0;
  for await (const value of pool.imap(lazySquare, numbers(count), { chunkSize: 1 + random.int(5) })) {
    seen.push(value);
    if (isSlow && random.int(10) === 0) await new Promise((resolve) => setTimeout(resolve, random.int(80)));
  }
  mustBe("imap", seen, squaresOf(count));
}

async function imapUnordered({ pool, random, tally }: LaneContext): Promise<void> {
  const count = 20 + random.int(150);
  tally(1, count);
  const seen: number[] = [];
  for await (const value of pool.imapUnordered(lazySquare, numbers(count))) seen.push(value);
  mustBe(
    "imapUnordered",
    seen.toSorted((a, b) => a - b),
    squaresOf(count),
  );
}

/** Large results that nobody takes for a while: more than may be unread, so that some wait on the coordinator's disk. */
async function imapPaused({ pool, random, tally }: LaneContext): Promise<void> {
  const count = 20 + random.int(20);
  tally(1, count);
  const options = { chunkSize: 1 + random.int(2), bufferSize: count };
  const isOrdered = random.int(2) === 0;
  const inputs = range(1, 1 + count);
  const results = isOrdered ? pool.imap(large, inputs, options) : pool.imapUnordered(large, inputs, options);
  const seen: (readonly [length: number, first: number | undefined, last: number | undefined])[] = [];
  const pauseAt = 1 + random.int(3);
  for await (const bytes of results) {
    seen.push([bytes.length, bytes[0], bytes.at(-1)]);
    if (seen.length === pauseAt) await new Promise((resolve) => setTimeout(resolve, 500 + random.int(6_000)));
  }
  const inOrder = isOrdered ? seen : seen.toSorted((a, b) => (a[1] ?? 0) - (b[1] ?? 0));
  mustBe(
    "imap of large results",
    inOrder,
    squaresOf(count).map((_, n) => [LARGE_BYTES, n + 1, n + 1]),
  );
}

async function mapReduce({ pool, random, tally }: LaneContext): Promise<void> {
  const count = 1 + random.int(30_000);
  tally(1, count);
  const sum = await pool.mapReduce(square, plus, range(count));
  mustBe("mapReduce", sum, ((count - 1) * count * (2 * count - 1)) / 6);
}

async function retries({ pool, random, tally }: LaneContext): Promise<void> {
  const count = 1 + random.int(30);
  tally(1, count);
  mustBe("map with retries", await pool.map(flakySquare, range(count), { retries: 3 }), squaresOf(count));
}

async function collect({ pool, random, tally }: LaneContext): Promise<void> {
  const count = 1 + random.int(60);
  tally(1, count);
  const results = await pool.map(failThirds, range(count), { onError: "collect", chunkSize: 1 + random.int(9) });
  const short = results.map((result) => {
    if (result.status === "fulfilled") return result.value;
    const error: unknown = result.reason;
    if (error instanceof RangeError) return error.message;
    throw error; // a worker's death, say
  });
  mustBe(
    "map that collects",
    short,
    squaresOf(count).map((value, n) => (n % 3 === 0 ? `${n} is a third` : value)),
  );
}

async function apply({ pool, random, tally }: LaneContext): Promise<void> {
  const calls = Array.from({ length: 1 + random.int(6) }, () => [random.int(1_000), random.int(150)] as const);
  tally(calls.length, calls.length);
  const values = await Promise.all(calls.map(([n, ms]) => pool.apply(slowSquare, [n, ms])));
  mustBe(
    "apply",
    values,
    calls.map(([n]) => n * n),
  );
}

/** Tasks write to a shared dict, at least once each. */
async function writingTasks({ pool, manager, random, name, tally }: LaneContext): Promise<void> {
  const count = 1 + random.int(30);
  tally(1, count);
  const key = `${name} ${random.int(2 ** 31)}`;
  const runs = manager.dict<string, number>([], { name: shared.runs });
  const values = await pool.starmap(
    countRun,
    squaresOf(count).map((_, n) => [n, runs, key] as [number, typeof runs, string]),
  );
  mustBe("tasks that write", values, squaresOf(count));
  const counted = await runs.pop(key, 0);
  if (counted < count) throw new WrongResult(`${count} tasks have counted ${counted} of their runs`);
}

/** The first attempt of one item takes for ever, as it seems: a second one elsewhere answers. */
async function stragglers({ pool, random, tally, overtaken }: LaneContext): Promise<void> {
  const count = 30 + random.int(30);
  tally(1, count);
  const inputs = squaresOf(count).map((_, n): [number, number] => [n, STRAGGLER_MS]);
  const answers = await pool.starmap(straggle, inputs, { speculate: true, chunkSize: 1 + random.int(2) });
  overtaken(answers.filter(({ isSecond }) => isSecond).length);
  mustBe(
    "map with stragglers",
    answers.map(({ square }) => square),
    squaresOf(count),
  );
}

/** Two submissions under one id are one job: whoever listens hears the same answers, of the same runs. */
async function twice({ fabric, pool, random, tally, name }: LaneContext): Promise<void> {
  const count = 1 + random.int(40);
  tally(1, count);
  const inputs = squaresOf(count).map((_, n): [number, number] => [n, 5]);
  const options = { jobId: `twice-${name}-${random.int(2 ** 31)}`, detach: random.int(2) === 0, chunkSize: 3 };
  const calls = [0, 1].map(() => pool.starmapAsync(markedSquare, inputs, options));
  const [first = [], second] = await Promise.all(calls);
  mustBe(
    "a job that was submitted twice",
    first.map(([square]) => square),
    squaresOf(count),
  );
  mustBe("what its second caller hears", second, first);
  mustBe("what is heard when it is over", await fabric.attach(options.jobId).get(), first);
}

export const jobLanes: readonly (readonly [name: string, lane: Lane])[] = [
  ["map", map],
  ["map-slow", mapSlowly],
  ["map-large", mapLarge],
  ["imap", imap],
  ["imap-unordered", imapUnordered],
  ["imap-paused", imapPaused],
  ["map-reduce", mapReduce],
  ["retries", retries],
  ["collect", collect],
  ["apply", apply],
  ["writing-tasks", writingTasks],
  ["stragglers", stragglers],
  ["twice", twice],
];
