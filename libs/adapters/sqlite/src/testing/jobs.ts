import { JobId } from "@heddle/kernel";
import type { JobChange, JobStore, StoredJob } from "@heddle/port-job-store";
import { recordAt } from "./records.ts";

/** Answers that a pair of jobs gets before it is dropped and another takes its ids. */
const ANSWERS_MAX = 40;

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const leftOf = (lane: number): JobId => JobId(`left-${lane}`);
const rightOf = (lane: number): JobId => JobId(`right-${lane}`);

/**
 * The step that comes after so many of a lane. Each lane has two jobs: every step feeds the left one, gives both an answer and notes how many there are, so
 * that a step that is there in part is seen. After ANSWERS_MAX of them both are dropped and added anew, with the number of the step.
 */
export function stepOf(lane: number, steps: number): JobChange[] {
  const [left, right] = [leftOf(lane), rightOf(lane)];
  const at = steps % ANSWERS_MAX;
  const begin: JobChange[] = [left, right].flatMap((job) => [
    { type: "job-dropped", job },
    { type: "job-added", job, spec: bytesOf(String(steps)) },
    { type: "code-added", job, hash: "c0de", bytes: recordAt(steps) },
  ]);
  const about = bytesOf(`of ${at}`);
  const step: JobChange[] = [
    { type: "chunk-added", job: left, chunk: at, about, input: recordAt(steps) },
    { type: "answer-added", job: left, answer: at, about, bytes: recordAt(steps) },
    { type: "answer-added", job: right, answer: at, about, bytes: recordAt(steps) },
    { type: "job-noted", job: left, note: bytesOf(String(at + 1)) },
  ];
  if (at === ANSWERS_MAX - 1) step.push({ type: "inputs-dropped", job: left }, { type: "history-added", entry: about });
  return at === 0 ? [...begin, ...step] : step;
}

/** Recovers a store that `stepOf` filled, and reads everything. Gives the steps of each lane; throws at the first thing that is wrong. */
export async function checkSteps(store: JobStore): Promise<Map<number, number>> {
  const { jobs } = await store.recover();
  const byId = new Map(jobs.map((job) => [job.id, job]));
  const steps = new Map<number, number>();
  for (const left of jobs) {
    const lane = Number(/^left-(\d+)$/.exec(left.id)?.[1] ?? Number.NaN);
    if (!Number.isNaN(lane)) steps.set(lane, await checkLane(store, left, byId.get(rightOf(lane))));
  }
  if (jobs.length !== 2 * steps.size) throw new Error(`${jobs.length} jobs of ${steps.size} lanes`);
  return steps;
}

async function checkLane(store: JobStore, left: StoredJob, right: StoredJob | undefined): Promise<number> {
  const first = Number(textOf(left.spec));
  const count = Number(textOf(left.note ?? bytesOf("")));
  if (right === undefined || textOf(right.spec) !== String(first)) throw new Error(`${left.id} is alone at ${first}`);
  const isOver = count === ANSWERS_MAX;
  const counts = [left.answers.length, right.answers.length, left.chunks.length, left.code.length, right.code.length];
  const expected = [count, count, isOver ? 0 : count, isOver ? 0 : 1, 1];
  if (String(counts) !== String(expected)) throw new Error(`${left.id} has ${counts}, not ${expected}`);
  for (let at = 0; at < count; at++) {
    const found = [await store.answer(left.id, at), await store.answer(right.id, at)];
    if (!isOver) found.push(await store.input(left.id, at));
    for (const bytes of found) {
      if (bytes === undefined || !Buffer.from(recordAt(first + at)).equals(bytes))
        throw new Error(`${left.id} is wrong at ${at}`);
    }
  }
  return first + count;
}
