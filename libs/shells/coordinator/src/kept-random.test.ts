import { type Random, seededRandom } from "@heddle/kernel";
import { MemoryJobs } from "@heddle/port-job-store";
import { decodePayload, type IndexSpan } from "@heddle/wire";
import { expect, onTestFinished, test } from "vitest";
import { attach, keeper, Lives, offerAll, openKept, seal } from "./kept-testing.ts";
import { type Bench, type Client, finish, inline, type Node, settle } from "./testing.ts";

const CHUNKS = [3, 1, 4, 2, 5, 1];
const ITEMS = CHUNKS.reduce((sum, count) => sum + count, 0);
const JOB = "job-1";

/** One program that listens, through all of its sessions: what it has of each item. */
class Listener {
  readonly answers = new Map<number, string>();
  client: Client | undefined;
  isEnded = false;
  #heard = 0;

  async attach(bench: Bench): Promise<void> {
    this.hear();
    this.client = await bench.client();
    this.#heard = 0;
    attach(this.client, 1, JOB, this.#settled());
  }

  leave(): void {
    this.hear();
    this.client?.say({ $case: "leaveJob", value: { job: 1 } });
    this.client = undefined;
  }

  /** Takes what has come. */
  hear(): void {
    for (const entry of this.client?.heard.slice(this.#heard) ?? []) {
      if (entry.$case === "keptSpanDone") {
        const { firstIndex = 0 } = entry.value.span ?? {};
        const { encoding = 0, count = 0, data = new Uint8Array(0) } = entry.value.values ?? {};
        const values = decodePayload({ encoding, count, bytes: data });
        for (const [at, value] of values.entries()) this.#take(firstIndex + at, String(value));
      }
      if (entry.$case === "keptItemFailed") this.#take(entry.value.index, `failed ${entry.value.failure?.summary}`);
      if (entry.$case === "jobEnded") this.#end(entry.value.error?.code);
    }
    this.#heard = this.client?.heard.length ?? 0;
  }

  /** What was not kept, or not for want of room, is submitted again. */
  #end(code: string | undefined): void {
    expect([undefined, "not-found", "limit"]).toContain(code);
    if (code === undefined) this.isEnded = true;
    else expect(this.answers.size).toBe(0);
  }

  #take(index: number, answer: string): void {
    expect([index, this.answers.get(index)]).toEqual([index, undefined]); // nothing is told twice
    this.answers.set(index, answer);
  }

  #settled(): IndexSpan[] {
    return [...this.answers.keys()].sort((a, b) => a - b).map((firstIndex) => ({ firstIndex, count: 1 }));
  }
}

