import { setTimeout } from "node:timers/promises";
import { type Random, seededRandom } from "@heddle/kernel";
import { machineMs, type OnceState } from "./client-events.ts";
import type { ClientRunner } from "./client-runner.ts";
import type { FailedCall } from "./judge.ts";
import type { Heard, KeptJob, RemoteError } from "./kept-job.ts";
import { hangMs } from "./limits.ts";
import { UNKNOWN_WRITES } from "./once-lane.ts";
import { pick } from "./plan.ts";
import type { SubmitterEvent } from "./submitter-program.ts";

/** How a job comes to the fabric: by a program that leaves once it is accepted, by one that is killed at any moment, or by two clients at a time. */
const manners = ["left", "killed", "by two"] as const;
/** A submitter that is to die does so within this time of its beginning. */
const KILLED_WITHIN_MS = 1_500;

/** What the jobs need of a run. */
export interface KeptJobsOptions {
  readonly seed: number;
  readonly leaseMs: number;
  /** Of one identity. */
  readonly clients: readonly ClientRunner[];
  /** Which of several at a time it is. */
  readonly line: number;
  /** Starts a program on the host of a client that submits a job. */
  readonly submitter: (client: string, job: KeptJob, hears: (event: SubmitterEvent) => void) => Submitter;
  readonly failed: (call: FailedCall) => void;
  readonly once: (state: OnceState) => void;
  readonly wrong: (message: string) => void;
}

/** What was done, in numbers. */
export interface KeptCounts {
  jobs: number;
  items: number;
  /** By programs and clients, again where nobody had heard that the job was accepted. */
  submissions: number;
  killedSubmitters: number;
  /** Those who attached. */
  listeners: number;
}

/** A program that submits. */
export interface Submitter {
  readonly gone: Promise<number | string>;
  readonly kill: () => void;
}

/** Detached jobs, one after the other: who submits them is gone before they are over, and whoever attaches hears the same, whatever became of the coordinator meanwhile. */
export class KeptJobs {
  readonly counts: KeptCounts = { jobs: 0, items: 0, killedSubmitters: 0, submissions: 0, listeners: 0 };
  readonly #options: KeptJobsOptions;
  #isOver = false;

  constructor(options: KeptJobsOptions) {
    this.#options = options;
  }

  /** Begins no more: `run` resolves when the last one is over. */
  finish(): void {
    this.#isOver = true;
  }

