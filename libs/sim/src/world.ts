import { type Clock, type LogFields, type Logger, type Millis, type Random, seededRandom } from "@heddle/kernel";
import { Chaos } from "./chaos.ts";
import { EventLoop, SimFailure } from "./event-loop.ts";
import { calmPlan, type FaultPlan } from "./fault-plan.ts";
import { type Boot, Host, type HostOptions, type SimHost } from "./host.ts";
import { Network, type Rule } from "./network.ts";
import { ProcessTable } from "./process-table.ts";

/** How a run ended, and what tells it from any other. */
export interface RunReport {
  readonly seed: number;
  /** "idle": nothing is planned any more, so nothing can ever happen. */
  readonly ended: "done" | "deadline" | "idle";
  /** Since the world began. */
  readonly events: number;
  readonly virtualMs: Millis;
  /** Fingerprint of everything that happened since the world began. */
  readonly digest: string;
}

/** A deterministic world: same seed, same plan, same program, same run, to the byte. */
export interface World {
  readonly seed: number;
  readonly plan: FaultPlan;
  /** The world's own time, from 0; machines have clocks of their own. */
  readonly clock: Clock;
  /** A named stream of chance, the same object for the same name. A new draw in one does not shift the others. */
  random(stream: string): Random;
  /** Adds a machine and boots it. */
  host(name: string, boot: Boot, options?: HostOptions): SimHost;
  /** What `from` sends does not reach `to` until `rejoin`; dials are lost, links hold what is sent. One direction. */
  part(from: string, to: string): void;
  rejoin(from: string, to: string): void;
  /** Resets every link between two machines. */
  cut(one: string, other: string): void;
  /** Judges every message of every link before it leaves, until disposed or healed. */
  rule(rule: Rule): Disposable;
  /** Ends all faults: no new ones, outages over, paused machines go on, fallen ones boot (those crashed by hand do not). */
  heal(): void;
  /** Runs events until `done()` holds (asked before each event), the world's clock reaches `deadlineMs`, or nothing is left. Rejects with SimFailure. */
  run(until: { readonly deadlineMs: Millis; readonly done: () => boolean }): Promise<RunReport>;
  /** Runs until the promise settles, at most `withinMs` of virtual time, and settles likewise; else rejects with what is pending. */
  drive<T>(promise: Promise<T>, options?: { readonly withinMs?: Millis }): Promise<T>;
  /** Runs by itself until disposed, as fast as events come: for suites that know nothing of a world. */
  pump(): AsyncDisposable;
  /** So far. */
  report(ended: RunReport["ended"]): RunReport;
  /** For people: machines, links, last events. */
  describe(): string;
  /** Every simulated worker process. */
  readonly processes: ProcessTable;
  /** How many faults of the plan have struck so far, by kind; "crash" and "pause" with the machine's name. */
  readonly faults: ReadonlyMap<string, number>;
}

/** Virtual time that `drive` allows unless told: longer than any wait that the fabric promises to end. */
const DRIVE_MS = 300_000;

/** Makes an empty world. */
export function createWorld(seed: number, options: { readonly plan?: FaultPlan } = {}): World {
  return new SimWorld(seed, options.plan ?? calmPlan);
}

class SimWorld implements World {
  readonly seed: number;
  readonly plan: FaultPlan;
  readonly clock: Clock;
  readonly processes = new ProcessTable();
  readonly #loop = new EventLoop();
  readonly #hosts = new Map<string, Host>();
  readonly #streams = new Map<string, Random>();
  readonly #log: string[] = [];
  readonly #network: Network;
  readonly #chaos: Chaos;
  #failure: unknown;
  #isPumped = false;

  constructor(seed: number, plan: FaultPlan) {
    this.seed = seed;
    this.plan = plan;
    const loop = this.#loop;
    this.clock = {
      nowMs: () => loop.nowMs,
      setTimer: (atMs, run) => loop.post({ atMs, owner: undefined, what: "timer", run }),
    };
    this.#network = new Network(loop, this.random("network"), plan);
    this.#chaos = new Chaos(
      {
        loop,
        network: this.#network,
        random: (stream) => this.random(stream),
        hosts: () => [...this.#hosts.values()],
        processes: this.processes,
      },
      plan,
    );
  }

  get faults(): ReadonlyMap<string, number> {
    return this.#chaos.counts;
  }

  random(stream: string): Random {
    let random = this.#streams.get(stream);
    if (random === undefined) {
      random = seededRandom(this.seed, stream);
      this.#streams.set(stream, random);
    }
    return random;
  }

