import { InvalidArgumentError, type Millis } from "@heddle/kernel";
import type { Assignment, Effect, Input, ItemMark, JobNumber, JobTerms, PoolNumber, WorkerKey } from "./types.ts";
import { WorkerPool } from "./worker-pool.ts";

/**
 * Races told as text, for tests. A file is comments (#) and blocks; a block is commands, a line of four dashes and the
 * effects expected:
 *
 *   options slots=2 [recycle=3]     a new pool; without it: slots=2
 *   at 20                           time of what follows
 *   start | describe j1 p1 [depth=1] [init] [recycle=3] [rss=100] [timeout=50] | code j1 | broken j1 TEXT | forget j1 | retire p1 | lost | drain | timer | view
 *   assign a1..a3 j1 [slots=2] [fresh] [grains=4]   without slots: as many as the pool has
 *   revoke a1 [stop]
 *   ready w1 w2 | joined w1 | init-failed w1 a1 | wait w1 | resume w1
 *   return w1 a1 [ms=0.5] [share=0.5] [grains=2] [rss=120] | skipped w1 a1
 *   seen w1 [mark=a1@3 for=20]      the answer to `read`
 *   exit w1 [mark=a1@3] [fault=TEXT]
 */
export function rewriteScenario(text: string): string {
  const play = new ScenarioPlay();
  const blocks = text.trimEnd().split("\n\n");
  return `${blocks.map((block) => (isBlock(block) ? play.block(block) : block)).join("\n\n")}\n`;
}

function isBlock(block: string): boolean {
  return block.split("\n").some((line) => line !== "" && !line.startsWith("#"));
}

class ScenarioPlay {
  #pool = new WorkerPool({ slots: 2 });
  #slots = 2;
  #nowMs: Millis = 0;

