import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { unreachable } from "@heddle/kernel";
import { describe, expect, test } from "vitest";
import {
  type AssignmentId,
  type ClientKey,
  type Effect,
  type Input,
  type ItemSpan,
  type JobKey,
  type NodeKey,
  type Outcome,
  type PoolKey,
  type Requirements,
  Scheduler,
  type Wait,
} from "./index.ts";

/*
 * Scenarios: testdata/*.txt. A file is one scheduler; a block is commands, "----", the effects they cause, and an empty line. Commands:
 *   client c1 | pool p1 client=c1 [slots-max=2] [NEEDS] | offer j1 count=4 [chunks=3] [grain=2] [settled=1+2,3+1] | seal j1 chunks=1
 *   job j1 pool=p1 [retries=1] [depth=1] [collect] [ordered] [speculate] [unread-max=100] [unread=20] [gap-chunks=2] [NEEDS] | take j1 bytes=10
 *   node n1 slots=2 [credit=3] [lasts=10000] [NEEDS] | credit n1 chunks=4 | silent|heard|cordon|uncordon|lose n1 | depart n1 | drain n1 [stop-after=0]
 *   NEEDS, and what a node has: labels=zone:a,disk:ssd and amounts=gpu:1,memory:2.5
 *   start a1 | finish a1 done|part completed=1|error completed=1|overdue item=3|death [mark=3] [run=10] [bytes=10]
 *   finish a1 stopped|not-started [fault=words]|init-failed fault=words
 *   throttle|unthrottle|leave c1 | close p1 | cancel j1 | wait 100 (milliseconds, then the timer fires) | jobs | nodes
 *   waits j1 | spans j1 chunk=0
 * `offer` numbers chunks by itself; `chunk=2` says which. A block without effects has an empty answer. Jitter is always in the middle.
 * UPDATE_SCENARIOS=1 rewrites the answers: review the difference.
 */
const folder = new URL("../testdata/", import.meta.url);
const SEPARATOR = "----";

describe("scenarios", () => {
  for (const file of readdirSync(folder).sort()) {
    test(file.replace(/\.txt$/, "").replaceAll("-", " "), () => {
      const written = readFileSync(new URL(file, folder), "utf8");
      const played = play(written);
      if (process.env.UPDATE_SCENARIOS === "1") writeFileSync(new URL(file, folder), played);
      else expect(played).toBe(written);
    });
  }
});

/** The scenario's text with the answers that the scheduler gives. */
function play(text: string): string {
  const stage = new Stage();
  const blocks = text.trimEnd().split("\n\n");
  const answers = blocks.map((block) => {
    const [commands = ""] = block.split(`\n${SEPARATOR}`);
    if (!block.includes(SEPARATOR)) return block;
    const effects = commands.split("\n").flatMap((line) => (line.startsWith("#") ? [] : stage.run(line)));
    return [commands, SEPARATOR, ...effects].join("\n");
  });
  return `${answers.join("\n\n")}\n`;
}

/** One scheduler and the words of one command at a time. */
class Stage {
  readonly #scheduler = new Scheduler({ random: { float: () => 0.5, int: (bound) => bound >> 1 } });
  readonly #offered = new Map<string, number>();
  #nowMs = 0;

  run(line: string): string[] {
    const words = new Words(line);
    if (words.verb === "jobs") return this.#scheduler.jobs().map((job) => JSON.stringify(job));
    if (words.verb === "nodes") return this.#scheduler.nodes().map((node) => JSON.stringify(node));
    if (words.verb === "waits") return this.#scheduler.waits(words.key("j") as JobKey).map(waitText);
    if (words.verb === "spans")
      return this.#scheduler
        .spans(words.key("j") as JobKey, words.number("chunk") ?? 0)
        .map((it) => JSON.stringify(it));
    if (words.verb === "wait") this.#nowMs += Number(words.subject);
    return this.#inputs(words).flatMap((input) => {
      const effects = this.#scheduler.step(this.#nowMs, input);
      this.#scheduler.validate();
      return effects.map(print);
    });
  }

  #inputs(words: Words): Input[] {
    switch (words.verb) {
      case "node": {
        const node = words.key("n") as NodeKey;
        const lastsMs = words.number("lasts");
        const joined: Input = { type: "node-joined", node, slots: words.number("slots") ?? 1, ...has(words), lastsMs };
        const chunks = words.number("credit");
        return chunks === undefined ? [joined] : [joined, { type: "credit-granted", node, chunks }];
      }
      case "offer":
        return this.#offers(words);
      default:
        return [input(words)];
    }
  }

  #offers(words: Words): Input[] {
    const job = words.key("j") as JobKey;
    const first = words.number("chunk") ?? this.#offered.get(words.subject) ?? 0;
    const chunks = words.number("chunks") ?? 1;
    this.#offered.set(words.subject, first + chunks);
    const [count, grain] = [words.number("count") ?? 1, words.number("grain") ?? 0];
    const settled = words.spans("settled");
    return Array.from({ length: chunks }, (_, at) => {
      const offered = { type: "chunk-offered", job, chunk: first + at, count, grain } as const;
      return settled.length === 0 ? offered : { ...offered, settled };
    });
  }
}