  async run(): Promise<void> {
    for (let round = 1; !this.#isOver; round++) {
      const { seed, leaseMs, line } = this.#options;
      const name = `kept-${seed}.${line}.${round}`;
      await this.#round(name, seededRandom(seed, name)).catch((error: unknown) =>
        this.#options.wrong(`job ${name} could not be looked after: ${String(error)}`),
      );
      await setTimeout(seededRandom(seed, `${name} pause`).int(leaseMs / 5));
    }
  }

  async #round(jobId: string, random: Random): Promise<void> {
    const { once } = this.#options;
    const job: KeptJob = {
      ...{ jobId, items: 1 + random.int(80), chunkSize: 1 + random.int(6), ms: random.int(80) },
      isOnce: random.int(3) === 0,
    };
    this.counts.jobs++;
    this.counts.items += job.items;
    if (job.isOnce) once({ key: jobId, state: "asked" });
    await this.#submit(job, pick(random, manners), random);
    const fromMs = machineMs();
    const early = [this.#attach(job, random), this.#attach(job, random)];
    const answers = [...(await Promise.all(early)), await this.#attach(job, random)];
    for (const { name, message } of this.#judge(job, answers))
      this.#options.failed({ client: "", lane: laneOf(job), name, message, fromMs, untilMs: machineMs() });
  }

  /** Resolves when the fabric has the job: as long as nobody has heard so, somebody submits it again. */
  async #submit(job: KeptJob, manner: (typeof manners)[number], random: Random): Promise<void> {
    switch (manner) {
      case "left":
        if (await this.#byProgram(job, random)) return;
        break;
      case "killed":
        if (await this.#byProgram(job, random, random.int(KILLED_WITHIN_MS))) return;
        break;
      case "by two":
        await Promise.all([this.#byClient(job, random), this.#byClient(job, random)]);
        return;
    }
    await this.#byClient(job, random);
  }

  /** Resolves to whether it was accepted, as far as its submitter could tell. */
  async #byProgram(job: KeptJob, random: Random, killedAfterMs?: number): Promise<boolean> {
    const { clients, submitter, failed, wrong } = this.#options;
    const { name } = pick(random, clients);
    const begun = Promise.withResolvers<void>();
    let accepted = false;
    this.counts.submissions++;
    const program = submitter(name, job, (event) => {
      if (event.type === "begins") begun.resolve();
      if (event.type === "accepted") accepted = true;
      if (event.type === "failed") failed({ client: name, lane: `new-${laneOf(job)}`, ...event });
    });
    if (killedAfterMs !== undefined) {
      await Promise.race([begun.promise, program.gone]);
      await Promise.race([setTimeout(killedAfterMs), program.gone]);
      program.kill();
      this.counts.killedSubmitters++;
    }
    const how = await program.gone;
    if (killedAfterMs === undefined && how !== 0) wrong(`who submitted ${job.jobId} ended with ${how}`);
    return accepted;
  }

  async #byClient(job: KeptJob, random: Random): Promise<void> {
    await this.#asked(job, random, "submitKept", () => {
      this.counts.submissions++;
    });
  }

  /** Its answers, or the error by which it failed. */
  async #attach(job: KeptJob, random: Random): Promise<Heard> {
    const count = (): void => {
      this.counts.listeners++;
    };
    return (await this.#asked(job, random, "attachKept", count)) as Heard;
  }

  /** Asks one client after the other until one could answer. Rejects when none has for longer than any fault explains. */
  async #asked(job: KeptJob, random: Random, method: string, begins: () => void): Promise<unknown> {
    const { clients, leaseMs, failed } = this.#options;
    const endMs = machineMs() + hangMs(leaseMs);
    while (machineMs() < endMs) {
      const client = pick(random, clients);
      const fromMs = machineMs();
      if (client.isRunning) begins();
      const answer = await answerOf(client, method, job, endMs);
      if (answer.type === "value") return answer.value;
      if (answer.type === "error")
        failed({ ...answer.error, client: client.name, lane: laneOf(job), fromMs, untilMs: machineMs() });
      await setTimeout(200);
    }
    throw new Error(`${method} has not settled for ${hangMs(leaseMs) / 1_000} s`);
  }

  /** All heard the same, and that is right but for the errors that are given back. */
  #judge(job: KeptJob, [first = [], ...others]: readonly Heard[]): RemoteError[] {
    const { wrong, once } = this.#options;
    const { jobId, items, isOnce } = job;
    for (const other of others)
      if (JSON.stringify(other) !== JSON.stringify(first)) wrong(`who attached to ${jobId} heard different answers`);
    if ("failure" in first) return [first.failure];
    if (first.length !== items) wrong(`${jobId} has ${first.length} answers of ${items} items`);
    const [done, unknown, errors]: [number[], number[], RemoteError[]] = [[], [], []];
    for (const [n, result] of first.entries()) {
      const fails = isOnce && n % 7 === 6;
      const isOwn = "error" in result && result.error.name === "RangeError";
      const isRight = "value" in result ? !fails && result.value[0] === n * n : isOnce && (fails || !isOwn);
      if (!isRight) wrong(`item ${n} of ${jobId} came to ${JSON.stringify(result)}`);
      if ("value" in result) done.push(n);
      else if (!isOwn) errors.push(result.error);
      if ("error" in result && UNKNOWN_WRITES.has(result.error.name)) unknown.push(n);
    }
    if (isOnce) once({ key: jobId, state: "answered", done, unknown });
    return errors;
  }
}

/** As errors of it are judged; "new-" and this where a new program submits it. */
const laneOf = ({ isOnce }: KeptJob): string => (isOnce ? "kept-once" : "kept");

type Answer =
  | { readonly type: "value"; readonly value: unknown }
  | { readonly type: "error"; readonly error: RemoteError }
  /** There is nobody to answer, or not any more. */
  | { readonly type: "none" };

/** Of a client that may be killed meanwhile. */
async function answerOf(client: ClientRunner, method: string, job: KeptJob, endMs: number): Promise<Answer> {
  if (!client.isRunning) return { type: "none" };
  const { life } = client;
  const answer = client.ask(method, job).then(
    (value): Answer => ({ type: "value", value }),
    ({ name, message }: Error): Answer => ({ type: "error", error: { name, message } }),
  );
  const looks = new AbortController();
  const death = async (): Promise<Answer> => {
    while (client.isRunning && client.life === life && machineMs() < endMs && !looks.signal.aborted)
      await setTimeout(200);
    return { type: "none" };
  };
  try {
    return await Promise.race([answer, death()]);
  } finally {
    looks.abort();
  }
}
