import type { Operation } from "@heddle/core-objects";
import { decodeValue } from "@heddle/wire";

/** Who asks: an owner of a session. */
export interface Who {
  readonly session: number;
  readonly owner: number;
}

/** What a reply has to say; `code` when it refuses. */
export interface Expected {
  readonly numbers: readonly number[];
  readonly values: readonly unknown[];
  readonly code: string | undefined;
}

interface Waiting {
  readonly who: Who;
  readonly seq: number;
  readonly flow: number;
  /** 1 or 0 of what came from a condition. */
  readonly notified: number | undefined;
  readonly item: unknown;
}

interface Held {
  readonly who: Who;
  readonly flow: number;
  readonly token: number;
}

/** What the world is made of, for every client to find by name. */
export const worldObjects: readonly (readonly [name: string, spec: object, ...content: unknown[]])[] = [
  ["@k", { kind: "lock" }],
  ["@r", { kind: "rlock" }],
  ["@c", { kind: "condition", lock: "@k" }],
  ["@s", { kind: "semaphore", initial: 2 }],
  ["@q", { kind: "queue", maxSize: 2 }],
  ["@b", { kind: "barrier", parties: 3 }],
  ["@n", { kind: "dict" }],
  ["@bank", { kind: "dict" }, "a", 500, "b", 500],
  ["@once", { kind: "dict" }],
  ["@log", { kind: "list" }],
  ["@e", { kind: "event" }],
];

/** A job whose items' writes count once, and that nobody closes. */
export const SHARED_JOB = "shared";

/** Of a job: who it ends with, and what came of its items. */
interface JobModel {
  readonly creator: Who | undefined;
  readonly settled: Map<number, unknown>;
}

/** Says what it does not judge: such operations are only done once. */
const UNJUDGED = /^(create|destroy|event-|pipe-)/;

/**
 * The objects of the world, naive and obviously right: arrays that are searched, and one operation after the other as the log has them. It
 * knows no limits, no snapshots and nothing of the core.
 */
