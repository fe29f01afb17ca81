import { LEASE_MS } from "@heddle/kernel";
import { type Listening, type Session, SessionAcceptor, streamRoute } from "@heddle/port-rpc";
import {
  decodeOperations,
  decodeValue,
  encodeReplies,
  encodeValue,
  type OpenJob,
  type OperateRequestEntry,
  type OperateResponseEntry,
  objectsOperate,
  protocolVersion,
  sessionsKeepAlive,
  verbOf,
} from "@heddle/wire";
import { expect, onTestFinished, test } from "vitest";
import { attach, ID, keeper, Lives, offerAll, openKept, submit, told, work } from "./kept-testing.ts";
import { ENDED_JOB_AGE_MS, KEPT_COMEBACK_MS } from "./limits.ts";
import { fabricError } from "./results.ts";
import { type Bench, finish, inline, settle } from "./testing.ts";

const MANAGER = "manager";
const ONCE = { effectsOnce: true };

/** A manager that knows jobs alone, and notes what is closed and written off. */
class JobsManager {
  /** What was asked to be closed, together. */
  readonly asked: string[][] = [];
  /** Items that were to be written off. */
  readonly writtenOff: number[] = [];
  /** What items have come to. */
  readonly outcomes = new Map<number, Uint8Array>();
  /** It knows no job. */
  isEmpty = false;
  /** Sessions that were opened, and ended. */
  readonly sessions = { opened: 0, closed: 0 };
  /** Hears, and says nothing. */
  isMute = false;
  readonly #env: Bench["env"];
  readonly #network: Bench["network"];
  #listening: Listening | undefined;

  constructor({ env, network }: Bench) {
    this.#env = env;
    this.#network = network;
  }

  async serve(): Promise<void> {
    const acceptor = new SessionAcceptor<OperateResponseEntry, OperateRequestEntry>({
      ...{ env: this.#env, serverId: "0".repeat(32), version: protocolVersion("test", 24) },
      ...{ leaseMs: LEASE_MS, heartbeatMs: 2_000 },
      onSession: (stream) => ({
        entries: (entries) => {
          for (const entry of entries) this.#take(stream, entry);
        },
        ended: () => undefined,
      }),
    });
    this.#listening = await this.#network.listen(MANAGER, [
      streamRoute(objectsOperate, (link) => acceptor.accept(link)),
      streamRoute(sessionsKeepAlive, () => undefined),
    ]);
  }

  /** It is gone, and its streams with it. */
  async kill(): Promise<void> {
    await this.#listening?.[Symbol.asyncDispose]();
    this.#network.cut(MANAGER);
    await settle();
  }

  #answer({ seq, verb, values, numbers: [index = -1] }: ReturnType<typeof decodeOperations>[number]) {
    const reply = { seq, values: [], numbers: [1], revision: 1, error: undefined };
    if (verb === verbOf("effects-close")) return reply;
    expect([verb, values.length, values[1]]).toEqual([verbOf("effects-commit"), 2, new Uint8Array(0)]);
    this.writtenOff.push(index);
    if (this.isEmpty) return { ...reply, numbers: [], error: fabricError("not-found", "job job-1 is over") };
    const outcome = this.outcomes.get(index);
    if (outcome === undefined) this.outcomes.set(index, new Uint8Array(0));
    return outcome === undefined ? reply : { ...reply, values: [outcome], numbers: [0] };
  }

  #take(stream: Session<OperateResponseEntry>, { kind }: OperateRequestEntry): void {
    if (kind?.$case === "openSession") {
      this.sessions.opened++;
      stream.send({ kind: { $case: "sessionOpened", value: { session: this.sessions.opened, ttlMs: LEASE_MS } } }, 0);
    } else if (kind?.$case === "closeSession") this.sessions.closed++;
    else if (kind?.$case === "operations") {
      const operations = decodeOperations(kind.value.batch?.data ?? new Uint8Array(0));
      const closed = operations.filter(({ verb }) => verb === verbOf("effects-close"));
      if (closed.length > 0)
        this.asked.push(closed.map(({ values: [id = new Uint8Array(0)] }) => String(decodeValue(id))));
      if (this.isMute) return;
      const replies = operations.map((operation) => this.#answer(operation));
      const data = encodeReplies(replies);
      const batch = { encoding: 0 as const, count: replies.length, size: data.length, data, partStream: 0 };
      stream.send({ kind: { $case: "replies", value: { owner: 0, batch } } }, data.length);
    }
  }
}