/** A command: verb, subject, then words and key=value pairs; a value goes on to the end of the line when the key is `fault`. */
class Words {
  readonly verb: string;
  readonly subject: string;
  readonly rest: string;

  constructor(line: string) {
    const [verb = "", subject = "", ...rest] = line.split(" ");
    this.verb = verb;
    this.subject = subject;
    this.rest = rest.join(" ");
  }

  key(letter: string, text = this.subject): number {
    if (!new RegExp(`^${letter}\\d+$`).test(text))
      throw new Error(`"${text}" in "${this.verb}" is not ${letter}<number>`);
    return Number(text.slice(1));
  }

  text(name: string): string | undefined {
    const pattern = name === "fault" ? /fault=(.*)$/ : new RegExp(`(?:^| )${name}=(\\S+)`);
    return pattern.exec(this.rest)?.[1];
  }

  flag(name: string): boolean {
    return this.rest.split(" ").includes(name);
  }

  /** name:value pairs. */
  pairs(name: string): [string, string][] {
    const pairs = this.text(name)?.split(",") ?? [];
    return pairs.map((pair) => [pair.split(":")[0] ?? "", pair.split(":")[1] ?? ""]);
  }

  /** offset+count pairs. */
  spans(name: string): ItemSpan[] {
    const spans = this.text(name)?.split(",") ?? [];
    return spans.map((span) => ({ offset: Number(span.split("+")[0]), count: Number(span.split("+")[1]) }));
  }

  number(name: string): number | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : Number(text);
  }
}

function has(words: Words): Requirements {
  const amounts = words.pairs("amounts").map(([name, amount]): [string, number] => [name, Number(amount)]);
  return { labels: new Map(words.pairs("labels")), resources: new Map(amounts) };
}

function jobOpened(words: Words, job: JobKey): Input {
  const [unreadBytes, gapChunks] = [words.number("unread"), words.number("gap-chunks")];
  const isResumed = unreadBytes !== undefined || gapChunks !== undefined;
  return {
    ...(isResumed ? { resumed: { unreadBytes: unreadBytes ?? 0, gapChunks: gapChunks ?? 0 } } : {}),
    type: "job-opened",
    job,
    pool: words.key("p", words.text("pool")) as PoolKey,
    retries: words.number("retries") ?? 0,
    depth: words.number("depth") ?? 0,
    collect: words.flag("collect"),
    ordered: words.flag("ordered"),
    unreadBytesMax: words.number("unread-max"),
    requirements: has(words),
    speculate: words.flag("speculate"),
  };
}

