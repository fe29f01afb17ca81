import type { Assignment, Input, ItemMark, WorkerKey } from "@heddle/core-pool";
import { InvariantViolation, type Millis, type Random } from "@heddle/kernel";
import { check, type Oracle } from "./pool-oracle.ts";
import type { PoolPlan } from "./pool-plan.ts";

/** Pools with a bound of memory have this one. */
export const RSS_BYTES_MAX = 1_000;
/** What it may take to see that an item is overdue beyond the moment when it is: timers of the world are late by a little. */
const OVERDUE_SLACK_MS = 5;

/** What the processes need of their world. */
export interface ProcessHost {
  readonly plan: PoolPlan;
  readonly oracle: Oracle;
  readonly fate: Random;
  readonly delay: Random;
  readonly nowMs: () => Millis;
  /** Nothing fails any more. */
  readonly isHealed: () => boolean;
  readonly at: (delayMs: Millis, run: () => void) => void;
  readonly feed: (input: Input) => void;
}

/** A modelled worker process: a pipe in, a pipe out, one chunk at a time. */
class Process {
  readonly key: WorkerKey;
  readonly ignoresTerm: boolean;
  state: "starting" | "ready" | "dead" = "starting";
  /** Its pool's initializer: not begun, running, through, or failed, after which it does nothing more. */
  joining: "pending" | "running" | "joined" | "failed" = "pending";
  readonly inbox: Assignment[] = [];
  readonly skips = new Set<Assignment>();
  current: Assignment | undefined = undefined;
  mark: ItemMark | null = null;
  /** The item under way, where items have a longest run, and since when. */
  item: (ItemMark & { readonly sinceMs: Millis }) | undefined = undefined;
  downAtMs: Millis = 0;
  upAtMs: Millis = 0;
  /** What it still had to say is lost. */
  tailLost = false;
  constructor(key: WorkerKey, ignoresTerm: boolean) {
    this.key = key;
    this.ignoresTerm = ignoresTerm;
  }
}

/** The worker processes of a world, and their troubles. */
export class PoolProcesses {
  readonly #host: ProcessHost;
  readonly #processes = new Map<WorkerKey, Process>();

  constructor(host: ProcessHost) {
    this.#host = host;
  }

  /** Processes that were ever started. */
  get count(): number {
    return this.#processes.size;
  }

  get live(): number {
    return [...this.#processes.values()].filter(({ state }) => state !== "dead").length;
  }

  spawn(key: WorkerKey): void {
    const { fate, delay, plan, at } = this.#host;
    const process = new Process(key, fate.float() < plan.ignoreTerm);
    this.#processes.set(key, process);
    const lot = this.#host.isHealed() ? 1 : fate.float();
    if (lot < plan.spawnHang) return;
    const fails = lot < plan.spawnHang + plan.spawnFailure;
    at(delay.float() * plan.spawnMs, () => {
      if (process.state !== "starting") return;
      if (fails) {
        this.#die(process, fate.int(2) === 0 ? "no such file" : undefined);
        return;
      }
      process.state = "ready";
      this.#up(process, { type: "worker-ready", worker: key });
      if (this.#fails(plan.idleCrash)) at(fate.int(300), () => this.#die(process, undefined));
    });
  }

  run(key: WorkerKey, assignment: Assignment): void {
    this.#down(key, (process) => {
      process.inbox.push(assignment);
      this.#next(process);
    });
  }