async function openStage(open: Partial<OpenJob> = ONCE) {
  const lives = new Lives(onTestFinished, undefined, { managerAt: MANAGER, timeOfDayMs: () => 1 });
  const bench = await lives.next();
  const manager = new JobsManager(bench);
  await manager.serve();
  const client = await keeper(bench);
  /** Submits so many items of one chunk each, all of which fail; they are listened to. */
  const failing = async (count: number) => {
    await submit(client, 1, new Array(count).fill(1), {}, open);
    attach(client, 1);
    const node = await bench.node("n1", 8, { slots: 8 });
    await settle();
    for (const { assignment, firstIndex } of node.said("assignChunk")) {
      const failure = { offset: 0, summary: `Error: no ${firstIndex}`, place: undefined, kind: undefined };
      finish(node, assignment, { $case: "itemError", value: { completed: 0, values: inline([]), failure } });
    }
    await settle();
  };
  return { lives, bench, manager, client, failing };
}

/** The next life of the coordinator, and a manager that is with it. */
async function nextLife(lives: Lives) {
  const bench = await lives.next();
  const manager = new JobsManager(bench);
  await manager.serve();
  await bench.clock.advance(1_000);
  return { bench, manager };
}

test("a kept job whose writes count once is closed at the manager once it has ended, though nobody listens; one that is not is never asked about", async () => {
  const { bench, manager, client } = await openStage();
  await submit(client, 1, [1, 1], {}, ONCE);
  await submit(client, 2, [1]);
  await client.session?.close();
  const node = await bench.node("n1", 8, { slots: 8 });
  await settle();
  expect(manager.asked).toEqual([]);
  expect(await work(node)).toBe(3);
  await bench.clock.advance(1_000);
  expect(manager.asked).toEqual([["job-1"]]);
  expect(manager.sessions).toEqual({ opened: 1, closed: 1 });
});

test("as long as the manager is away it is asked again, also when the coordinator is another by then, and the job stays on disk beyond its time", async () => {
  const { lives, bench, manager, client } = await openStage();
  await manager.kill();
  await submit(client, 1, [1], {}, ONCE);
  await submit(client, 2, [1], {}, ONCE);
  await submit(client, 3, [1]);
  const node = await bench.node("n1", 8, { slots: 8 });
  await work(node);
  await Promise.all([client.session?.close(), node.session?.close()]);
  for (let passedMs = 0; passedMs < ENDED_JOB_AGE_MS; passedMs += ENDED_JOB_AGE_MS / 60)
    await bench.clock.advance(ENDED_JOB_AGE_MS / 60);
  await bench.clock.advance(1_000);
  expect(lives.disk.recovered().jobs.map(({ id }) => id)).toEqual(["job-1", "job-2"]);
  expect(bench.logged.filter(({ message }) => message.includes("still to be asked about jobs"))).toHaveLength(1);
  const later = await nextLife(lives);
  expect(later.manager.asked).toEqual([["job-1", "job-2"]]);
  await later.bench.clock.advance(ENDED_JOB_AGE_MS);
  expect(lives.disk.recovered().jobs).toEqual([]);
});

test("a manager that comes back before the coordinator has ended is told then, and the job goes when its time is over", async () => {
  const { lives, bench, manager, client } = await openStage();
  manager.isMute = true;
  await submit(client, 1, [1], {}, ONCE);
  const node = await bench.node("n1", 8, { slots: 8 });
  await work(node);
  await Promise.all([client.session?.close(), node.session?.close()]);
  await manager.kill();
  await bench.clock.advance(10_000);
  manager.isMute = false;
  manager.asked.length = 0;
  await manager.serve();
  await bench.clock.advance(40_000);
  expect(manager.asked.flat()).toContain("job-1");
  const asked = manager.asked.length;
  await bench.clock.advance(ENDED_JOB_AGE_MS);
  expect([manager.asked.length, lives.disk.recovered().jobs]).toEqual([asked, []]);
});

test("what is not ended is not closed: its coordinator's next life goes on with it, and closes it", async () => {
  const { lives, bench, manager, client } = await openStage();
  await submit(client, 1, [1, 1], {}, ONCE);
  expect(await work(await bench.node("n1", 1), 0, 1)).toBe(1);
  const later = await nextLife(lives);
  expect([manager.asked, later.manager.asked]).toEqual([[], []]);
  await work(await later.bench.node("n1", 8, { slots: 8 }));
  await later.bench.clock.advance(1_000);
  expect(later.manager.asked).toEqual([["job-1"]]);
});

test("whoever submits a job that has ended has opened it again: it is closed again", async () => {
  const { bench, manager, client } = await openStage();
  await submit(client, 1, [1], {}, ONCE);
  await work(await bench.node("n1", 8, { slots: 8 }));
  await bench.clock.advance(1_000);
  const other = await keeper(bench, "2".repeat(32));
  openKept(other, 7, {}, { ...ONCE, jobId: "job-1" });
  await bench.clock.advance(1_000);
  expect(told(other)).toEqual(["7 kept 1 whole"]);
  expect(manager.asked).toEqual([["job-1"], ["job-1"]]);
});