export class ObjectsModel {
  /** Replies that the command being applied causes, by `keyOf`. */
  readonly expected = new Map<string, Expected>();
  readonly #locks = new Map([
    ["@k", new LockModel(false)],
    ["@r", new LockModel(true)],
  ]);
  readonly #condition: Waiting[] = [];
  readonly #permits: { free: number; readonly held: Held[]; line: Waiting[] } = { free: 2, held: [], line: [] };
  readonly #queue: { readonly items: unknown[]; getters: Waiting[]; putters: Waiting[] } = {
    items: [],
    getters: [],
    putters: [],
  };
  #barrier: { line: Waiting[]; broken: boolean; action: Who | undefined } = {
    line: [],
    broken: false,
    action: undefined,
  };
  readonly #dicts = new Map<string, Map<string, { value: number; revision: number }>>();
  readonly log: unknown[] = [];
  readonly #jobs = new Map<unknown, JobModel>();

  constructor() {
    for (const name of ["@n", "@bank", "@once"]) this.#dicts.set(name, new Map());
  }

  /** Who holds the lock of that name. */
  holderOf(lock: string): Who | undefined {
    return this.#locks.get(lock)?.held?.who;
  }

  /** Writing operations that wait, of all objects. */
  get waiting(): number {
    const lines = [this.#condition, this.#permits.line, this.#queue.getters, this.#queue.putters, this.#barrier.line];
    for (const lock of this.#locks.values()) lines.push(lock.line);
    return lines.reduce((sum, line) => sum + line.length, 0);
  }

  get money(): number {
    return [...(this.#dicts.get("@bank")?.values() ?? [])].reduce((sum, { value }) => sum + value, 0);
  }

  /** How often an item of the shared job has written, by its key in the dict. */
  get written(): ReadonlyMap<string, number> {
    return new Map([...(this.#dicts.get("@once") ?? [])].map(([key, { value }]) => [key, value]));
  }

  /** Items of the shared job that are settled, by their keys in the dict. */
  get settled(): readonly string[] {
    return [...(this.#jobs.get(SHARED_JOB)?.settled.keys() ?? [])].map((item) => `${SHARED_JOB}/${item}`);
  }

  /** Whether what comes of the operation is judged. */
  judges(operation: Operation): boolean {
    return !UNJUDGED.test(operation.verb);
  }

  apply(revision: number, who: Who, operation: Operation): void {
    if (operation.verb === "create") this.#create(revision, operation);
    if (!this.judges(operation)) return;
    const held = operation.guards.every(({ lock, token }) => this.#locks.get(lock)?.held?.token === token);
    if (!held) this.#tell(who, operation.seq, { code: "lock-lost" });
    else this.#do(revision, who, operation);
  }

  /** Owners that match are gone. */
  die(revision: number, gone: (who: Who) => boolean): void {
    const stays = ({ who }: { readonly who: Who }): boolean => !gone(who);
    const breaks =
      this.#barrier.line.some((waiting) => !stays(waiting)) || (this.#barrier.action && gone(this.#barrier.action));
    for (const lock of this.#locks.values()) lock.line = lock.line.filter(stays);
    replace(this.#condition, this.#condition.filter(stays));
    this.#permits.line = this.#permits.line.filter(stays);
    this.#queue.getters = this.#queue.getters.filter(stays);
    this.#queue.putters = this.#queue.putters.filter(stays);
    this.#barrier.line = this.#barrier.line.filter(stays);
    if (breaks) this.#break();
    for (const [id, { creator }] of this.#jobs) if (creator !== undefined && gone(creator)) this.#jobs.delete(id);
    for (const lock of this.#locks.values()) if (lock.held && gone(lock.held.who)) this.#free(revision, lock);
    const back = this.#permits.held.filter((held) => !stays(held)).length;
    replace(this.#permits.held, this.#permits.held.filter(stays));
    this.#addPermits(revision, back);
  }

  breakLock(revision: number, name: string): void {
    const lock = this.#locks.get(name);
    if (lock?.held !== undefined) this.#free(revision, lock);
  }

  #do(revision: number, who: Who, operation: Operation): void {
    const lock = this.#locks.get(operation.object);
    if (lock !== undefined && operation.verb !== "cancel") this.#lock(revision, who, operation, lock);
    else if (operation.verb === "cancel") this.#cancel(revision, who, operation);
    else if (operation.verb === "transaction") this.#transaction(revision, who, operation);
    else if (operation.verb.startsWith("effects-")) this.#effects(revision, who, operation);
    else if (operation.object === "@c") this.#wait(revision, who, operation);
    else if (operation.object === "@s") this.#semaphore(revision, who, operation);
    else if (operation.object === "@q") this.#queueUp(who, operation);
    else if (operation.object === "@b") this.#meet(who, operation);
    else if (operation.object === "@log") {
      this.log.push(decodeValue(first(operation)));
      this.#tell(who, operation.seq, {});
    } else this.#dict(revision, who, operation);
  }

  #create(revision: number, { object, values }: Operation): void {
    const dict = this.#dicts.get(object);
    if (dict === undefined || dict.size > 0) return;
    for (let at = 1; at < values.length; at += 2)
      dict.set(String(decodeValue(values[at] ?? new Uint8Array())), {
        value: Number(decodeValue(values[at + 1] ?? new Uint8Array())),
        revision,
      });
  }

  #lock(revision: number, who: Who, { verb, seq, numbers: [one = 0, flow = 0] }: Operation, lock: LockModel): void {
    const { held } = lock;
    if (verb === "lock-release") {
      if (held === undefined || held.token !== one || !same(held.who, who)) this.#tell(who, seq, { code: "not-held" });
      else {
        this.#tell(who, seq, {});
        this.#free(revision, lock);
      }
    } else if (held === undefined) {
      lock.held = { who, flow, token: revision };
      this.#tell(who, seq, { numbers: [revision] });
    } else if (lock.reentrant && same(held.who, who) && held.flow === flow)
      this.#tell(who, seq, { numbers: [held.token] });
    else if (one === 0) this.#tell(who, seq, { code: "busy" });
    else lock.line.push({ who, seq, flow, notified: undefined, item: undefined });
  }

  /** The holder is gone; the first in line is the next. */
  #free(revision: number, lock: LockModel): void {
    lock.held = undefined;
    const next = lock.line.shift();
    if (next === undefined) return;
    const { who, flow, seq, notified } = next;
    lock.held = { who, flow, token: revision };
    this.#tell(who, seq, { numbers: notified === undefined ? [revision] : [revision, notified] });
    if (!lock.reentrant) return;
    const again = lock.line.filter((other) => same(other.who, who) && other.flow === flow);
    lock.line = lock.line.filter((other) => !again.includes(other));
    for (const other of again) this.#tell(who, other.seq, { numbers: [revision] });
  }

  #wait(revision: number, who: Who, { verb, seq, numbers: [one = 0, token = 0] }: Operation): void {
    const lock = this.#locks.get("@k");
    if (lock?.held === undefined || lock.held.token !== token || !same(lock.held.who, who)) {
      this.#tell(who, seq, { code: "not-held" });
    } else if (verb === "condition-wait") {
      this.#condition.push({ who, seq, flow: lock.held.flow, notified: 0, item: undefined });
      this.#free(revision, lock);
    } else {
      const woken = this.#condition.splice(0, one < 0 ? this.#condition.length : one);
      lock.line.push(...woken.map((waiting) => ({ ...waiting, notified: 1 })));
      this.#tell(who, seq, { numbers: [woken.length] });
    }
  }

  #semaphore(revision: number, who: Who, { verb, seq, numbers: [one = 0] }: Operation): void {
    const permits = this.#permits;
    if (verb === "semaphore-acquire") {
      permits.line.push({ who, seq, flow: 0, notified: undefined, item: undefined });
      if (permits.free === 0 && one === 0) {
        permits.line.pop();
        this.#tell(who, seq, { code: "busy" });
      }
      this.#addPermits(revision, 0);
      return;
    }
    const at = permits.held.findIndex((held) => held.token === one && same(held.who, who));
    if (at < 0) this.#tell(who, seq, { code: "not-held" });
    else {
      permits.held.splice(at, 1);
      this.#tell(who, seq, {});
      this.#addPermits(revision, 1);
    }
  }

  #addPermits(revision: number, count: number): void {
    const permits = this.#permits;
    permits.free += count;
    while (permits.free > 0) {
      const next = permits.line.shift();
      if (next === undefined) return;
      permits.free--;
      permits.held.push({ who: next.who, flow: 0, token: revision });
      this.#tell(next.who, next.seq, { numbers: [revision] });
    }
  }

  #queueUp(who: Who, operation: Operation): void {
    const queue = this.#queue;
    const { verb, seq, numbers } = operation;
    const waiting = { who, seq, flow: 0, notified: undefined };
    if (verb === "queue-put") {
      const item = decodeValue(first(operation));
      if (queue.items.length >= 2 && numbers[0] === 0) this.#tell(who, seq, { code: "full" });
      else queue.putters.push({ ...waiting, item });
    } else if (queue.items.length === 0 && numbers[0] === 0) this.#tell(who, seq, { code: "empty" });
    else queue.getters.push({ ...waiting, item: undefined });
    this.#moveQueue();
  }

  #moveQueue(): void {
    const queue = this.#queue;
    for (;;) {
      const putter = queue.items.length < 2 ? queue.putters.shift() : undefined;
      if (putter !== undefined) {
        queue.items.push(putter.item);
        this.#tell(putter.who, putter.seq, {});
      }
      const getter = queue.items.length > 0 ? queue.getters.shift() : undefined;
      if (getter !== undefined) this.#tell(getter.who, getter.seq, { values: [queue.items.shift()] });
      if (putter === undefined && getter === undefined) return;
    }
  }

  #meet(who: Who, { verb, seq, numbers }: Operation): void {
    const barrier = this.#barrier;
    if (verb === "barrier-reset") {
      this.#break();
      this.#barrier = { line: [], broken: false, action: undefined };
      this.#tell(who, seq, {});
    } else if (barrier.broken) this.#tell(who, seq, { code: "broken-barrier" });
    else if (verb === "barrier-wait") {
      barrier.line.push({ who, seq, flow: numbers[1] ?? 0, notified: undefined, item: undefined });
      this.#moveBarrier();
    } else if (barrier.action === undefined || !same(barrier.action, who)) this.#tell(who, seq, { code: "state" });
    else {
      this.#tell(who, seq, {});
      if (numbers[0] === 0) this.#break();
      else {
        this.#pass();
        this.#moveBarrier();
      }
    }
  }

  /** The last of three is answered at once; the others too, unless it has an action to run. */
  #moveBarrier(): void {
    const barrier = this.#barrier;
    while (barrier.action === undefined && barrier.line.length >= 3) {
      const [last] = barrier.line.splice(2, 1);
      if (last === undefined) return;
      this.#tell(last.who, last.seq, { numbers: [2, last.flow] });
      if (last.flow === 1) barrier.action = last.who;
      else this.#pass();
    }
  }

  #pass(): void {
    this.#barrier.action = undefined;
    for (const [index, { who, seq }] of this.#barrier.line.splice(0, 2).entries())
      this.#tell(who, seq, { numbers: [index, 0] });
  }

  #break(): void {
    for (const { who, seq } of this.#barrier.line) this.#tell(who, seq, { code: "broken-barrier" });
    this.#barrier = { line: [], broken: true, action: undefined };
  }

  #cancel(revision: number, who: Who, { seq, numbers: [target] }: Operation): void {
    const isIt = (waiting: Waiting): boolean => waiting.seq === target && same(waiting.who, who);
    this.#tell(who, seq, {});
    const [waiter] = this.#condition.filter(isIt);
    if (waiter !== undefined) {
      replace(
        this.#condition,
        this.#condition.filter((other) => other !== waiter),
      );
      const lock = this.#locks.get("@k");
      lock?.line.push(waiter);
      if (lock !== undefined && lock.held === undefined) this.#free(revision, lock);
      return;
    }
    const tell = (line: readonly Waiting[]): Waiting[] => {
      for (const each of line.filter(isIt)) this.#tell(who, each.seq, { code: "cancelled" });
      return line.filter((each) => !isIt(each));
    };
    for (const lock of this.#locks.values()) {
      const fromCondition = lock.line.some((each) => isIt(each) && each.notified !== undefined);
      if (!fromCondition) lock.line = tell(lock.line);
    }
    this.#permits.line = tell(this.#permits.line);
    this.#queue.getters = tell(this.#queue.getters);
    this.#queue.putters = tell(this.#queue.putters);
    const before = this.#barrier.line.length;
    this.#barrier.line = tell(this.#barrier.line);
    if (this.#barrier.line.length < before) this.#break();
  }

  #effects(revision: number, who: Who, operation: Operation): void {
    const { verb, seq, numbers } = operation;
    const [id, ...outcomes] = operation.values.map((each) => decodeValue(each));
    const job = this.#jobs.get(id);
    if (verb === "effects-close") this.#tell(who, seq, { numbers: [this.#jobs.delete(id) ? 1 : 0] });
    else if (verb === "effects-commit") this.#settle(revision, who, operation, { job, outcomes });
    else if (job === undefined) {
      this.#jobs.set(id, { creator: numbers[0] === 1 ? undefined : who, settled: new Map() });
      this.#tell(who, seq, { numbers: [1] });
    } else if (job.creator !== undefined && same(job.creator, who)) this.#tell(who, seq, { numbers: [0] });
    else this.#tell(who, seq, { code: "conflict" });
  }

  /** Of each item that is not settled: what it writes, and its outcome. */
  #settle(
    revision: number,
    who: Who,
    { seq, numbers: [first = 0, ...counts], operations, expectations }: Operation,
    { job, outcomes }: { readonly job: JobModel | undefined; readonly outcomes: readonly unknown[] },
  ): void {
    if (job === undefined) return this.#tell(who, seq, { code: "not-found" });
    const known = counts.map((_, at) => job.settled.get(first + at));
    if (known.includes(undefined) && !this.#areUnchanged(expectations))
      return this.#tell(who, seq, { code: "conflict" });
    const left = [...operations];
    for (const [at, count] of counts.entries()) {
      const own = left.splice(0, count);
      if (known[at] !== undefined) continue;
      for (const { object, values } of own) {
        const [key, by] = values.map((each) => decodeValue(each));
        if (object === "@log") this.log.push(key);
        else this.#add(revision, object, String(key), Number(by));
      }
      job.settled.set(first + at, outcomes[at]);
    }
    const values = known.filter((outcome) => outcome !== undefined);
    this.#tell(who, seq, { numbers: known.map((outcome) => (outcome === undefined ? 1 : 0)), values });
  }

  #areUnchanged(expectations: Operation["expectations"]): boolean {
    return expectations.every(({ object, key, revision: read }) => {
      const entry = this.#dicts.get(object)?.get(String(decodeValue(key)));
      return (entry?.revision ?? 0) === read;
    });
  }

  #transaction(revision: number, who: Who, { seq, operations, expectations }: Operation): void {
    if (!this.#areUnchanged(expectations)) this.#tell(who, seq, { code: "conflict" });
    else {
      for (const { object, values } of operations) {
        const [key, value] = values.map((each) => decodeValue(each));
        this.#dicts.get(object)?.set(String(key), { value: Number(value), revision });
      }
      this.#tell(who, seq, {});
    }
  }

  #dict(revision: number, who: Who, { object, seq, values }: Operation): void {
    const [key, by] = values.map((each) => decodeValue(each));
    this.#tell(who, seq, { values: [this.#add(revision, object, String(key), Number(by))] });
  }

  #add(revision: number, object: string, key: string, by: number): number {
    const dict = this.#dicts.get(object);
    const value = (dict?.get(key)?.value ?? 0) + by;
    dict?.set(key, { value, revision });
    return value;
  }

  #tell(who: Who, seq: number, told: Partial<Expected>): void {
    this.expected.set(keyOf(who, seq), { numbers: [], values: [], code: undefined, ...told });
  }
}

class LockModel {
  readonly reentrant: boolean;
  held: Held | undefined;
  line: Waiting[] = [];

  constructor(reentrant: boolean) {
    this.reentrant = reentrant;
  }
}

/** How an operation is told from every other. */
export function keyOf({ session, owner }: Who, seq: number): string {
  return `${session}.${owner}/${seq}`;
}

function same(a: Who, b: Who): boolean {
  return a.session === b.session && a.owner === b.owner;
}

function replace<T>(array: T[], by: readonly T[]): void {
  array.splice(0, array.length, ...by);
}

function first({ values }: Operation): Uint8Array {
  return values[0] ?? new Uint8Array();
}