  block(block: string): string {
    const lines = block.trim().split("\n");
    const end = lines.indexOf("----");
    const commands = end < 0 ? lines : lines.slice(0, end);
    const said = commands.flatMap((line) => (line.startsWith("#") ? [] : this.#command(line)));
    return [...commands, "----", ...said].join("\n");
  }

  #command(line: string): string[] {
    const [verb = "", ...words] = line.trim().split(/\s+/);
    if (verb === "options") {
      this.#slots = numberOf(words, "slots") ?? 2;
      this.#pool = new WorkerPool({ slots: this.#slots, chunksPerWorkerMax: numberOf(words, "recycle") });
      return [];
    }
    if (verb === "at") {
      this.#nowMs = Number(words[0]);
      return [];
    }
    if (verb === "view") return [describeView(this.#pool)];
    return inputsOf(verb, words, this.#slots).flatMap((input) => {
      const effects = this.#pool.step(this.#nowMs, input);
      this.#pool.validate();
      return effects.map(describeEffect);
    });
  }
}

function inputsOf(verb: string, words: readonly string[], slots: number): readonly Input[] {
  const [first = "", second = ""] = words;
  const rest = words.slice(1).join(" ");
  switch (verb) {
    case "start":
      return [{ type: "started" }];
    case "describe":
      return [describedBy(job(first), pool(second), words)];
    case "code":
      return [{ type: "job-ready", job: job(first) }];
    case "broken":
      return [{ type: "job-broken", job: job(first), fault: rest }];
    case "forget":
      return [{ type: "job-forgotten", job: job(first) }];
    case "assign":
      return range(first).map((assignment) => {
        const poolSlots = numberOf(words, "slots") ?? slots;
        const grains = numberOf(words, "grains") ?? 1;
        const fresh = words.includes("fresh");
        return { type: "chunk-assigned", assignment, job: job(second), poolSlots, fresh, grains };
      });
    case "revoke":
      return range(first).map((assignment) => ({ type: "revoke-requested", assignment, stop: second === "stop" }));
    case "retire":
      return [{ type: "pool-retired", pool: pool(first) }];
    case "ready":
      return words.map((word) => ({ type: "worker-ready", worker: worker(word) }));
    case "joined":
      return [{ type: "worker-joined", worker: worker(first) }];
    case "init-failed":
      return range(second).map((assignment) => ({ type: "init-failed", worker: worker(first), assignment }));
    case "seen": {
      const mark = markOf(words);
      const forMs = numberOf(words, "for") ?? 0;
      return [{ type: "mark-seen", worker: worker(first), mark: mark === null ? null : { ...mark, forMs } }];
    }
    case "wait":
    case "resume":
      return [{ type: "task-waiting", worker: worker(first), waiting: verb === "wait" }];
    case "return":
      return range(second).map((assignment) => returnedBy(worker(first), assignment, words));
    case "skipped":
      return range(second).map((assignment) => {
        return { type: "chunk-returned", worker: worker(first), assignment, skipped: true, runMs: 0 };
      });
    case "exit":
      return [{ type: "worker-exited", worker: worker(first), mark: markOf(words), fault: textOf(words, "fault") }];
    case "lost":
      return [{ type: "coordinator-lost" }];
    case "drain":
      return [{ type: "drain-requested" }];
    case "timer":
      return [{ type: "timer-fired" }];
    default:
      throw new InvalidArgumentError(`no such command: ${verb} ${words.join(" ")}`);
  }
}

function describedBy(job: JobNumber, pool: PoolNumber, words: readonly string[]): Input {
  const terms: JobTerms = {
    hasInitializer: words.includes("init"),
    chunksPerWorkerMax: numberOf(words, "recycle"),
    rssBytesPerWorkerMax: numberOf(words, "rss"),
    itemTimeoutMs: numberOf(words, "timeout"),
  };
  return { type: "job-described", job, pool, depth: numberOf(words, "depth") ?? 0, terms };
}

function returnedBy(worker: WorkerKey, assignment: Assignment, words: readonly string[]): Input {
  const runMs = numberOf(words, "ms") ?? 10;
  const share = numberOf(words, "share") ?? 1;
  const rssBytes = numberOf(words, "rss") ?? 0;
  const grains = numberOf(words, "grains");
  const returned = { type: "chunk-returned", worker, assignment, skipped: false, runMs, share, rssBytes } as const;
  return grains === undefined ? returned : { ...returned, grains };
}

function describeEffect(effect: Effect): string {
  switch (effect.type) {
    case "spawn-worker":
      return `spawn w${effect.worker}`;
    case "run-chunk":
      return `run w${effect.worker} a${effect.assignment}`;
    case "skip-chunk":
      return `skip w${effect.worker} a${effect.assignment}`;
    case "read-mark":
      return `read w${effect.worker}`;
    case "finish-overdue":
      return `overdue a${effect.assignment} w${effect.worker} item=${effect.offset}`;
    case "finish-init-failure":
      return `init-failure a${effect.assignment} w${effect.worker}`;
    case "kill-worker":
      return `kill w${effect.worker} ${effect.signal}`;
    case "finish-returned":
      return `returned a${effect.assignment} w${effect.worker}`;
    case "finish-death":
      return `death a${effect.assignment} w${effect.worker} mark=${effect.markedOffset ?? "none"}`;
    case "finish-not-started":
      return `not-started a${effect.assignment}${effect.fault === undefined ? "" : ` fault=${effect.fault}`}`;
    case "finish-stopped":
      return `stopped a${effect.assignment} w${effect.worker}`;
    case "report-started":
      return `started a${effect.assignment}`;
    case "grant-credit":
      return `credit ${effect.chunks}`;
    case "drained":
      return "drained";
    case "set-timer":
      return `timer ${effect.atMs}`;
  }
}

function describeView(core: WorkerPool): string {
  const { workers, queued, running, credit } = core.view();
  const states = Object.entries(workers).filter(([, count]) => count > 0);
  const fleet = states.map(([state, count]) => `${state}=${count}`);
  return ["view", ...fleet, `queued=${queued}`, `running=${running}`, `credit=${credit}`].join(" ");
}

function idOf(word: string, letter: string): number {
  const id = word.startsWith(letter) ? Number(word.slice(1)) : Number.NaN;
  if (!Number.isSafeInteger(id))
    throw new InvalidArgumentError(`${JSON.stringify(word)} is not ${letter} and a number`);
  return id;
}

function job(word: string): JobNumber {
  return idOf(word, "j") as JobNumber;
}

function pool(word: string): PoolNumber {
  return idOf(word, "p") as PoolNumber;
}

function worker(word: string): WorkerKey {
  return idOf(word, "w") as WorkerKey;
}

/** "a3" or "a3..a7". */
function range(word: string): Assignment[] {
  const [from = "", to = from] = word.split("..");
  const first = idOf(from, "a");
  return Array.from({ length: idOf(to, "a") - first + 1 }, (_, at) => (first + at) as Assignment);
}

/** The rest of the line after "name=". */
function textOf(words: readonly string[], name: string): string | undefined {
  const at = words.findIndex((word) => word.startsWith(`${name}=`));
  return at < 0
    ? undefined
    : words
        .slice(at)
        .join(" ")
        .slice(name.length + 1);
}

function numberOf(words: readonly string[], name: string): number | undefined {
  const word = words.find((candidate) => candidate.startsWith(`${name}=`));
  return word === undefined ? undefined : Number(word.slice(name.length + 1));
}

function markOf(words: readonly string[]): ItemMark | null {
  const [assignment = "", offset] = textOf(words, "mark")?.split(/[@ ]/) ?? [];
  return offset === undefined ? null : { assignment: idOf(assignment, "a") as Assignment, offset: Number(offset) };
}
