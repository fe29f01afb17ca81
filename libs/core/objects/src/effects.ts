import { decode, keep, needRoom, valueAt } from "./content.ts";
import { addRun, chargeJob, enlistJob, forgetJob, type Outcome, outcomeOf, runBytes, runsOf } from "./effects-jobs.ts";
import { ITEM_OVERHEAD_BYTES } from "./limits.ts";
import { numbers, overLimit, refused } from "./replies.ts";
import type { EffectsJob, Owner, State } from "./state.ts";
import { needPlace } from "./tally.ts";
import { allOrNothing, doStep, needUnchanged, type PartOf, type Step, stepOf } from "./transaction.ts";
import type { Operation, Reply } from "./types.ts";

/** Takes a job whose items' writes count once; taken already by the same owner, or by anybody if it outlives who opened it, nothing is done. */
export function effectsOpen(state: State, operation: Operation, owner: Owner): Reply {
  const id = jobIdOf(state, operation);
  const creator = operation.numbers[0] === 1 ? undefined : owner;
  const there = state.jobs.get(id);
  if (there !== undefined) {
    needSame(there, creator);
    return numbers(state, operation, [0]);
  }
  const { session } = owner;
  needPlace(session.tally.jobs);
  needRoom(state, ITEM_OVERHEAD_BYTES);
  enlistJob(state, { id, creator, maker: session, changed: state.revision, bytes: 0, runs: [] });
  return numbers(state, operation, [1]);
}

export function effectsClose(state: State, operation: Operation): Reply {
  const job = state.jobs.get(jobIdOf(state, operation));
  if (job !== undefined) forgetJob(state, job);
  return numbers(state, operation, [job === undefined ? 0 : 1]);
}

/**
 * Does what those items have written that are not settled, in order and at one revision, and settles them; or nothing of it. Of items that are
 * settled the outcome is told. When all are, nothing is expected either: who asks again what was done would find its own changes.
 */
export function effectsCommit(state: State, operation: Operation, partOf: PartOf): Reply {
  const job = needJob(state, operation);
  const items = itemsOf(state, operation, partOf);
  const known = items.map(({ index }) => outcomeOf(job, index));
  const fresh = items.filter((_, at) => known[at] === undefined);
  const told = known.flatMap((outcome) => (outcome === undefined ? [] : [keep(outcome)]));
  needRoom(state, sumOf(told));
  if (fresh.length > 0) {
    const isWhole = fresh.length === items.length;
    for (const expectation of operation.expectations) {
      if (expectation.object !== NO_OBJECT) needUnchanged(state, expectation);
      else if (!isWhole)
        throw refused(
          "conflict",
          `some items of job ${job.id} were settled meanwhile, and what others have written may depend on theirs`,
        );
    }
    allOrNothing(state, operation.operations, () => settle(state, job, fresh));
  }
  const settled = known.map((outcome) => (outcome === undefined ? 1 : 0));
  return { ...numbers(state, operation, settled), values: told };
}

export function effectsSettled(state: State, operation: Operation): Reply {
  const job = needJob(state, operation);
  const [first = 0, count = 0] = operation.numbers;
  needItems(state, first, count);
  const outcomes = Array.from({ length: count }, (_, at) => outcomeOf(job, first + at));
  const values = outcomes.filter((outcome) => outcome !== undefined);
  const told = outcomes.map((outcome) => (outcome === undefined ? 0 : 1));
  return { seq: operation.seq, values, numbers: told, revision: job.changed, refusal: undefined };
}

/** An item of a commit, and what it has written. */
interface Item extends Outcome {
  readonly steps: readonly Step[];
}

function settle(state: State, job: EffectsJob, fresh: readonly Item[]): void {
  const runs = runsOf(fresh);
  let bytes = 0;
  for (const run of runs) bytes += runBytes(run);
  const actual = job.bytes + bytes;
  if (actual > state.limits.EFFECTS_JOB_BYTES_MAX)
    throw overLimit(state, "EFFECTS_JOB_BYTES_MAX", actual, `the outcomes of job ${job.id} are too large`);
  needRoom(state, bytes);
  chargeJob(state, job, bytes);
  for (const { steps } of fresh) for (const step of steps) doStep(state, step);
  for (const run of runs) addRun(job, run);
  job.changed = state.revision;
}