  skip(key: WorkerKey, assignment: Assignment): void {
    this.#down(key, (process) => {
      if (process.current === assignment && process.joining === "running") process.skips.add(assignment);
      const at = process.inbox.indexOf(assignment);
      if (at < 0 || process.joining === "failed") return;
      if (!this.#host.plan.eagerSkips) {
        process.skips.add(assignment);
        return;
      }
      process.inbox.splice(at, 1);
      this.#up(process, { type: "chunk-returned", worker: process.key, assignment, skipped: true, runMs: 0 });
    });
  }

  signal(key: WorkerKey, signal: "SIGTERM" | "SIGKILL"): void {
    const process = this.#processes.get(key);
    if (process === undefined || (signal === "SIGTERM" && process.ignoresTerm)) return;
    this.#host.at(this.#host.delay.float() * 3, () => this.#die(process, undefined));
  }

  readMark(key: WorkerKey): void {
    const item = this.#processes.get(key)?.item;
    const forMs = this.#host.nowMs() - (item?.sinceMs ?? 0);
    const mark = item === undefined ? null : { assignment: item.assignment, offset: item.offset, forMs };
    this.#host.feed({ type: "mark-seen", worker: key, mark });
  }

  /** No item runs for longer than its job allows, in a worker that was not told to end for it. */
  checkTimeouts(): void {
    const { oracle, nowMs } = this.#host;
    for (const { key, item } of this.#processes.values()) {
      if (item === undefined || oracle.workers.get(key)?.told !== false) continue;
      const timeoutMs = oracle.timeoutOf(item.assignment);
      if (timeoutMs === undefined) continue;
      const forMs = nowMs() - item.sinceMs;
      check(forMs <= timeoutMs + OVERDUE_SLACK_MS, `item of ${item.assignment} runs for ${forMs} of ${timeoutMs} ms`);
    }
  }

  #fails(probability: number): boolean {
    return !this.#host.isHealed() && this.#host.fate.float() < probability;
  }

  #down(key: WorkerKey, act: (process: Process) => void): void {
    const process = this.#processes.get(key);
    if (process === undefined) throw new InvariantViolation(`worker ${key} was never started`);
    const { nowMs, delay, plan, at } = this.#host;
    process.downAtMs = Math.max(process.downAtMs, nowMs() + delay.float() * plan.pipeMs);
    at(process.downAtMs - nowMs(), () => {
      if (process.state !== "dead") act(process);
    });
  }

  #up(process: Process, input: Input): void {
    const { nowMs, delay, plan, at, feed } = this.#host;
    process.upAtMs = Math.max(process.upAtMs, nowMs() + delay.float() * plan.pipeMs);
    at(process.upAtMs - nowMs(), () => {
      if (!process.tailLost || input.type === "worker-exited") feed(input);
    });
  }

  #next(process: Process): void {
    const { oracle, plan } = this.#host;
    if (process.state !== "ready" || process.current !== undefined || process.joining === "failed") return;
    const assignment = process.inbox.shift();
    if (assignment === undefined) return;
    if (process.skips.delete(assignment)) {
      this.#up(process, { type: "chunk-returned", worker: process.key, assignment, skipped: true, runMs: 0 });
      this.#next(process);
      return;
    }
    process.current = assignment;
    const pool = oracle.placed.get(assignment)?.pool;
    const hasInitializer = pool !== undefined && oracle.terms.get(pool)?.hasInitializer === true;
    if (process.joining === "pending" && hasInitializer) {
      this.#join(process, assignment);
      return;
    }
    const running = [...this.#processes.values()].filter((other) => other.current !== undefined).length;
    const isLent = plan.waits > 0 || plan.lies > 0;
    check(isLent || running <= plan.slots, `${running} processes run user code on ${plan.slots} slots`);
    this.#run(process, assignment);
  }

  /** Its pool's initializer, before its first chunk. */
  #join(process: Process, assignment: Assignment): void {
    const { fate, plan, at } = this.#host;
    process.joining = "running";
    const fails = this.#fails(plan.initFailure);
    const dies = fails && fate.int(2) === 0;
    at(fate.float() * 80, () => {
      if (process.state === "dead") return;
      if (dies) {
        process.mark = plan.marks ? { assignment, offset: 0 } : null;
        this.#die(process, undefined);
      } else if (fails) {
        process.joining = "failed";
        process.current = undefined;
        this.#up(process, { type: "init-failed", worker: process.key, assignment });
      } else {
        process.joining = "joined";
        this.#up(process, { type: "worker-joined", worker: process.key });
        process.current = undefined;
        process.inbox.unshift(assignment); // it may have been asked to leave that out meanwhile
        this.#next(process);
      }
    });
  }

  #run(process: Process, assignment: Assignment): void {
    const { oracle, plan, fate, at } = this.#host;
    const runMs = oracle.placed.get(assignment)?.runMs ?? 1;
    if (plan.marks) process.mark = { assignment, offset: fate.int(9) };
    const crashes = this.#fails(plan.crash);
    this.#beginItem(process, assignment);
    if (runMs === Number.POSITIVE_INFINITY && !crashes) return;
    const forMs = crashes ? fate.float() * Math.min(runMs, 50) : runMs;
    const waitedMs = this.#wait(process, assignment, forMs);
    at((forMs + waitedMs) * fate.float(), () => {
      if (process.state !== "dead" && process.current === assignment) this.#beginItem(process, assignment);
    });
    at(forMs + waitedMs, () => {
      if (process.state === "dead") return;
      if (crashes) {
        this.#die(process, undefined);
        return;
      }
      process.current = undefined;
      process.item = undefined;
      this.#up(process, this.#answer(process.key, assignment, runMs + waitedMs));
      this.#next(process);
    });
  }

  /** The next item of the chunk, or its first. Only where items have a longest run does the process mark them all. */
  #beginItem(process: Process, assignment: Assignment): void {
    const { oracle, nowMs } = this.#host;
    if (oracle.timeoutOf(assignment) === undefined) return;
    const offset = process.item?.assignment === assignment ? process.item.offset + 1 : 0;
    process.mark = { assignment, offset };
    process.item = { assignment, offset, sinceMs: nowMs() };
  }

  #answer(worker: WorkerKey, assignment: Assignment, runMs: Millis): Input {
    const { oracle, fate, plan } = this.#host;
    const all = oracle.placed.get(assignment)?.grains ?? 1;
    const grains = 1 + fate.int(all);
    const rssBytes = this.#fails(plan.heavy) ? RSS_BYTES_MAX + 1 : RSS_BYTES_MAX;
    const answer = { type: "chunk-returned", worker, assignment, skipped: false, runMs } as const;
    return { ...answer, share: grains / all, grains, rssBytes };
  }

  /** Plans when the task waits; its end may come while it does, and ends that too. Returns for how long it waits in all. */
  #wait(process: Process, assignment: Assignment, forMs: Millis): Millis {
    const { fate, plan } = this.#host;
    let waitedMs = 0;
    while (fate.float() < plan.waits * 0.7) {
      const fromMs = waitedMs + fate.float() * forMs;
      const untilMs = fromMs + fate.float() * 60;
      this.#sayWaiting(process, assignment, fromMs, true);
      this.#sayWaiting(process, assignment, untilMs, false);
      waitedMs = untilMs;
    }
    return waitedMs;
  }

  #sayWaiting(process: Process, assignment: Assignment, afterMs: Millis, waiting: boolean): void {
    this.#host.at(afterMs, () => {
      if (process.state === "dead" || process.current !== assignment) return;
      this.#up(process, { type: "task-waiting", worker: process.key, waiting });
    });
  }

  #die(process: Process, fault: string | undefined): void {
    if (process.state === "dead") return;
    process.state = "dead";
    process.current = undefined;
    process.item = undefined;
    process.tailLost = this.#host.fate.float() < this.#host.plan.lostTail;
    this.#up(process, { type: "worker-exited", worker: process.key, mark: process.mark, fault });
  }
}