  host(name: string, boot: Boot, options: HostOptions = {}): SimHost {
    if (this.#hosts.has(name)) throw new TypeError(`there is a machine ${name} already`);
    const drift = this.plan.clockDriftPpm;
    const driftPpm = drift === 0 ? 0 : this.random(`drift ${name}`).int(2 * drift + 1) - drift;
    const world = {
      loop: this.#loop,
      network: this.#network,
      random: (stream: string) => this.random(stream),
      logger: (source: string) => this.#logger(source),
      failed: (cause: unknown) => {
        this.#failure ??= cause;
      },
    };
    const host = new Host(world, { name, driftPpm }, boot, options);
    this.#hosts.set(name, host);
    return host;
  }

  part(from: string, to: string): void {
    this.#network.part(from, to);
  }

  rejoin(from: string, to: string): void {
    this.#network.rejoin(from, to);
  }

  cut(one: string, other: string): void {
    for (const connection of this.#network.connections) if (connection.joins(one, other)) connection.sever("by hand");
  }

  rule(rule: Rule): Disposable {
    return this.#network.rule(rule);
  }

  heal(): void {
    for (const host of this.#hosts.values()) host.resume();
    this.#chaos.heal();
    this.#network.heal();
  }

  async run(until: { readonly deadlineMs: Millis; readonly done: () => boolean }): Promise<RunReport> {
    if (this.#isPumped) throw new TypeError("the world is pumped: it runs by itself");
    await turn();
    while (!until.done()) {
      const step = this.#step(until.deadlineMs);
      if (step !== "stepped") return this.report(step);
      await turn();
    }
    return this.report("done");
  }

  async drive<T>(promise: Promise<T>, options: { readonly withinMs?: Millis } = {}): Promise<T> {
    let isSettled = false;
    const settle = (): void => {
      isSettled = true;
    };
    promise.then(settle, settle);
    const withinMs = options.withinMs ?? DRIVE_MS;
    const report = await this.run({ deadlineMs: this.#loop.nowMs + withinMs, done: () => isSettled });
    if (report.ended === "done") return promise;
    const why = report.ended === "idle" ? "nothing is left that could happen" : `${withinMs} virtual ms are over`;
    throw new SimFailure(`a promise is still pending and ${why}\n${this.describe()}`);
  }

  pump(): AsyncDisposable {
    this.#isPumped = true;
    let stop: () => void = () => undefined;
    const stopped = new Promise<void>((resolve) => {
      stop = () => {
        this.#isPumped = false;
        resolve();
      };
    });
    const running = this.#runAlone(stopped);
    return {
      [Symbol.asyncDispose]: () => {
        stop();
        return running;
      },
    };
  }

  report(ended: RunReport["ended"]): RunReport {
    const { eventCount: events, nowMs: virtualMs, digest } = this.#loop;
    return { seed: this.seed, ended, events, virtualMs, digest };
  }

  describe(): string {
    return [
      `seed ${this.seed} at ${this.#loop.nowMs} ms, ${this.#loop.eventCount} events`,
      ...[...this.#hosts.values()].map((host) => `machine ${host.name}#${host.incarnation} is ${host.state}`),
      ...this.#network.connections.map((connection) => connection.description),
      "last log lines:",
      ...this.#log,
      "last events:",
      ...this.#loop.trace,
    ].join("\n  ");
  }

  async #runAlone(stopped: Promise<void>): Promise<void> {
    await turn();
    while (this.#isPumped) {
      if (this.#step(Number.POSITIVE_INFINITY) === "idle") await Promise.race([this.#loop.posted(), stopped]);
      await turn();
    }
  }

  #step(deadlineMs: Millis): "stepped" | "idle" | "deadline" {
    try {
      const step = this.#loop.step(deadlineMs);
      if (this.#failure === undefined) return step;
    } catch (error) {
      this.#failure ??= error;
    }
    const message = this.#failure instanceof Error ? this.#failure.message : String(this.#failure);
    throw new SimFailure(`${message}\n${this.describe()}`, { cause: this.#failure });
  }

  #logger(source: string): Logger {
    const at = (level: string) => (message: string, fields?: LogFields) => {
      this.#log.push(
        `${this.#loop.nowMs} ${source} ${level} ${message} ${fields === undefined ? "" : JSON.stringify(fields)}`,
      );
      if (this.#log.length > LOG_LINES_MAX) this.#log.shift();
    };
    return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
  }
}

/** Log lines that are kept for `describe`. */
const LOG_LINES_MAX = 40;

/** Lets every microtask run, and those that they queue: the only real time in the world. */
function turn(): Promise<void> {
  // biome-ignore lint/style/noRestrictedGlobals: not a timer of the program's but the end of its turn
  return new Promise((resolve) => setImmediate(resolve));
}