/** The items of a commit; refuses one that is too large, or not in order, whatever is settled. */
function itemsOf(state: State, operation: Operation, partOf: PartOf): Item[] {
  const { values, operations, expectations } = operation;
  const [first = 0, ...counts] = operation.numbers;
  needItems(state, first, counts.length);
  const written = counts.reduce((sum, count) => sum + (Number.isInteger(count) && count >= 0 ? count : Number.NaN), 0);
  if (values.length !== 1 + counts.length || written !== operations.length)
    throw refused("invalid-argument", "a commit has an outcome for each of its items, and says whose each write is");
  needSmall(state, operation, Math.max(operations.length, expectations.length));
  let from = 0;
  return counts.map((count, at) => {
    const index = first + at;
    const own = operations.slice(from, from + count);
    const steps = own.map((each, place) => writeOf(each, `operation ${from + place + 1}, of item ${index}`, partOf));
    from += count;
    return { index, outcome: values[1 + at] ?? NOTHING, steps };
  });
}

const NOTHING = new Uint8Array();
/** What an expectation names that is about no object: that none of the items is settled. */
const NO_OBJECT = "";

function needItems(state: State, first: number, count: number): void {
  if (count > state.limits.EFFECTS_ITEMS_MAX)
    throw overLimit(state, "EFFECTS_ITEMS_MAX", count, "too many items at once");
  if (!(Number.isSafeInteger(first) && first >= 0 && Number.isInteger(count) && count >= 1))
    throw refused("invalid-argument", `${count} items from ${first} on are none`);
}

function needSmall(state: State, { values, operations }: Operation, count: number): void {
  if (count > state.limits.EFFECTS_OPERATIONS_MAX)
    throw overLimit(state, "EFFECTS_OPERATIONS_MAX", count, "too many writes are to count at once");
  const outcomes = values.slice(1);
  const largest = outcomes.reduce((most, { length }) => Math.max(most, length), 0);
  if (largest > state.limits.EFFECTS_OUTCOME_BYTES_MAX)
    throw overLimit(state, "EFFECTS_OUTCOME_BYTES_MAX", largest, "the outcome of an item is too large");
  const bytes = operations.reduce((sum, each) => sum + sumOf(each.values), sumOf(outcomes));
  if (bytes > state.limits.EFFECTS_COMMIT_BYTES_MAX)
    throw overLimit(state, "EFFECTS_COMMIT_BYTES_MAX", bytes, "what is to count at once is too large");
}

/** A lock that was held when an item ran says nothing about the moment at which its writes count. */
export function writeOf(operation: Operation, name: string, partOf: PartOf): Step {
  if (operation.guards.length > 0)
    throw refused("state", `${name} is guarded by a lock: writes that count once are not`);
  return stepOf(operation, name, partOf);
}

function jobIdOf(state: State, operation: Operation): string {
  const id = decode(state, valueAt(operation, 0, "the job's id"));
  if (typeof id !== "string" || id === "") throw refused("type", "a job's id is a string that is not empty");
  if (id.length > state.limits.NAME_BYTES_MAX)
    throw overLimit(state, "NAME_BYTES_MAX", id.length, "the job's id is too long");
  return id;
}

function needJob(state: State, operation: Operation): EffectsJob {
  const id = jobIdOf(state, operation);
  const job = state.jobs.get(id);
  if (job !== undefined) return job;
  throw refused("not-found", `job ${id} is over, or was never opened here: what it writes does not count any more`);
}

function needSame({ id, creator }: EffectsJob, asked: Owner | undefined): void {
  if (creator === asked) return;
  if (creator !== undefined && asked !== undefined)
    throw refused("conflict", `job ${id} belongs to another, session ${creator.session.number}`);
  const [is, wanted] = creator === undefined ? ["outlives", "ends with"] : ["ends with", "outlives"];
  throw refused("conflict", `job ${id} is open as one that ${is} its session, not as one that ${wanted} it`);
}

function sumOf(values: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const { length } of values) bytes += length;
  return bytes;
}