/** A job, those who submit it, run it and listen to it, on coordinators that die. */
class World {
  readonly #random: Random;
  readonly #lives: Lives;
  readonly listeners = [new Listener(), new Listener(), new Listener()];
  /** Runs of items so far: each has a result of its own. */
  #runs = 0;
  #isSlow = true;
  #isFull = false;
  #wasFull = false;
  /** Nothing was heard of the submission in this session. */
  #isNew = true;
  #bench: Bench | undefined;
  #submitter: Client | undefined;
  /** Chunks of which it was told that they are on disk. */
  #acknowledged = 0;
  #node: Node | undefined;
  readonly #finished = new Set<number>();

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    this.#lives = new Lives(onTestFinished, new MemoryJobs(() => this.#write()));
  }

  async run(steps: number): Promise<void> {
    await this.#restart();
    for (let step = 0; step < steps; step++) await this.#step();
    this.#isSlow = false;
    this.#isFull = false;
    await this.#restart();
    for (const listener of this.listeners) await listener.attach(this.#live);
    for (let turn = 0; turn < 60 && !this.listeners.every(({ isEnded }) => isEnded); turn++) {
      await this.#submit();
      await this.#work(true);
      await this.#live.clock.advance(500);
      for (const listener of this.listeners) listener.hear();
      for (const listener of this.listeners)
        if (!listener.isEnded && listener.client?.said("jobEnded").length !== 0) await listener.attach(this.#live);
    }
  }

  get #live(): Bench {
    if (this.#bench === undefined) throw new Error("no coordinator lives");
    return this.#bench;
  }

  async #write() {
    for (let turns = this.#isSlow ? this.#random.int(4) : 0; turns > 0; turns--) await settle();
    return this.#isFull ? ("full" as const) : ("kept" as const);
  }

  async #step(): Promise<void> {
    const one = this.listeners[this.#random.int(this.listeners.length)];
    switch (this.#random.int(12)) {
      case 0:
        if (this.#random.int(3) === 0) return this.#restart();
        break;
      case 1:
        if (one?.client === undefined) return one?.attach(this.#live);
        return one.leave();
      case 2:
        this.#hearKept();
        this.#submitter = undefined; // the next session of it takes its place
        break;
      case 3:
        this.#isFull = this.#random.int(3) === 0;
        this.#wasFull ||= this.#isFull; // what is refused then may not have been heard
        break;
      case 4:
        return this.#loseNode();
      case 5:
        return this.#live.clock.advance(1_200);
      case 6:
      case 7:
      case 8:
        return this.#submit();
      default:
        return this.#work(false);
    }
  }

  async #restart(): Promise<void> {
    for (const listener of this.listeners) listener.hear();
    for (const listener of this.listeners) listener.client = undefined;
    this.#hearKept();
    this.#bench = await this.#lives.next();
    this.#submitter = undefined;
    this.#node = undefined;
  }

  /** A step of the submission, whatever was said of it before. */
  async #submit(): Promise<void> {
    const submitter = this.#submitter ?? (await keeper(this.#live));
    if (this.#submitter === undefined) {
      this.#submitter = submitter;
      this.#isNew = true;
      openKept(submitter, 1, {}, { jobId: JOB, collect: true });
      return settle();
    }
    const [word] = submitter.said("jobKept");
    if (word !== undefined && this.#isNew && !this.#wasFull)
      expect(word.chunks).toBeGreaterThanOrEqual(this.#acknowledged);
    if (word !== undefined) this.#isNew = false;
    this.#hearKept();
    if (word !== undefined) this.#wasFull = this.#isFull;
    const refused = submitter.said("jobEnded").length > 0; // the disk was full
    if (refused) {
      this.#submitter = undefined;
      this.#acknowledged = 0;
    }
    if (refused || word === undefined || word.digest !== "") return settle();
    const until = this.#random.int(2 * CHUNKS.length);
    offerAll(submitter, 1, CHUNKS.slice(0, until), word.chunks);
    if (until < CHUNKS.length) return; // more may come while the disk is slow
    seal(submitter, 1, CHUNKS.length);
    submitter.heard.length = 0; // all was said
    await settle();
  }

  #hearKept(): void {
    for (const { chunks } of this.#submitter?.said("jobKept") ?? []) this.#acknowledged = chunks;
  }

  async #loseNode(): Promise<void> {
    await this.#node?.session?.close();
    this.#node = undefined;
    await settle();
  }

  /** Finishes one assignment in some way, or all of them well. */
  async #work(isWell: boolean): Promise<void> {
    if (this.#node === undefined) {
      this.#node = await this.#live.node(`n${this.#random.int(3)}`, 3, { slots: 3 });
      this.#finished.clear();
    }
    const open = this.#node.said("assignChunk").filter(({ assignment }) => !this.#finished.has(assignment));
    for (const assigned of isWell ? open : open.slice(0, 1)) {
      this.#finished.add(assigned.assignment);
      const { offset, count } = assigned.span ?? { offset: 0, count: assigned.input?.count ?? 0 };
      const first = assigned.firstIndex + offset;
      const results = (of: number) => inline(Array.from({ length: of }, (_, at) => `${first + at} in ${++this.#runs}`));
      const completed = this.#random.int(count);
      const failure = { offset: offset + completed, summary: `in ${++this.#runs}`, place: undefined, kind: undefined };
      const way = isWell ? 0 : this.#random.int(4);
      if (way === 3)
        finish(this.#node, assigned.assignment, {
          $case: "itemError",
          value: { completed, values: results(completed), failure },
        });
      else if (way === 2 && completed > 0)
        finish(this.#node, assigned.assignment, {
          $case: "partDone",
          value: { completed, values: results(completed) },
        });
      else finish(this.#node, assigned.assignment, { $case: "done", value: results(count) });
    }
    await settle();
  }
}

test.each(Array.from({ length: 120 }, (_, seed) => seed))(
  "whatever becomes of coordinators, clients, nodes and disk, all who listen have one and the same answer of each item (seed %i)",
  async (seed) => {
    const world = new World(seed);
    await world.run(80);
    const [first, ...others] = world.listeners.map(({ answers }) => [...answers].sort(([a], [b]) => a - b));
    expect(first?.map(([index]) => index)).toEqual(Array.from({ length: ITEMS }, (_, index) => index));
    for (const other of others) expect(other).toEqual(first);
    expect(world.listeners.map(({ isEnded }) => isEnded)).toEqual([true, true, true]);
  },
);
