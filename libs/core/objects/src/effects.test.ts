import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Command,
  type Effect,
  type Expectation,
  Objects,
  type Operation,
  type Reply,
  type Verb,
} from "./index.ts";
import { testCodec } from "./testing/codec.ts";
import {
  KEYS,
  type Model,
  operationOf,
  plainWrite,
  repliesOf,
  type Said,
  textOf,
  type Write,
  writeVerbs,
} from "./testing/effects-writes.ts";

/** A write of an item: its verb, at which of few keys or places, and a number. */
const writes: fc.Arbitrary<Write> = fc.record({
  verb: fc.constantFrom(...writeVerbs),
  at: fc.nat(2),
  by: fc.nat(50),
});

const who = fc.record({ session: fc.nat(1), owner: fc.nat(1) });

const step = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      type: fc.constant("commit"),
      who,
      job: fc.nat(2),
      first: fc.nat(7),
      items: fc.array(fc.array(writes, { maxLength: 3 }), { minLength: 1, maxLength: 4 }),
      /** Of what it expects: a key, or the whole list; as it is, or as it was. Or that none of the items is settled. */
      expects: fc.array(fc.record({ key: fc.nat(4), isOld: fc.nat(4).map((one) => one === 0) }), { maxLength: 2 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("again"), back: fc.nat(3), asNew: fc.boolean(), who }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("open"), who, job: fc.nat(2), outlives: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("close"), who, job: fc.nat(2) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("settled"), who, job: fc.nat(2) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("try"), who, items: fc.array(writes, { maxLength: 4 }) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("write"), who, write: writes }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("die"), who, whole: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("restart") }) },
);

type Who = typeof who extends fc.Arbitrary<infer T> ? T : never;
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

describe("writes that count once", () => {
  test("are done once for each item that is settled, and for no other, whatever happens in between", () => {
    const met = new Map<string, number>();
    fc.assert(
      fc.property(fc.array(step, { minLength: 10, maxLength: 80, size: "max" }), (steps) => {
        const world = new World(met);
        for (const each of steps) world.take(each);
        world.end();
      }),
      { numRuns: 400 },
    );
    const codes = ["done", "again", "conflict", "not-found", "range", "type", "same"];
    for (const code of codes) expect(met.get(code) ?? 0, code).toBeGreaterThan(20);
  });

  test("are not done when some of their items are settled and none was to be, but told when all are", () => {
    const world = new Bare();
    const fresh = [{ object: "", key: new Uint8Array(), revision: 0 }];
    const commit = (first: number, outcomes: readonly string[]): Reply | undefined =>
      world.write("effects-commit", ["job", ...outcomes], [first, ...outcomes.map(() => 0)], fresh);
    world.write("effects-open", ["job"], []);
    expect(commit(1, ["b", "c"])?.numbers).toEqual([1, 1]);
    expect(commit(0, ["a", "other b"])?.refusal?.code).toBe("conflict");
    expect(world.read("effects-settled", ["job"], [0, 4])?.numbers).toEqual([0, 1, 1, 0]);
    const again = commit(1, ["other b", "other c"]);
    expect([again?.numbers, again?.values.map((value) => testCodec.decode(value))]).toEqual([
      [0, 0],
      ["b", "c"],
    ]);
  });

  test("settle twenty thousand items one by one, in any order, and know each of them", () => {
    const world = new Bare();
    world.write("effects-open", ["job"], []);
    const count = 20_000;
    const spread = (at: number): number => (at * 7_919) % count;
    for (let at = 0; at < count; at++) world.write("effects-commit", ["job", spread(at)], [spread(at), 0]);
    world.objects.validate();
    const reply = world.read("effects-settled", ["job"], [0, count]);
    expect(reply?.numbers.every((settled) => settled === 1)).toBe(true);
    expect(reply?.values.every((value, at) => testCodec.decode(value) === at)).toBe(true);
    const restored = Objects.restore(world.objects.snapshot(), { values: testCodec });
    restored.validate();
    expect(restored.totals()).toEqual(world.objects.totals());
  });
});

