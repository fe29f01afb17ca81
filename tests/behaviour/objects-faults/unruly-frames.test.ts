import { seededRandom } from "@heddle/kernel";
import { connect } from "heddle";
import { expect, test } from "vitest";
import { ServedManager } from "../../harness/served-manager.ts";
import { UnrulyRelay } from "../../harness/unruly-relay.ts";
import { settles } from "../../harness/waiting.ts";

/** Callers at a time, and how often each of them counts. */
const LINES = 8;
const CALLS = 60;

test("frames that come twice, late or never leave a counter at the calls that were answered, each with a count of its own (D08)", async () => {
  await using manager = await ServedManager.start();
  await using relay = await UnrulyRelay.open(manager.socket, seededRandom(8, "D08"), {
    duplicated: [0.05, 5], // ends the stream: what has no reply is asked again on the next one
    dropped: [0.1, 20],
    delayed: [0.3, 1_000],
  });
  await using fabric = await connect(await manager.coordinates(relay.address));
  await using ours = fabric.manager();
  const [counter, list] = [ours.dict<string, number>([], { name: "counter" }), ours.list<number>([], { name: "list" })];
  const queue = ours.queue<number>({ name: "queue" });
  const [counts, got]: [number[], number[]] = [[], []];
  const line = async (at: number): Promise<void> => {
    for (let call = 0; call < CALLS; call++) {
      const serial = at * CALLS + call;
      const [count] = await Promise.all([counter.increment("calls"), list.append(serial), queue.put(serial)]);
      counts.push(count);
      got.push(await queue.get());
    }
  };
  const all = Promise.all(Array.from({ length: LINES }, (_, at) => line(at)));
  await settles(all, () => JSON.stringify(relay.did), 50_000);
  const each = Array.from({ length: LINES * CALLS }, (_, serial) => serial);
  const sorted = (numbers: readonly number[]): number[] => numbers.toSorted((a, b) => a - b);
  expect(sorted(counts)).toEqual(each.map((serial) => serial + 1));
  expect(sorted(got)).toEqual(each);
  expect(await counter.get("calls")).toBe(LINES * CALLS);
  expect(sorted(await list.toArray())).toEqual(each);
  expect(await queue.qsize()).toBe(0);
  for (const did of Object.values(relay.did)) expect(did).toBeGreaterThanOrEqual(2);
}, 60_000);