test("a submission that comes to nothing is closed; not one that another client takes over, which has opened it before", async () => {
  const { bench, manager, client } = await openStage();
  await bench.network.listen("away", bench.shell.routes);
  const lost = await keeper(bench, "2".repeat(32), undefined, "away");
  openKept(lost, 1, {}, ONCE);
  await settle();
  bench.network.blackhole("away", true);
  await bench.clock.advance(LEASE_MS + 2_000);
  openKept(client, 1, {}, ONCE);
  await bench.clock.advance(1_000);
  expect(manager.asked).toEqual([]);
  offerAll(client, 1, [1]);
  await client.session?.close();
  await bench.clock.advance(LEASE_MS + KEPT_COMEBACK_MS);
  expect(manager.asked).toEqual([["job-1"]]);
});

test("an id is not for another job while its last one is still to be closed", async () => {
  const { bench, manager, client } = await openStage();
  openKept(client, 1, {}, ONCE);
  await settle();
  manager.isMute = true;
  client.say({ $case: "cancelJob", value: { job: 1, reason: "" } }, 0);
  await settle();
  openKept(client, 2, {}, { ...ONCE, jobId: "job-1" });
  await settle();
  expect(told(client)).toContain("2 ended 2 unavailable");
  manager.isMute = false;
  await manager.kill();
  await manager.serve();
  await bench.clock.advance(60_000);
  await submit(client, 3, [1], {}, { ...ONCE, jobId: "job-1" });
  const listener = await keeper(bench, ID.replace("1", "3"));
  attach(listener, 1);
  await work(await bench.node("n1", 8, { slots: 8 }));
  expect(told(listener)).toContain("1 ended 1");
});

const COLLECTED = { ...ONCE, collect: true };

test("an item that is answered by an error is written off before anybody hears of it; one that has come to count has its value", async () => {
  const { bench, manager, client, failing } = await openStage(COLLECTED);
  manager.outcomes.set(1, encodeValue(77, "result"));
  await failing(3);
  await bench.clock.advance(1_000);
  expect(manager.writtenOff).toEqual([0, 1, 2]);
  expect(told(client).slice(-5)).toEqual([
    "1 attached to 3",
    "1 0 failed: Error: no 0",
    "1 1+1: 77",
    "1 2 failed: Error: no 2",
    "1 ended 1",
  ]);
  expect(manager.asked).toEqual([["job-1"]]);
});

test("as long as the manager is away nobody hears of such an item; the next coordinator runs it again", async () => {
  const { lives, bench, manager, client, failing } = await openStage(COLLECTED);
  manager.isMute = true;
  await failing(1);
  await bench.clock.advance(60_000);
  expect([manager.writtenOff, told(client).at(-1)]).toEqual([[], "1 attached to 1"]);
  const later = await nextLife(lives);
  const listener = await keeper(later.bench);
  attach(listener, 1);
  expect(await work(await later.bench.node("n1", 1))).toBe(1);
  await later.bench.clock.advance(1_000);
  expect([later.manager.writtenOff, told(listener)]).toEqual([[], ["1 attached to 1", "1 0+1: 0", "1 ended 1"]]);
});

test("a job all of which has run and that waits for the manager can be cancelled, and is told to have been", async () => {
  const { bench, manager, client, failing } = await openStage(COLLECTED);
  await manager.kill();
  await failing(2);
  client.say({ $case: "cancelJob", value: { job: 1, reason: "" } }, 0);
  await settle();
  expect(told(client).slice(-2)).toEqual(["1 attached to 2", "1 ended 3 cancelled"]);
  expect((await bench.jobs()).map(({ jobId, state }) => [jobId, state])).toEqual([["job-1", "cancelled"]]);
  await manager.serve();
  await bench.clock.advance(60_000);
  expect(manager.asked).toEqual([["job-1"]]);
});

test("where the manager knows the job no more, an item's error is its answer", async () => {
  const { bench, manager, client, failing } = await openStage(COLLECTED);
  manager.isEmpty = true;
  await failing(1);
  await bench.clock.advance(1_000);
  expect(told(client).slice(-2)).toEqual(["1 0 failed: Error: no 0", "1 ended 1"]);
});

test("items of a job that fails with the first of them, or whose writes count as often as they are made, are not written off", async () => {
  for (const open of [ONCE, { collect: true }]) {
    const { bench, manager, client, failing } = await openStage(open);
    await failing(1);
    await bench.clock.advance(1_000);
    expect([manager.writtenOff, told(client)]).toEqual([[], expect.arrayContaining(["1 0 failed: Error: no 0"])]);
  }
});
