import { PART_BYTES_MAX, type Random, seededRandom, silentLogger, type WriteOutcome } from "@heddle/kernel";
import { memorySpill } from "@heddle/port-spill";
import { flowOf, type Payload, PayloadFlow, PayloadInflow, PayloadOutflow, type RunResponseEntry } from "@heddle/wire";
import { expect, test } from "vitest";
import type { ClientRecord } from "./ledger.ts";
import { Outlet } from "./outlet.ts";
import { SpillSpace } from "./spill-space.ts";
import { settle } from "./testing.ts";

const RESULTS = 40;

interface Plan {
  readonly seed: number;
  readonly ordered: boolean;
  readonly unreadBytesMax: number;
  /** Of the disk. */
  readonly spaceBytes?: number;
  /** Probability that a write finds no space. */
  readonly full?: number;
  /** Of a result. */
  readonly bytesMax?: number;
}

/** A client at the end of a slow wire, and its program. */
class Reader {
  readonly heard = new Map<number, Buffer>();
  readonly taken = new Set<number>();
  readonly outflow: PayloadOutflow;
  queuedBytes = 0;
  readonly #wire: RunResponseEntry[] = [];
  readonly #inflow = new PayloadInflow();
  #wake = (): void => undefined;

  constructor() {
    this.outflow = new PayloadOutflow((part, bytes) => this.send({ kind: { $case: "part", value: part } }, bytes));
  }

  readonly send = (entry: RunResponseEntry, bytes = 0): void => {
    this.queuedBytes += bytes;
    this.#wire.push(entry);
  };

  readonly drained = async (): Promise<void> => {
    while (this.queuedBytes > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  };

  /** All that is on the wire arrives. */
  read(): void {
    for (const { kind } of this.#wire.splice(0)) {
      if (kind === undefined)
        expect(this.heard.size).toBe(RESULTS); // its end comes behind them
      else if (kind.$case === "part") this.#inflow.part(kind.value);
      else if (kind.$case === "spanDone") this.#hear(kind.value.chunk, kind.value.values);
    }
    this.queuedBytes = 0;
    this.#wake();
  }

  /** The program takes the next result, if it can. */
  take(ordered: boolean, outlet: Outlet): void {
    const untaken = ordered ? [this.taken.size] : [...this.heard.keys()].filter((chunk) => !this.taken.has(chunk));
    const next = untaken.find((chunk) => this.heard.has(chunk));
    if (next === undefined) return;
    this.taken.add(next);
    outlet.taken(this.heard.get(next)?.byteLength ?? 0);
  }

  #hear(chunk: number, values: Payload | undefined): void {
    const flow = this.#inflow.open(values, true);
    const end = (aborted: boolean): void => {
      expect([this.heard.has(chunk), aborted]).toEqual([false, false]);
      this.heard.set(chunk, Buffer.concat(flow.pieces));
    };
    flow.follow({ piece: () => undefined, end });
  }
}

/** Nodes that have results ready, out of order. Whether it went to disk. */
async function deliver(random: Random, left: number[], results: readonly Uint8Array[], outlet: Outlet, reader: Reader) {
  const [chunk = 0] = left.splice(random.int(Math.min(left.length, 6)), 1);
  const bytes = results[chunk] ?? new Uint8Array(0);
  const place = { chunk, offset: 0 };
  const entry = (values: Payload): RunResponseEntry => ({
    kind: { $case: "spanDone", value: { job: 1, chunk, span: undefined, values, runMicros: 0 } },
  });
  if (!outlet.diverts(place, bytes.byteLength)) {
    const outgoing = reader.outflow.send(flowOf({ encoding: 0, count: 1, bytes }));
    reader.send(entry(outgoing.header), outgoing.inlineBytes);
    outgoing.start();
    outlet.sent(place, bytes.byteLength);
    return false;
  }
  if (random.int(2) === 0) {
    outlet.keep(place, flowOf({ encoding: 0, count: 1, bytes }), entry).end(false);
    return true;
  }
  const isLost = random.int(4) === 0;
  const flow = new PayloadFlow({ encoding: 0, count: 1, size: bytes.byteLength }, false);
  const kept = outlet.keep(place, flow, entry);
  flow.push(bytes.subarray(0, bytes.byteLength >> 1));
  await settle();
  if (!isLost) flow.push(bytes.subarray(bytes.byteLength >> 1));
  kept.end(isLost);
  if (isLost) left.push(chunk); // its node is gone: it runs again
  return true;
}

/** An outlet to this reader. `throttles`: what it says of its room. */
function openOutlet(
  reader: Reader,
  space: SpillSpace,
  plan: Pick<Plan, "ordered" | "unreadBytesMax">,
  throttles: boolean[],
) {
  const client = { session: reader, outflow: reader.outflow } as unknown as ClientRecord;
  return new Outlet({
    ...{ client, space, unreadBytes: 0, gapChunks: 0, ...plan },
    throttle: (throttled) => throttles.push(throttled),
    unreadable: (error) => expect.unreachable(String(error)),
  });
}