function input(words: Words): Input {
  const client = (): ClientKey => words.key("c") as ClientKey;
  const pool = (): PoolKey => words.key("p") as PoolKey;
  const job = (): JobKey => words.key("j") as JobKey;
  const node = (): NodeKey => words.key("n") as NodeKey;
  const assignment = (): AssignmentId => words.key("a") as AssignmentId;
  switch (words.verb) {
    case "client":
      return { type: "client-joined", client: client() };
    case "leave":
      return { type: "client-left", client: client() };
    case "throttle":
    case "unthrottle":
      return { type: "client-throttled", client: client(), throttled: words.verb === "throttle" };
    case "throttle-job":
    case "unthrottle-job":
      return { type: "job-throttled", job: job(), throttled: words.verb === "throttle-job" };
    case "pool": {
      const owner = words.key("c", words.text("client")) as ClientKey;
      const slotsMax = words.number("slots-max");
      return { type: "pool-opened", pool: pool(), client: owner, slotsMax, requirements: has(words) };
    }
    case "close":
      return { type: "pool-closed", pool: pool() };
    case "job":
      return jobOpened(words, job());
    case "take":
      return { type: "results-taken", job: job(), bytes: words.number("bytes") ?? 0 };
    case "seal":
      return { type: "job-sealed", job: job(), chunks: words.number("chunks") ?? 0 };
    case "cancel":
      return { type: "job-cancel-requested", job: job() };
    case "credit":
      return { type: "credit-granted", node: node(), chunks: words.number("chunks") ?? 0 };
    case "silent":
    case "heard":
      return { type: "node-silent", node: node(), silent: words.verb === "silent" };
    case "cordon":
    case "uncordon":
      return { type: "node-cordoned", node: node(), cordoned: words.verb === "cordon" };
    case "drain":
      return { type: "node-drain-requested", node: node(), stopAfterMs: words.number("stop-after") ?? 0 };
    case "depart":
      return { type: "node-leaving", node: node() };
    case "lose":
      return { type: "node-lost", node: node() };
    case "start":
      return { type: "chunk-started", assignment: assignment() };
    case "finish":
      return {
        type: "chunk-finished",
        assignment: assignment(),
        outcome: outcome(words),
        runMs: words.number("run") ?? 10,
      };
    case "wait":
      return { type: "timer-fired" };
    default:
      throw new Error(`unknown command "${words.verb}"`);
  }
}

function outcome(words: Words): Outcome {
  const [kind] = words.rest.split(" ");
  const bytes = words.number("bytes") ?? 0;
  switch (kind) {
    case "done":
      return { type: "done", bytes };
    case "stopped":
      return { type: "stopped" };
    case "part":
      return { type: "part-done", completed: words.number("completed") ?? 0, bytes };
    case "overdue":
      return { type: "item-overdue", offset: words.number("item") ?? 0 };
    case "init-failed":
      return { type: "init-failed", fault: words.text("fault") ?? "" };
    case "not-started":
      return { type: "not-started", fault: words.text("fault") };
    case "error":
      return { type: "item-error", completed: words.number("completed") ?? 0, bytes };
    case "death":
      return { type: "worker-death", markedOffset: words.number("mark") };
    default:
      throw new Error(`unknown outcome "${kind}"`);
  }
}

function waitText(wait: Wait): string {
  return JSON.stringify(wait, (_key, value: unknown) => (value instanceof Map ? Object.fromEntries(value) : value));
}

function print(effect: Effect): string {
  switch (effect.type) {
    case "assign-chunk": {
      const { node, assignment, job, chunk, offset, count, attempt, marks, poolSlots, fresh, grain } = effect;
      const items = `j${job} c${chunk} ${offset}+${count}`;
      const how = `${marks ? " marks" : ""}${fresh ? " fresh" : ""}${grain > 0 ? ` grain=${grain}` : ""}`;
      return `assign n${node} a${assignment} ${items} attempt=${attempt}${how} slots=${poolSlots}`;
    }
    case "revoke-chunk":
      return `revoke n${effect.node} a${effect.assignment}${effect.stop ? " stop" : " if-unstarted"}`;
    case "deliver-span":
      return `deliver j${effect.job} c${effect.chunk} ${effect.offset}+${effect.count} from a${effect.assignment}`;
    case "fail-item": {
      const { job, chunk, offset, assignment, cause, attempt } = effect;
      return `fail j${job} c${chunk} item ${offset} by a${assignment} cause=${cause} attempt=${attempt}`;
    }
    case "end-job":
      return `end j${effect.job} ${effect.outcome}${effect.fault === undefined ? "" : ` (${effect.fault.code}): ${effect.fault.message}`}`;
    case "release-chunk":
      return `release j${effect.job} c${effect.chunk}`;
    case "forget-job":
      return `forget n${effect.node} j${effect.job}`;
    case "retire-pool":
      return `retire n${effect.node} p${effect.pool}`;
    case "node-drained":
      return `drained n${effect.node}`;
    case "exclude-node":
      return `exclude n${effect.node} until ${effect.untilMs}: ${effect.reason}`;
    case "readmit-node":
      return `readmit n${effect.node}`;
    case "announce-capacity":
      return `capacity slots=${effect.slots} nodes=${effect.nodes}`;
    case "set-timer":
      return `timer at ${effect.atMs}`;
    default:
      return unreachable(effect);
  }
}