class Bare {
  objects = new Objects({ values: testCodec });
  readonly log: Command[] = [];
  #seq = 0;

  constructor() {
    this.step({ type: "session-opened", nonce: "n", ttlMs: 2_000, description: "" });
  }

  step(command: Command): readonly Effect[] {
    this.log.push(command);
    return this.objects.step(command);
  }

  write(
    verb: Verb,
    values: readonly unknown[],
    numbers: readonly number[],
    expectations: readonly Expectation[] = [],
  ): Reply | undefined {
    const operations = [{ ...operationOf(++this.#seq, verb, "", { values, numbers }), expectations }];
    const acknowledged = [1, this.#seq - 1];
    return repliesOf(this.step({ type: "operations-asked", session: 1, owner: 0, acknowledged, operations }))[0];
  }

  read(verb: Verb, values: readonly unknown[], numbers: readonly number[]): Reply | undefined {
    return repliesOf(this.objects.read(1, 0, operationOf(++this.#seq, verb, "", { values, numbers })))[0];
  }
}

interface Job {
  /** Told from another one of the same id. */
  readonly life: number;
  readonly creator: string | undefined;
  readonly settled: Map<number, string>;
}

const JOBS = ["j0", "j1", "j2"];

/**
 * Commits of items of jobs, between writes of others, deaths, restarts and commits that are sent again: after each step the whole state is that of
 * a naive model, which copies everything before it tries anything. And whatever the model thinks, each item that is settled has left one mark in a
 * list, and no other item any.
 */
class World {
  readonly #met: Map<string, number>;
  readonly #log: Command[] = [];
  #objects = new Objects({ values: testCodec });
  #model: Model = {
    dict: new Map(),
    revisions: new Map(),
    list: [],
    listChanged: 0,
    log: [],
    cells: [0, 0, 0],
  };
  readonly #jobs = new Map<string, Job>();
  readonly #sessions: number[] = [];
  readonly #closed = new Set<string>();
  readonly #commits: {
    readonly asked: Step & { readonly type: "commit" };
    readonly seq: number;
    readonly by: string;
    readonly operation: Operation;
    readonly told: Reply;
  }[] = [];
  #seq = 0;
  #life = 0;

  constructor(met: Map<string, number>) {
    this.#met = met;
    for (let at = 0; at < 2; at++) this.#open(at);
    const kinds = [
      ["@d", { kind: "dict" }],
      ["@l", { kind: "list" }],
      ["@log", { kind: "list" }],
      ["@v", { kind: "array", code: "i32" }, [0, 0, 0]],
    ] as const;
    for (const [object, ...values] of kinds) this.#write({ session: 0, owner: 0 }, "create", object, { values });
    this.#model.listChanged = 4;
    for (const job of [0, 1]) this.take({ type: "open", who: { session: job, owner: 0 }, job, outlives: job });
  }

  take(step: Step): void {
    switch (step.type) {
      case "commit":
        this.#commit(step, this.#operationOf(step));
        break;
      case "again":
        this.#again(step);
        break;
      case "open": {
        const { who, job, outlives } = step;
        const reply = this.#write(who, "effects-open", "", { values: [JOBS[job]], numbers: [outlives] });
        this.#opened(this.#nameOf(who), JOBS[job] ?? "", outlives === 1, reply);
        break;
      }
      case "close": {
        const id = JOBS[step.job] ?? "";
        const reply = this.#write(step.who, "effects-close", "", { values: [id] });
        expect(reply.numbers).toEqual([this.#jobs.delete(id) ? 1 : 0]);
        break;
      }
      case "settled":
        this.#settled(step.who, JOBS[step.job] ?? "");
        break;
      case "try":
        this.#try(step.who, step.items);
        break;
      case "write": {
        const { operation, run } = plainWrite(step.write);
        const reply = this.#write(step.who, operation.verb, operation.object, operation);
        const before = structuredClone(this.#model);
        const code = run(this.#model, reply.revision);
        if (code !== undefined) this.#model = before;
        expect(reply.refusal?.code).toBe(code);
        break;
      }
      case "die":
        this.#die(step.who, step.whole);
        break;
      case "restart":
        this.#objects = Objects.restore([...this.#objects.snapshot()], { values: testCodec });
        break;
    }
    this.#check();
  }

  /** All commands once more make the same. */
  end(): void {
    const replayed = new Objects({ values: testCodec });
    for (const command of this.#log) replayed.step(command);
    expect([...replayed.snapshot()]).toEqual([...this.#objects.snapshot()]);
  }

  #open(at: number): void {
    const nonce = `${at}.${this.#log.length}`;
    for (const effect of this.#step({ type: "session-opened", nonce, ttlMs: 2_000, description: "" }))
      if (effect.type === "open-session") this.#sessions[at] = effect.session;
  }

  #step(command: Command): readonly Effect[] {
    this.#log.push(command);
    return this.#objects.step(command);
  }

  #nameOf({ session, owner }: Who): string {
    let alive = owner;
    while (this.#closed.has(`${this.#sessions[session]}.${alive}`)) alive += 2;
    return `${this.#sessions[session]}.${alive}`;
  }

  #ask(by: string, operation: Operation): Reply {
    const [session = 0, owner = 0] = by.split(".").map(Number);
    const command = { type: "operations-asked", session, owner, acknowledged: [], operations: [operation] } as const;
    const [reply] = repliesOf(this.#step(command));
    if (reply === undefined) throw new Error("nothing here waits");
    return reply;
  }

  #write(who: Who, verb: Verb, object: string, said: Partial<Said>): Reply {
    return this.#ask(this.#nameOf(who), operationOf(++this.#seq, verb, object, said));
  }

  #read(who: Who, verb: Verb, said: Partial<Said>): Reply {
    const [session = 0, owner = 0] = this.#nameOf(who).split(".").map(Number);
    const [reply] = repliesOf(this.#objects.read(session, owner, operationOf(++this.#seq, verb, "", said)));
    if (reply === undefined) throw new Error("nothing here waits");
    return reply;
  }

  #operationOf(asked: Step & { readonly type: "commit" }): Operation {
    const { job, first, items, expects } = asked;
    const id = JOBS[job] ?? "";
    const attempt = this.#seq + 1;
    const mark = operationOf(1, "list-append", "@log", {});
    const marked = items.map((own) => [...own.map((write) => plainWrite(write).operation), mark]);
    const values = [id, ...items.map((_, at) => `${first + at} by ${attempt}`)];
    const operation = operationOf(attempt, "effects-commit", "", {
      values,
      numbers: [first, ...marked.map(({ length }) => length)],
    });
    const operations = marked.flat().map((each, at) => ({ ...each, seq: at + 1 }));
    const expectations = expects.map(({ key, isOld }): Expectation => {
      if (key > KEYS.length) return { object: "", key: new Uint8Array(), revision: 0 };
      const name = KEYS[key];
      const is = name === undefined ? this.#model.listChanged : (this.#model.revisions.get(name) ?? 0);
      const bytes = name === undefined ? new Uint8Array() : testCodec.encode(name);
      return { object: name === undefined ? "@l" : "@d", key: bytes, revision: isOld ? is + 1_000 : is };
    });
    return this.#marked(asked, { ...operation, operations, expectations });
  }

  /** The marks of its items are those of the job that has the id now. */
  #marked({ job, first, items }: Step & { readonly type: "commit" }, operation: Operation): Operation {
    const operations = [...operation.operations];
    for (const [at] of items.entries()) {
      const place = markOf(operation, at);
      const mark = `${JOBS[job]}/${this.#jobs.get(JOBS[job] ?? "")?.life}/${first + at}`;
      operations[place] = operationOf(place + 1, "list-append", "@log", { values: [mark] });
    }
    return { ...operation, operations };
  }

  #commit(asked: Step & { readonly type: "commit" }, operation: Operation, by = this.#nameOf(asked.who)): void {
    this.#seq = Math.max(this.#seq, operation.seq);
    const told = this.#ask(by, operation);
    this.#commits.push({ asked, seq: operation.seq, by, operation, told });
    this.#judge(asked, operation, told);
  }

  /** The commit before, or one before that, once more: as what it was, or as something new, perhaps by somebody else. */
  #again({ back, asNew, who }: Step & { readonly type: "again" }): void {
    const before = this.#commits.at(-1 - back);
    if (before === undefined) return;
    const { asked, by, operation, told } = before;
    if (asNew) return this.#commit(asked, { ...this.#marked(asked, operation), seq: ++this.#seq }, this.#nameOf(who));
    const [session = 0, owner = 0] = by.split(".").map(Number);
    const isDead = this.#closed.has(by) || !this.#sessions.includes(session);
    const isNewest = this.#commits.findLast((each) => each.seq === operation.seq && each.by === by) === before;
    if (isDead || !isNewest) return;
    const command = { type: "operations-asked", session, owner, acknowledged: [], operations: [operation] } as const;
    expect(repliesOf(this.#step(command))).toEqual([told]);
    this.#count("same");
  }

  #judge(
    { job: at, first, items, expects }: Step & { readonly type: "commit" },
    operation: Operation,
    reply: Reply,
  ): void {
    const id = JOBS[at] ?? "";
    const job = this.#jobs.get(id);
    if (job === undefined) return this.#refused(reply, "not-found");
    const fresh = items.map((_, place) => !job.settled.has(first + place));
    if (fresh.includes(true) && !operation.expectations.every((each) => this.#holds(each, fresh)))
      return this.#refused(reply, "conflict");
    const before = structuredClone(this.#model);
    for (const [place, own] of items.entries()) {
      if (fresh[place] === false) continue;
      for (const write of own) {
        const code = plainWrite(write).run(this.#model, reply.revision);
        if (code === undefined) continue;
        this.#model = before;
        return this.#refused(reply, code);
      }
      this.#model.log.push(
        String(testCodec.decode(operation.operations[markOf(operation, place)]?.values[0] ?? new Uint8Array())),
      );
    }
    const known = items.flatMap((_, place) => job.settled.get(first + place) ?? []);
    for (const [place] of items.entries())
      if (fresh[place] === true) job.settled.set(first + place, textOf(operation.values[1 + place]));
    expect(reply.refusal).toBe(undefined);
    expect(reply.numbers).toEqual(fresh.map((each) => (each ? 1 : 0)));
    expect(reply.values.map(textOf)).toEqual(known);
    this.#count(fresh.includes(true) ? "done" : "again");
    expect(expects.length).toBe(operation.expectations.length);
  }

  #holds({ object, key, revision }: Expectation, fresh: readonly boolean[]): boolean {
    if (object === "") return !fresh.includes(false);
    const is = object === "@l" ? this.#model.listChanged : (this.#model.revisions.get(textOf(key)) ?? 0);
    return is === revision;
  }

  #refused(reply: Reply, code: string): void {
    expect(reply.refusal?.code).toBe(code);
    expect([reply.numbers, reply.values]).toEqual([[], []]);
    this.#count(code);
  }

  #opened(by: string, id: string, outlives: boolean, reply: Reply): void {
    const there = this.#jobs.get(id);
    const creator = outlives ? undefined : by;
    if (there === undefined) this.#jobs.set(id, { life: ++this.#life, creator, settled: new Map() });
    const isSame = there === undefined || there.creator === creator;
    expect(reply.refusal?.code).toBe(isSame ? undefined : "conflict");
    if (isSame) expect(reply.numbers).toEqual([there === undefined ? 1 : 0]);
  }

  #settled(who: Who, id: string): void {
    const job = this.#jobs.get(id);
    const reply = this.#read(who, "effects-settled", { values: [id], numbers: [0, 12] });
    if (job === undefined) return expect(reply.refusal?.code).toBe("not-found");
    const outcomes = Array.from({ length: 12 }, (_, at) => job.settled.get(at));
    expect(reply.numbers).toEqual(outcomes.map((outcome) => (outcome === undefined ? 0 : 1)));
    expect(reply.values.map(textOf)).toEqual(outcomes.filter((outcome) => outcome !== undefined));
  }

  /** Those of the list, and then how long it is. */
  #try(who: Who, items: readonly Write[]): void {
    const own = items.filter(({ verb }) => verb === "append" || verb === "pop").map(plainWrite);
    const before = [...this.#objects.snapshot()];
    const operations = [...own.map(({ operation }) => operation), operationOf(1, "list-length", "@l", {})];
    const reply = this.#read(who, "effects-try", { operations });
    const copy = structuredClone(this.#model);
    const code = own.map(({ run }) => run(copy, 0)).find((each) => each !== undefined);
    expect([reply.refusal?.code, reply.revision]).toEqual([code, this.#model.listChanged]);
    if (code === undefined) expect(reply.numbers).toEqual([copy.list.length]);
    expect([...this.#objects.snapshot()]).toEqual(before);
  }

  #die(who: Who, whole: boolean): void {
    const name = this.#nameOf(who);
    const [session = 0, owner = 0] = name.split(".").map(Number);
    if (whole) this.#step({ type: "session-expired", session });
    else this.#step({ type: "owner-closed", session, owner });
    for (const [id, { creator }] of this.#jobs)
      if (creator === name || (whole && creator?.startsWith(`${session}.`))) this.#jobs.delete(id);
    if (whole) this.#open(who.session);
    else this.#closed.add(name);
  }

  #check(): void {
    this.#objects.validate();
    const read = (verb: Verb, object: string): unknown[] =>
      repliesOf(this.#objects.read(this.#sessions[0] ?? 0, 99, operationOf(1, verb, object, {}))).flatMap(
        ({ values }) => values.map((value) => testCodec.decode(value)),
      );
    const entries = read("dict-entries", "@d");
    const dict = Object.fromEntries(
      KEYS.flatMap((key) => (entries.includes(key) ? [[key, entries[entries.indexOf(key) + 1]]] : [])),
    );
    expect(dict).toEqual(
      Object.fromEntries(KEYS.flatMap((key) => (this.#model.dict.has(key) ? [[key, this.#model.dict.get(key)]] : []))),
    );
    expect(read("list-slice", "@l")).toEqual(this.#model.list);
    expect([...(read("cells-slice", "@v")[0] as Int32Array)]).toEqual(this.#model.cells);
    const marks = read("list-slice", "@log").map(String);
    expect(marks).toEqual(this.#model.log);
    expect(new Set(marks).size, "each item's writes are done once").toBe(marks.length);
    for (const [id, { life, settled }] of this.#jobs) {
      const own = marks.filter((mark) => mark.startsWith(`${id}/${life}/`)).map((mark) => Number(mark.split("/")[2]));
      expect(
        own.sort((a, b) => a - b),
        "and if and only if it is settled",
      ).toEqual([...settled.keys()].sort((a, b) => a - b));
    }
  }

  #count(what: string): void {
    this.#met.set(what, (this.#met.get(what) ?? 0) + 1);
  }
}

/** Where the mark of an item stands among the operations of its commit. */
function markOf({ numbers }: Operation, place: number): number {
  return numbers.slice(1, place + 2).reduce((sum, count) => sum + count, -1);
}