/** Has results come and be read, in an order of the seed's own, until the program has all of them or nothing moves any more. */
async function play({ seed, ordered, unreadBytesMax, spaceBytes = 1e9, full = 0, bytesMax = 60 }: Plan) {
  const random = seededRandom(seed);
  const disk = async (): Promise<WriteOutcome> => {
    for (let turns = random.int(4); turns > 0; turns--) await Promise.resolve();
    return random.float() < full ? "full" : "kept";
  };
  const space = new SpillSpace(memorySpill(disk), spaceBytes, silentLogger);
  const reader = new Reader();
  const throttles: boolean[] = [];
  const outlet = openOutlet(reader, space, { ordered, unreadBytesMax }, throttles);
  const results = Array.from({ length: RESULTS }, (_, chunk) => new Uint8Array(1 + random.int(bytesMax)).fill(chunk));
  const left = results.map((_, chunk) => chunk);
  let [spilled, ended] = [0, false];
  for (let steps = 0; steps < 4_000 && reader.taken.size < RESULTS; steps++) {
    const what = random.int(4);
    if (what === 1) reader.read();
    else if (what === 2) reader.take(ordered, outlet);
    else if (what === 3 || left.length === 0) await settle();
    else if (await deliver(random, left, results, outlet, reader)) spilled++;
    outlet.judge();
    if (left.length > 0 || ended) continue;
    ended = true;
    if (!outlet.isEmpty) outlet.finish(() => reader.send({ kind: undefined }));
  }
  await settle();
  for (const [chunk, bytes] of reader.heard) expect(bytes.equals(results[chunk] ?? bytes)).toBe(true);
  return { seed, heard: reader.heard.size, taken: reader.taken.size, spilled, throttles, outlet, space };
}

const all = { heard: RESULTS, taken: RESULTS };

for (const ordered of [true, false])
  test(`whatever the order and the disk's pace, a program that takes its results ${ordered ? "in order" : "as they come"} has each of them once`, async () => {
    let spilled = 0;
    for (let seed = 1; seed <= 60; seed++) {
      const result = await play({ seed, ordered, unreadBytesMax: 1 + (seed % 90) });
      expect(result).toMatchObject({ seed, ...all });
      expect([result.outlet.isEmpty, result.space.use.bytes]).toEqual([true, 0]);
      spilled += result.spilled;
    }
    expect(spilled).toBeGreaterThan(500);
  });

test("a disk that is full, or too small, costs room and no result; its job is told so, and told when that is over", async () => {
  let [throttled, spilled] = [0, 0];
  for (let seed = 1; seed <= 60; seed++) {
    const result = await play({ seed, ordered: seed % 2 === 0, unreadBytesMax: 40, full: 0.3, spaceBytes: 150 });
    expect(result).toMatchObject({ seed, ...all });
    expect(result.space.use.bytes).toBe(0);
    if (result.throttles.length > 0) expect([result.throttles[0], result.throttles.at(-1)]).toEqual([true, false]);
    throttled += result.throttles.length;
    spilled += result.spilled;
  }
  expect(throttled).toBeGreaterThan(20);
  expect(spilled).toBeGreaterThan(100);
});

test("large results go to disk and come back in parts", async () => {
  const result = await play({ seed: 3, ordered: true, unreadBytesMax: PART_BYTES_MAX, bytesMax: 4 * PART_BYTES_MAX });
  expect(result).toMatchObject(all);
  expect(result.spilled).toBeGreaterThan(10);
});

test.for([
  ["room for all", 1e9],
  ["room for five", 50],
  ["no room", 0],
] as const)(
  "a program that takes nothing is sent no more than it may have while others are on disk, with %s; its job is held back once room ends",
  async ([, spaceBytes]) => {
    const reader = new Reader();
    const throttles: boolean[] = [];
    const space = new SpillSpace(memorySpill(), spaceBytes, silentLogger);
    const outlet = openOutlet(reader, space, { ordered: true, unreadBytesMax: 25 }, throttles);
    const results = Array.from({ length: RESULTS }, (_, chunk) => new Uint8Array(10).fill(chunk));
    const inOrder = { ...seededRandom(1), int: () => 0 };
    const left = results.map((_, chunk) => chunk);
    for (let given = 0; given < RESULTS && !throttles.includes(true); given++) {
      await deliver(inOrder, left, results, outlet, reader);
      outlet.judge();
      reader.read();
      await settle();
    }
    expect(reader.heard.size).toBeLessThanOrEqual(3);
    expect(throttles).toEqual(spaceBytes === 1e9 ? [] : [true]);
    outlet[Symbol.dispose]();
    expect(space.use).toEqual({ bytes: 0, files: 0, results: 0, unwrittenBytes: 0 });
  },
);
